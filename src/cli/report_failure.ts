import { BackupctlError, exitStatus } from "../domain/errors.ts";
import { escapeControl } from "../log/format_record.ts";
import type { Terminal } from "./terminal.ts";
import { wrap } from "./wrap.ts";

/** Prints why a command failed, on standard error, and returns the exit status. */
export function reportFailure(
  error: unknown,
  { terminal, json }: { readonly terminal: Terminal; readonly json: boolean },
): number {
  const status = exitStatus(error);
  const { stderr } = terminal;
  if (json) {
    stderr.write(`${JSON.stringify(failureDocument(error))}\n`);
    return status;
  }
  const [red, dim, reset] = stderr.color ? ["\x1b[31m", "\x1b[2m", "\x1b[0m"] : ["", "", ""];
  if (!(error instanceof BackupctlError)) {
    stderr.write(`${red}error:${reset} this is a bug in backupctl: ${lines(stackOf(error))}\n`);
    stderr.write(`${dim}hint:${reset} please report it with these lines\n`);
    return status;
  }
  const width = stderr.columns();
  stderr.write(`${red}error:${reset} ${wrapped(error.message, { width, after: "error: " })}\n`);
  if (error.hint !== undefined) {
    stderr.write(`${dim}hint:${reset} ${wrapped(error.hint, { width, after: "hint: " })}\n`);
  }
  return status;
}

/** The same as one JSON object. */
function failureDocument(error: unknown): unknown {
  const known = error instanceof BackupctlError;
  return {
    schema: "backupctl.error/1",
    error: {
      code: known ? error.code : "BUG",
      message: known ? error.message : stackOf(error),
      ...(known && error.hint !== undefined && { hint: error.hint }),
    },
    exit_status: exitStatus(error),
  };
}

/** Text that may come from a server, harmless on a terminal; its line breaks stay. */
function lines(text: string): string {
  return text.split("\n").map(escapeControl).join("\n");
}

/** The same, not cut within words where the terminal ends. */
function wrapped(
  text: string,
  { width, after }: { readonly width: number | undefined; readonly after: string },
): string {
  if (width === undefined) return lines(text);
  const [first = "", ...rest] = lines(text).split("\n");
  const head = wrap(`${after.replaceAll(" ", "_")}${first}`, width).join("\n").slice(after.length);
  return [head, ...rest.flatMap((line) => wrap(line, width))].join("\n");
}

function stackOf(error: unknown): string {
  return error instanceof Error ? error.stack ?? error.message : String(error);
}

import type { CommandLine } from "./grammar/grammar.ts";
import { exitStatus, InterruptedError } from "../domain/errors.ts";
import type { Ending, Typed } from "./record_audit.ts";

/** Commands that change what is stored, or bring data out of it. */
const AUDITED: ReadonlySet<string> = new Set([
  "annotate",
  "backup full",
  "backup incremental",
  "catalog rebuild",
  "delete",
  "drill",
  "keep",
  "key generate",
  "key rekey",
  "key sign",
  "prune",
  "restore",
]);

/**
 * Runs a command and writes down who ran it, where and how it ended. Never fails because of that:
 * what the index cannot be told waits in the journal.
 *
 * @throws what the command throws.
 */
export async function audited(run: () => Promise<number>, typed: Typed): Promise<number> {
  if (!isAudited(typed.line)) return await run();
  try {
    const status = await run();
    await write(typed, { status });
    return status;
  } catch (error) {
    const { signal } = typed.context;
    const cause = signal.aborted && signal.reason instanceof InterruptedError
      ? signal.reason
      : error;
    await write(typed, { status: exitStatus(cause), error: cause });
    throw error;
  }
}

/** Those that only say what they would do are not. */
function isAudited(line: CommandLine): boolean {
  const { dryRun = false, plan = false } = line as {
    readonly dryRun?: boolean;
    readonly plan?: boolean;
  };
  return AUDITED.has(line.command) && !dryRun && !plan;
}

/** Most commands never get here, and do not load it. */
async function write(typed: Typed, end: Ending) {
  const { recordAudit } = await import("./record_audit.ts");
  await recordAudit(typed, end);
}

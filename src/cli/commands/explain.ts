import { UsageError } from "../../domain/errors.ts";
import { nearest } from "../../domain/nearest.ts";
import { type Command, printResult } from "../context.ts";
import { type Explanation, EXPLANATIONS } from "../explanations.ts";
import type { CommandOf } from "../grammar/grammar.ts";
import { formatTable } from "../table.ts";
import type { Terminal } from "../terminal.ts";

/** Explains an error code or an exit status; without one, lists them all. */
export const explain: Command<CommandOf<"explain">> = ({ code }, context) => {
  const found = code === undefined ? EXPLANATIONS : matching(code);
  printResult(context, {
    json: () => ({ schema: "backupctl.explain/1", codes: found }),
    text: () => code === undefined ? list(context.terminal) : found.map(page).join("\n"),
  });
  return Promise.resolve(0);
};

/** @throws {UsageError} with the nearest code. */
function matching(code: string): readonly Explanation[] {
  const wanted = code.toUpperCase();
  const found = EXPLANATIONS.filter((one) => one.code === wanted || String(one.status) === code);
  if (found.length > 0) return found;
  const meant = nearest(wanted, EXPLANATIONS.map((one) => one.code));
  throw new UsageError(
    `${JSON.stringify(code.slice(0, 60))} is neither an error code nor an exit status here`,
    meant === undefined ? '"backupctl explain" lists them' : `did you mean ${meant}?`,
  );
}

function page({ code, status, meaning, remedy }: Explanation): string {
  return `${code} (exit status ${status})\n  ${meaning}\n  ${remedy}\n`;
}

function list({ stdout }: Terminal): string {
  return formatTable(
    [{ title: "STATUS", align: "right" }, { title: "CODE" }, { title: "MEANING", wrap: true }],
    EXPLANATIONS.map(({ code, status, meaning }) => [String(status), code, meaning]),
    { color: stdout.color, width: stdout.columns() },
  );
}

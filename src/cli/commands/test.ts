import { escapeControl } from "../../log/format_record.ts";
import { type Check, failed, ok } from "../checks.ts";
import { checkPostgres } from "../check_postgres.ts";
import { checkRepository } from "../check_repository.ts";
import { type Command, type Context, printResult } from "../context.ts";
import type { CommandOf } from "../grammar/grammar.ts";
import { loadSettings } from "../session.ts";
import { wrap } from "../wrap.ts";

/** Checks everything that a backup needs; each line appears as soon as it is known. */
export const test: Command<CommandOf<"test">> = async (line, context) => {
  const checks: Check[] = [];
  for await (const check of run(context)) {
    context.signal.throwIfAborted();
    checks.push(check);
    if (line.output === "json" || (line.quiet && check.state === "ok")) continue;
    context.terminal.stdout.write(checkText(check, context));
  }
  if (line.output === "json") {
    const document = checks.map(({ name, state, message, hint }) => ({
      name,
      state,
      message,
      ...(hint !== undefined && { hint }),
    }));
    const passed = checks.every(({ state }) => state !== "failed");
    const json = () => ({ schema: "backupctl.test/1", ok: passed, checks: document });
    printResult(context, { json, text: () => "" });
  }
  return checks.find(({ state }) => state === "failed")?.status ?? 0;
};

async function* run(context: Context): AsyncGenerator<Check> {
  try {
    const { config, files } = await loadSettings(context);
    yield ok("configuration", files.length === 0 ? "environment and defaults" : files.join(", "));
    yield* checkPostgres(config, context);
    yield* checkRepository(config, context);
  } catch (error) {
    yield failed("configuration", error);
  }
}

const COLORS = { ok: "32", warning: "33", failed: "31" } as const;

/** Where the text of a line begins: behind its state and name. */
const INDENT = " ".repeat(26);

/** `ok       connection       PostgreSQL 17.6 at db:5432`, wrapped to the terminal. */
function checkText({ name, state, message, hint }: Check, { terminal }: Context): string {
  const word = state.padEnd(7);
  const shown = terminal.stdout.color ? `\x1b[${COLORS[state]}m${word}\x1b[0m` : word;
  const columns = terminal.stdout.columns();
  const width = columns === undefined ? Infinity : Math.max(columns - INDENT.length, 30);
  const lines = (text: string) =>
    text.split("\n").flatMap((one) => wrap(escapeControl(one), width));
  const [dim, reset] = terminal.stdout.color ? ["\x1b[2m", "\x1b[0m"] : ["", ""];
  const remedy = hint === undefined ? [] : lines(hint).map((text) => `${dim}${text}${reset}`);
  return `${shown}  ${name.padEnd(17)}${[...lines(message), ...remedy].join(`\n${INDENT}`)}\n`;
}

import { StaleError } from "../../domain/errors.ts";
import { escapeControl } from "../../log/format_record.ts";
import { type Check, failed, ok } from "../checks.ts";
import { checkPostgres } from "../check_postgres.ts";
import { checkRepository } from "../check_repository.ts";
import { checkArchiving } from "../check_archiving.ts";
import { type Command, type Context, printResult } from "../context.ts";
import type { CommandOf } from "../grammar/grammar.ts";
import { nagiosReport } from "../nagios_line.ts";
import { scheduleFaults } from "../schedule/read_schedule.ts";
import { loadSettings } from "../session.ts";
import { wrap } from "../wrap.ts";

type Line = CommandOf<"test">;

/** Checks everything that a backup needs; each line appears as soon as it is known. */
export const test: Command<Line> = async (line, context) => {
  const checks: Check[] = [];
  const silent = line.output === "json" || line.nagios;
  for await (const check of run(line, context)) {
    context.signal.throwIfAborted();
    checks.push(check);
    if (silent || (line.quiet && check.state === "ok")) continue;
    context.terminal.stdout.write(checkText(check, context));
  }
  if (line.nagios) {
    const { text, status } = nagiosReport(checks);
    context.terminal.stdout.write(`${text}\n`);
    return status;
  }
  if (line.output === "json") {
    printResult(context, { json: () => document(checks), text: () => "" });
  }
  const failure = checks.find(({ state }) => state === "failed")?.status;
  if (failure !== undefined) return failure;
  const stale = checks.filter((check) => check.stale);
  if (line.exitOnStale && stale.length > 0) throw staleError(stale);
  return 0;
};

function staleError(stale: readonly Check[]): StaleError {
  const said = stale.map(({ name, message }) => `${name}: ${message}`).join("; ");
  return new StaleError(`stale: ${said}`, stale[0]!.hint);
}

function document(checks: readonly Check[]): unknown {
  return {
    schema: "backupctl.test/1",
    ok: checks.every(({ state }) => state !== "failed"),
    stale: checks.some(({ stale }) => stale),
    checks: checks.map(({ name, state, message, hint, figures }) => ({
      ...{ name, state, message },
      ...(hint !== undefined && { hint }),
      ...(figures && {
        figures: Object.fromEntries(figures.map(({ label, value }) => [label, value])),
      }),
    })),
  };
}

async function* run({ deep }: Line, context: Context): AsyncGenerator<Check> {
  try {
    const { config, files } = await loadSettings(context, { checkSchedule: scheduleFaults });
    yield ok("configuration", files.length === 0 ? "environment and defaults" : files.join(", "));
    yield* checkPostgres(config, context);
    yield* checkArchiving(config, context, { deep });
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

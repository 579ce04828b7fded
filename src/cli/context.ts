import type { Environment } from "../config/config.ts";
import type { Clock } from "../domain/clock.ts";
import type { GlobalOptions } from "./grammar/grammar.ts";
import type { Terminal } from "./terminal.ts";

/** What a command is run with. */
export interface Context {
  readonly options: GlobalOptions;
  readonly env: Environment;
  readonly terminal: Terminal;
  readonly clock: Clock;
  /** Aborted by SIGINT, SIGTERM or --timeout, with the error to report as its reason. */
  readonly signal: AbortSignal;
}

/** A command: prints its result and returns its exit status. */
export type Command<Line> = (line: Line, context: Context) => Promise<number>;

/** Prints a result: as text, or as the JSON document that `--output json` asks for. */
export function printResult(
  { options, terminal }: Context,
  { text, json }: { readonly text: () => string; readonly json: () => unknown },
): void {
  const result = options.output === "json" ? `${JSON.stringify(json(), null, 2)}\n` : text();
  terminal.stdout.write(result);
}

import { UsageError } from "../domain/errors.ts";
import { orAborted } from "../domain/or_aborted.ts";
import type { Context } from "./context.ts";
import type { Terminal } from "./terminal.ts";

/** Whether somebody is there to be asked: both ends must be a terminal. */
export function canAsk({ stderr }: Terminal): boolean {
  return stderr.isTerminal && Deno.stdin.isTerminal();
}

/**
 * Asks on the terminal. Everything but yes is no.
 *
 * @throws {UsageError} when the input has ended; the signal's reason when the run is to end.
 */
export async function askYes(
  question: string,
  { terminal: { stderr }, signal }: Pick<Context, "terminal" | "signal">,
): Promise<boolean> {
  stderr.write(`${question} [y/N] `);
  const buffer = new Uint8Array(256);
  const length = await orAborted(Deno.stdin.read(buffer), signal);
  signal.throwIfAborted();
  if (length === null) throw new UsageError("nobody answered", "--yes does not ask");
  return /^\s*y(es)?\s*$/i.test(new TextDecoder().decode(buffer.subarray(0, length)));
}

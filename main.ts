#!/usr/bin/env -S deno run -A
/** The executable: one command line in, one exit status out. */
import { walCommandOf } from "./src/cli/wal/wal_words.ts";
import { systemClock } from "./src/domain/clock.ts";
import { InterruptedError } from "./src/domain/errors.ts";

const controller = new AbortController();

/** Milliseconds within which a second signal is the first one again: a supervisor sends it to all. */
const ECHO = 500;
let signalledAt: number | undefined;

/** The first signal ends the run cleanly, the second one at once. */
function onSignal(signal: Deno.Signal): void {
  const now = systemClock.monotonic();
  if (signalledAt !== undefined && now - signalledAt > ECHO) Deno.exit(130);
  signalledAt ??= now;
  controller.abort(new InterruptedError(signal));
}

if (import.meta.main) {
  // Backups, restored files and logs are nobody else's business.
  Deno.umask(0o077);
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    Deno.addSignalListener(signal, () => onSignal(signal));
  }
  const wal = walCommandOf(Deno.args);
  if (wal) {
    const { runWal } = await import("./src/cli/wal/run_wal.ts");
    const env = Deno.env.toObject();
    const status = await runWal({ ...wal, env, signal: controller.signal });
    if (status !== undefined) Deno.exit(status);
  }
  const { reportStray, runCli } = await import("./src/cli/run_cli.ts");
  addEventListener("unhandledrejection", (event) => {
    event.preventDefault();
    // What an abort leaves behind is its consequence; anything else is a bug.
    if (!controller.signal.aborted) Deno.exit(reportStray(event.reason, Deno.env.toObject()));
  });
  Deno.exit(
    await runCli({ args: Deno.args, env: Deno.env.toObject(), signal: controller.signal }),
  );
}

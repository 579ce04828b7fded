/** What can go wrong while an operation runs. */
import assert from "node:assert/strict";
import type { FaultAction, FaultMatch } from "../s3_server/faults.ts";
import type { Operation } from "./operation.ts";
import type { Ended, RunOptions, Trial } from "./trial.ts";

/** One kind of fault. */
export interface Injection {
  readonly name: string;
  /** Runs the operation with it; `usualMs` is how long it takes undisturbed. */
  readonly run: (
    trial: Trial,
    operation: Operation,
    context: { readonly random: () => number; readonly usualMs: number },
  ) => Promise<readonly Ended[]>;
  /** Whether the run may fail. A killed one may end with anything. */
  readonly mayFail: boolean;
}

/** A signal ends a command within 5 s; the rest is for machines that are slow. */
const SIGNAL_SECONDS = 20;

const STORE_FAULTS: readonly (readonly [match: FaultMatch, action: FaultAction])[] = [
  [{ probability: 0.1 }, { kind: "error", status: 503, code: "SlowDown" }],
  [{ probability: 0.05 }, { kind: "error", status: 500, code: "InternalError" }],
  [{ probability: 0.05 }, { kind: "refused" }],
  [{ probability: 0.05, method: "PUT" }, { kind: "lost answer" }],
  [{ probability: 0.05, method: "PUT" }, { kind: "error in 200", code: "InternalError" }],
  [{ probability: 0.05, method: "GET" }, { kind: "truncate", bytes: 300 }],
  [{ probability: 0.03, method: "GET" }, { kind: "close after headers" }],
  [{ probability: 0.03 }, { kind: "twice" }],
];

/** No file grows beyond 4 KiB: a disk that is full, for every user alike (setrlimit(2), EFBIG). */
const FULL_DISK = ["sh", "-c", 'trap "" XFSZ; ulimit -f 8; exec "$@"', "sh"] as const;

function signalled(name: "SIGKILL" | "SIGTERM"): Injection {
  return {
    name,
    mayFail: true,
    run: async (trial, operation, { random, usualMs }) => {
      const afterMs = random() * 1.2 * usualMs;
      const ended = await once(trial, operation, { signal: { name, afterMs } });
      const { secondsAfterSignal = 0 } = ended;
      assert.ok(secondsAfterSignal < SIGNAL_SECONDS, `it ran on for ${secondsAfterSignal} s`);
      return [ended];
    },
  };
}

async function once(trial: Trial, operation: Operation, how: RunOptions = {}): Promise<Ended> {
  const { words, ...options } = operation.command(trial, 1);
  return await trial.run(words, { ...options, ...how });
}

/** The end of a process at any moment. */
export const KILL: Injection = signalled("SIGKILL");

/** Everything else. */
export const OTHERS: readonly Injection[] = [
  signalled("SIGTERM"),
  {
    name: "store",
    mayFail: true,
    run: async (trial, operation) => {
      for (const [match, action] of STORE_FAULTS) trial.server.fail(match, action);
      try {
        return [await once(trial, operation)];
      } finally {
        trial.server.heal();
      }
    },
  },
  {
    name: "full disk",
    mayFail: true,
    run: async (trial, operation) => [await once(trial, operation, { wrapper: FULL_DISK })],
  },
  {
    name: "clock",
    mayFail: false,
    run: async (trial, operation, { random }) => {
      const clockSkew = random() < 0.5 ? -3_600_000 : 3_600_000;
      trial.server.options = { ...trial.server.options, clockSkew };
      return [await once(trial, operation)];
    },
  },
  {
    name: "two hosts",
    mayFail: true,
    run: async (trial, operation) => {
      const both = ([1, 2] as const).map((host) => {
        const { words, ...options } = operation.command(trial, host);
        return trial.run(words, { ...options, host });
      });
      const ended = await Promise.all(both);
      const won = ended.filter(({ status }) => status === 0);
      assert.ok(won.length > 0, ended.map(({ stderr }) => stderr).join("\n"));
      return ended;
    },
  },
];

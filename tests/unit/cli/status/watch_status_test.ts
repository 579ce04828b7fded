import assert from "node:assert/strict";
import type { Context } from "../../../../src/cli/context.ts";
import { statusLine, watchStatus } from "../../../../src/cli/status/watch_status.ts";
import type { Terminal } from "../../../../src/cli/terminal.ts";
import { systemClock } from "../../../../src/domain/clock.ts";
import { InterruptedError, RunFailedError, StorageError } from "../../../../src/domain/errors.ts";
import { sampleStatus } from "../../../support/status_samples.ts";

/** Watches until `looks` were taken; `fail` says at which the store is gone. */
async function watched(
  { looks, fail = [], isTerminal = false, json = false, reason }: {
    readonly looks: number;
    readonly fail?: readonly number[];
    readonly isTerminal?: boolean;
    readonly json?: boolean;
    readonly reason?: Error;
  },
) {
  const written = { stdout: "", stderr: "" };
  const output = (name: "stdout" | "stderr") => ({
    isTerminal,
    color: false,
    columns: () => 80,
    closed: false,
    write: (data: string | Uint8Array) => void (written[name] += String(data)),
  });
  const terminal: Terminal = { stdout: output("stdout"), stderr: output("stderr"), unicode: true };
  const controller = new AbortController();
  const options = { output: json ? "json" : "text" } as unknown as Context["options"];
  const context = { options, env: {}, terminal, clock: systemClock, signal: controller.signal };
  const found = await sampleStatus();
  let taken = 0;
  const collect = () => {
    taken += 1;
    if (taken === looks) {
      setTimeout(() => controller.abort(reason ?? new InterruptedError("SIGINT")), 5);
    }
    if (fail.includes(taken)) return Promise.reject(new StorageError("the store is gone"));
    return Promise.resolve(found);
  };
  const watch = { collect, text: () => "the picture\n", json: () => ({ a: 1 }), intervalMs: 10 };
  const ended = watchStatus(watch, context);
  return { ended, written };
}

Deno.test("watchStatus() draws over the last picture on a terminal, until Ctrl-C", async () => {
  const { ended, written } = await watched({ looks: 3, isTerminal: true });
  assert.equal(await ended, 0);
  const drawn = "\u001b[H\u001b[2Jthe picture\n\n2026-11-23 08:00:00Z; Ctrl-C ends\n";
  assert.equal(written.stdout, drawn.repeat(3));
});

Deno.test("watchStatus() writes a line each time elsewhere", async () => {
  const { ended, written } = await watched({ looks: 2 });
  assert.equal(await ended, 0);
  const line = "2026-11-23T08:00:00.000Z main: 7 backups, newest 20261123T030000Z-L 4 h old, " +
    "restorable to 2026-11-23 08:00:00Z (0.0 s behind), 1 gap, 1 unfinished, 342 kB stored\n";
  assert.equal(written.stdout, line.repeat(2));
});

Deno.test("statusLine() tells of the timeline that grows, not of the highest one", async () => {
  const found = await sampleStatus();
  const { archive } = found;
  const last = archive!.report.windows.at(-1)!;
  const dead = { ...last, timeline: 9, to: last.from, open: false, lagSeconds: undefined };
  const report = { ...archive!.report, windows: [...archive!.report.windows, dead] };
  assert.equal(statusLine({ ...found, archive: { ...archive!, report } }), statusLine(found));
});

Deno.test("watchStatus() writes a document a line for programs", async () => {
  const { ended, written } = await watched({ looks: 2, json: true, isTerminal: true });
  assert.equal(await ended, 0);
  assert.equal(written.stdout, '{"a":1}\n{"a":1}\n');
});

Deno.test("watchStatus() tells of a store that goes away, and goes on", async () => {
  const { ended, written } = await watched({ looks: 3, fail: [2] });
  assert.equal(await ended, 0);
  assert.equal(written.stderr, "error: the store is gone\n");
  assert.equal(written.stdout.split("\n").length - 1, 2);
});

Deno.test("watchStatus() fails when already the first look does", async () => {
  await assert.rejects((await watched({ looks: 9, fail: [1] })).ended, StorageError);
});

Deno.test("watchStatus() ends well with --timeout, and as everything does with SIGTERM", async () => {
  const timeout = await watched({ looks: 2, reason: new RunFailedError("gave up after 1 s") });
  assert.equal(await timeout.ended, 0);
  const terminated = await watched({ looks: 2, reason: new InterruptedError("SIGTERM") });
  await assert.rejects(terminated.ended, InterruptedError);
});

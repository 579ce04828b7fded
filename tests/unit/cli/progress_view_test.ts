import assert from "node:assert/strict";
import fc from "fast-check";
import { MiB } from "../../../src/domain/bytes.ts";
import { ProgressMeter } from "../../../src/cli/progress_meter.ts";
import { liveLine, LiveProgress, PlainProgress } from "../../../src/cli/progress_view.ts";
import type { Output } from "../../../src/cli/terminal.ts";

/** A clock that stands until it is moved. */
function steppedClock() {
  let milliseconds = 1000;
  return {
    clock: { now: () => new Date(0), monotonic: () => milliseconds },
    pass: (seconds: number) => milliseconds += seconds * 1000,
  };
}

/** A terminal that keeps what was written. */
function screen(columns = 80, color = false) {
  let text = "";
  const output: Output = {
    isTerminal: true,
    color,
    columns: () => columns,
    write: (data) => text += String(data),
    closed: false,
  };
  return { output, written: () => text };
}

Deno.test("ProgressMeter tells share, rate and time left", () => {
  const { clock, pass } = steppedClock();
  const meter = new ProgressMeter("copying", { totalBytes: 100 * MiB, clock });
  for (let second = 0; second < 4; second++) {
    pass(1);
    meter.advance(10 * MiB);
  }
  assert.deepEqual(meter.figures(), ["40 %", "40.0 MB of 100 MB", "10.0 MB/s", "6.0 s left"]);
  assert.equal(meter.summary(), "40.0 MB in 4.0 s");
});

Deno.test("ProgressMeter does not pretend when the estimate was too low, or missing", () => {
  const { clock, pass } = steppedClock();
  const low = new ProgressMeter("copying", { totalBytes: MiB, clock });
  const none = new ProgressMeter("copying", { clock });
  pass(2);
  for (const meter of [low, none]) {
    meter.advance(4 * MiB);
    assert.equal(meter.share, undefined);
    assert.deepEqual(meter.figures(), ["4.0 MB", "2.0 MB/s", "2.0 s"]);
  }
});

Deno.test("liveLine() never fills the line, whatever the width", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 10, max: 200 }),
      fc.string({ maxLength: 30 }),
      fc.nat(),
      fc.option(fc.nat(), { nil: undefined }),
      fc.boolean(),
      (columns, step, bytes, totalBytes, unicode) => {
        const { clock, pass } = steppedClock();
        const meter = new ProgressMeter(
          step,
          totalBytes === undefined ? { clock } : { totalBytes, clock },
        );
        pass(3);
        meter.advance(bytes);
        const line = liveLine(meter, { columns, unicode });
        assert.ok(line.length <= columns, `${line.length} > ${columns}`);
      },
    ),
  );
});

Deno.test("LiveProgress keeps a line for each step and redraws only the last one", () => {
  const { clock, pass } = steppedClock();
  const { output, written } = screen();
  const view = new LiveProgress({ output, unicode: false, clock });
  view.begin("waiting");
  pass(2);
  view.begin("copying", 100 * MiB);
  pass(1);
  view.advance(50 * MiB);
  view.print("a log line\n");
  view.note("a note\u001b[2J");
  view[Symbol.dispose]();
  const lines = written().split("\n");
  assert.match(lines[0]!, /waiting {2}2\.0 s$/);
  assert.match(
    written(),
    /#{10}\.{10} {2}50 % {2}50\.0 MB of 100 MB {2}50\.0 MB\/s {2}1\.0 s left/,
  );
  assert.ok(written().includes("\r\u001b[Ka log line\n"));
  assert.match(written(), /a note\\u001b\[2J\n/);
  assert.match(written(), / {2}copying {2}50\.0 MB in 1\.0 s\n$/);
});

Deno.test("LiveProgress draws at most ten times a second", () => {
  const { clock, pass } = steppedClock();
  const { output, written } = screen();
  const view = new LiveProgress({ output, unicode: true, clock });
  view.begin("copying", 1000);
  for (let step = 0; step < 1000; step++) {
    pass(0.001);
    view.advance(1);
  }
  const drawn = written().split("\r").length;
  assert.ok(drawn <= 13, `${drawn} drawings`);
  view[Symbol.dispose]();
});

Deno.test("LiveProgress writes no colour unless the terminal has some", () => {
  for (const color of [true, false]) {
    const { output, written } = screen(80, color);
    const view = new LiveProgress({ output, unicode: true });
    view.begin("copying");
    view[Symbol.dispose]();
    assert.equal(written().includes("\u001b[2m"), color);
  }
});

Deno.test("PlainProgress says a line every ten seconds or ten per cent, not more", () => {
  const { clock, pass } = steppedClock();
  const lines: string[] = [];
  const view = new PlainProgress((_kind, text) => lines.push(text), { write: () => {}, clock });
  view.begin("copying", 1000 * MiB);
  for (let second = 0; second < 100; second++) {
    pass(1);
    view.advance(10 * MiB);
  }
  assert.ok(lines.length >= 10 && lines.length <= 12, lines.join("\n"));
  lines.length = 0;
  view.begin("fast", 1000);
  for (let step = 0; step < 1000; step++) {
    pass(0.001);
    view.advance(1);
  }
  assert.ok(lines.length <= 2, lines.join("\n"));
  lines.length = 0;
  view.begin("slow", 1000 * MiB);
  for (let second = 0; second < 60; second++) {
    pass(1);
    view.advance(1);
  }
  assert.equal(lines.length, 7, lines.join("\n"));
});

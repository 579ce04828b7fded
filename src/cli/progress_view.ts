import { systemClock } from "../domain/clock.ts";
import type { Clock } from "../domain/clock.ts";
import type { Progress } from "../domain/progress.ts";
import { escapeControl } from "../log/format_record.ts";
import { ProgressMeter } from "./progress_meter.ts";
import type { Output } from "./terminal.ts";

/** Milliseconds between two drawings of the live line. */
const REDRAW = 100;
/** Plain lines come after so many milliseconds, or so great a share of the work, … */
const PLAIN_INTERVAL = 10_000;
const PLAIN_SHARE = 0.1;
/** … but never sooner. */
const PLAIN_PAUSE = 1000;
const BAR_COLUMNS = 20;

/** Progress that people can see. Disposing clears the live line. */
export interface ProgressView extends Progress, Disposable {
  /** Writes lines without disturbing the live line. */
  print(text: string): void;
}

/** How the live view draws. */
export interface LiveOptions {
  readonly output: Output;
  readonly unicode: boolean;
  readonly clock?: Clock;
}

/** One line on a terminal, drawn again and again; each finished step stays as a line of its own. */
export class LiveProgress implements ProgressView {
  readonly #output: Output;
  readonly #unicode: boolean;
  readonly #clock: Clock;
  readonly #timer: ReturnType<typeof setInterval>;
  #meter: ProgressMeter | undefined;
  #drawnAt = -Infinity;
  #drawn = false;

  constructor({ output, unicode, clock = systemClock }: LiveOptions) {
    this.#output = output;
    this.#unicode = unicode;
    this.#clock = clock;
    this.#timer = setInterval(() => this.#draw(), 1000);
    Deno.unrefTimer(this.#timer);
  }

  begin(step: string, totalBytes?: number): void {
    this.#finishStep();
    const clock = this.#clock;
    this.#meter = new ProgressMeter(
      step,
      totalBytes === undefined ? { clock } : { totalBytes, clock },
    );
    this.#draw();
  }

  advance(bytes: number): void {
    this.#meter?.advance(bytes);
    if (this.#clock.monotonic() - this.#drawnAt >= REDRAW) this.#draw();
  }

  note(text: string): void {
    this.print(`  ${escapeControl(text)}\n`);
  }

  print(text: string): void {
    this.#clear();
    this.#output.write(text);
    this.#draw();
  }

  /** The run is over: the last step's line stays, dimmed, and the live line goes. */
  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#finishStep();
    this.#clear();
  }

  #finishStep(): void {
    const meter = this.#meter;
    this.#meter = undefined;
    this.#clear();
    if (!meter) return;
    const [dim, reset] = this.#output.color ? ["\x1b[2m", "\x1b[0m"] : ["", ""];
    const line = `  ${escapeControl(meter.step)}  ${meter.summary()}`;
    this.#output.write(`${dim}${line}${reset}\n`);
  }

  #clear(): void {
    if (!this.#drawn) return;
    this.#output.write("\r\x1b[K");
    this.#drawn = false;
  }

  #draw(): void {
    if (!this.#meter) return;
    this.#drawnAt = this.#clock.monotonic();
    const columns = (this.#output.columns() ?? 80) - 1;
    this.#output.write(`\r${liveLine(this.#meter, { columns, unicode: this.#unicode })}\x1b[K`);
    this.#drawn = true;
  }
}

/** The live line, no wider than `columns`: figures are left out from the end, the bar first. */
export function liveLine(
  meter: ProgressMeter,
  { columns, unicode }: { readonly columns: number; readonly unicode: boolean },
): string {
  const step = `  ${escapeControl(meter.step)}`;
  const figures = [...meter.figures()];
  const line = (parts: readonly string[]) => [step, ...parts].join("  ");
  if (meter.share !== undefined) {
    const drawn = line([bar(meter.share, unicode), ...figures]);
    if (drawn.length <= columns) return drawn;
  }
  while (figures.length > 1 && line(figures).length > columns) figures.pop();
  return line(figures).slice(0, columns);
}

function bar(share: number, unicode: boolean): string {
  const [full, empty] = unicode ? ["━", "─"] : ["#", "."];
  const done = Math.round(share * BAR_COLUMNS);
  return full!.repeat(done) + empty!.repeat(BAR_COLUMNS - done);
}

/** Receives a plain line of progress with its figures. */
export type EmitProgress = (
  kind: "progress" | "note",
  text: string,
  figures: { readonly step?: string; readonly size_bytes?: number; readonly total_bytes?: number },
) => void;

/** A line when a step begins, then every ten seconds or ten per cent: for files and cron. */
export class PlainProgress implements ProgressView {
  readonly #emit: EmitProgress;
  readonly #write: (text: string) => void;
  readonly #clock: Clock;
  #meter: ProgressMeter | undefined;
  #saidAt = 0;
  #saidShare = 0;

  constructor(
    emit: EmitProgress,
    { write, clock = systemClock }: {
      readonly write: (text: string) => void;
      readonly clock?: Clock;
    },
  ) {
    this.#emit = emit;
    this.#write = write;
    this.#clock = clock;
  }

  begin(step: string, totalBytes?: number): void {
    const clock = this.#clock;
    this.#meter = new ProgressMeter(
      step,
      totalBytes === undefined ? { clock } : { totalBytes, clock },
    );
    this.#say();
  }

  advance(bytes: number): void {
    const meter = this.#meter;
    if (!meter) return;
    meter.advance(bytes);
    const silence = this.#clock.monotonic() - this.#saidAt;
    const much = (meter.share ?? 0) - this.#saidShare >= PLAIN_SHARE;
    if (silence >= PLAIN_INTERVAL || (much && silence >= PLAIN_PAUSE)) this.#say();
  }

  note(text: string): void {
    this.#emit("note", text, {});
  }

  print(text: string): void {
    this.#write(text);
  }

  [Symbol.dispose](): void {}

  #say(): void {
    const meter = this.#meter!;
    this.#saidAt = this.#clock.monotonic();
    this.#saidShare = meter.share ?? 0;
    const figures = meter.figures();
    const text = figures.length === 0 ? meter.step : `${meter.step}: ${figures.join(", ")}`;
    this.#emit("progress", text, {
      step: meter.step,
      size_bytes: meter.bytes,
      ...(meter.totalBytes !== undefined && { total_bytes: meter.totalBytes }),
    });
  }
}

/** Nothing but the notes: `--progress none`. */
export class NoProgress implements ProgressView {
  readonly #emit: EmitProgress;
  readonly #write: (text: string) => void;

  constructor(emit: EmitProgress, write: (text: string) => void) {
    this.#emit = emit;
    this.#write = write;
  }

  begin(): void {}
  advance(): void {}
  note(text: string): void {
    this.#emit("note", text, {});
  }
  print(text: string): void {
    this.#write(text);
  }
  [Symbol.dispose](): void {}
}

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** Distances between ticks that people count in. */
const STEPS = [
  ...[1, 5, 15, 30].map((minutes) => minutes * MINUTE),
  ...[1, 3, 6, 12].map((hours) => hours * HOUR),
  ...[1, 2, 7, 14, 28, 91, 182, 364].map((days) => days * DAY),
];
/** Columns of a label and of the air around it. */
const LABEL_COLUMNS = 8;
/** 5 January 1970: weeks begin on Mondays. */
const FIRST_MONDAY = 4 * DAY;

/** A span of time on so many columns. */
export interface TimeScale {
  /** Milliseconds since 1970. */
  readonly from: number;
  readonly to: number;
  readonly columns: number;
}

/** The column of a moment; those outside go to the edge. */
export function columnOf({ from, to, columns }: TimeScale, time: number): number {
  const column = Math.floor((time - from) / (to - from) * columns);
  return Math.min(columns - 1, Math.max(0, column));
}

/** Two lines: ticks, and what they stand for, in UTC. */
export function drawAxis(
  scale: TimeScale,
  { unicode }: { readonly unicode: boolean },
): readonly [string, string] {
  const [line, tick] = unicode ? ["─", "┴"] : ["-", "+"];
  const rule = new Array<string>(scale.columns).fill(line!);
  const labels = new Array<string>(scale.columns).fill(" ");
  const step = stepOf(scale);
  let free = 0;
  for (const time of ticksOf(scale, step)) {
    const column = columnOf(scale, time);
    rule[column] = tick!;
    const label = labelOf(time, step);
    const at = Math.min(column, scale.columns - label.length);
    if (at < free) continue;
    labels.splice(at, label.length, ...label);
    free = at + label.length + 1;
  }
  return [rule.join(""), labels.join("").trimEnd()];
}

function stepOf({ from, to, columns }: TimeScale): number {
  const least = (to - from) / columns * LABEL_COLUMNS;
  return STEPS.find((step) => step >= least) ?? 364 * DAY * Math.ceil(least / (364 * DAY));
}

function* ticksOf({ from, to }: TimeScale, step: number): Generator<number> {
  const origin = step > DAY ? FIRST_MONDAY : 0;
  const first = origin + Math.ceil((from - origin) / step) * step;
  for (let time = first; time < to; time += step) yield time;
}

/** `11-23`, at midnight and in steps of days; otherwise `02:30`; years where days say too little. */
function labelOf(time: number, step: number): string {
  const text = new Date(time).toISOString();
  if (step >= 91 * DAY) return text.slice(0, 7);
  return step >= DAY || time % DAY === 0 ? text.slice(5, 10) : text.slice(11, 16);
}

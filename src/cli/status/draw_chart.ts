import { formatBytes } from "../../domain/bytes.ts";
import { wrap } from "../wrap.ts";
import { columnOf, drawAxis, type TimeScale } from "./chart_axis.ts";
import type { Lanes, Mark, MarkKind, Span, TimelineLane } from "./chart_lanes.ts";
import { sparkline } from "./sparkline.ts";

/** How a picture is drawn. */
export interface ChartOptions {
  /** Columns in all. */
  readonly width: number;
  /** Otherwise ASCII. */
  readonly unicode: boolean;
}

const NAME_COLUMNS = 12;
const LEAST_COLUMNS = 20;
/** A picture of less than this would show seconds. */
const LEAST_SPAN = 10 * 60_000;

interface Glyphs extends Readonly<Record<MarkKind, string>> {
  readonly window: string;
  readonly gap: string;
  readonly damaged: string;
}

const UNICODE: Glyphs = {
  ...{ window: "█", gap: "░", damaged: "✗" },
  ...{ full: "◆", increment: "▲", logical: "■", unfinished: "?" },
};
const ASCII: Glyphs = {
  ...{ window: "#", gap: "-", damaged: "X" },
  ...{ full: "F", increment: "I", logical: "L", unfinished: "?" },
};

/**
 * Windows, gaps and backups over time, one lane each, oldest at the left, as lines of at most
 * `width` columns. Needs no colour. Empty when there is nothing to show.
 */
export function drawChart(lanes: Lanes, { width, unicode }: ChartOptions): string {
  const columns = Math.max(LEAST_COLUMNS, width - NAME_COLUMNS);
  const scale = scaleOf(lanes, columns);
  if (!scale) return "";
  const glyphs = unicode ? UNICODE : ASCII;
  const [rule, labels] = drawAxis(scale, { unicode });
  const rows: readonly (readonly [string, string])[] = [
    ...lanes.timelines.map((lane) =>
      [`timeline ${lane.timeline}`, drawTimeline(lane, { scale, glyphs })] as const
    ),
    ...KINDS.filter((kind) => lanes.marks.some((mark) => mark.kind === kind))
      .map((kind) => [kind, drawMarks(lanes.marks, { kind, scale, glyphs })] as const),
    ...(lanes.storage.length > 1
      ? [["stored", drawStorage(lanes, { scale, unicode })] as const]
      : []),
    ["", rule],
    ["UTC", labels],
  ];
  const picture = rows.map(([name, cells]) =>
    `${name.slice(0, NAME_COLUMNS - 1).padEnd(NAME_COLUMNS)}${cells}`.trimEnd()
  );
  return [...picture, ...wrap(legend(lanes, { glyphs, unicode }), width)]
    .map((line) => `${line.replaceAll(HARD_BLANK, " ")}\n`).join("");
}

/** Where a line must not be cut. */
const HARD_BLANK = "\u00a0";
const KINDS: readonly MarkKind[] = ["full", "increment", "logical", "unfinished"];

function scaleOf({ timelines, marks, now }: Lanes, columns: number): TimeScale | undefined {
  const spans = timelines.flatMap(({ windows, gaps }) => [...windows, ...gaps]);
  const times = [...spans.flatMap(({ from, to }) => [from, to]), ...marks.map(({ time }) => time)];
  if (times.length === 0) return undefined;
  const to = times.reduce((most, time) => Math.max(most, time), now);
  const from = times.reduce((least, time) => Math.min(least, time), to - LEAST_SPAN);
  return { from, to, columns };
}

interface Drawing {
  readonly scale: TimeScale;
  readonly glyphs: Glyphs;
}

/** Gaps stand over windows: a short one must not vanish. */
function drawTimeline({ windows, gaps }: TimelineLane, { scale, glyphs }: Drawing): string {
  const cells = new Array<string>(scale.columns).fill(" ");
  const fill = ({ from, to }: Span, glyph: string) =>
    cells.fill(glyph, columnOf(scale, from), columnOf(scale, to) + 1);
  for (const span of windows) fill(span, glyphs.window);
  for (const span of gaps) fill(span, glyphs.gap);
  return cells.join("");
}

/** Several in one column are counted; one that is damaged is seen among them. */
function drawMarks(
  marks: readonly Mark[],
  { kind, scale, glyphs }: Drawing & { readonly kind: MarkKind },
): string {
  const byColumn = Map.groupBy(
    marks.filter((mark) => mark.kind === kind),
    ({ time }) => columnOf(scale, time),
  );
  return Array.from({ length: scale.columns }, (_, column) => {
    const here = byColumn.get(column) ?? [];
    if (here.length === 0) return " ";
    if (here.some(({ isDamaged }) => isDamaged)) return glyphs.damaged;
    return here.length === 1 ? glyphs[kind] : here.length > 9 ? "+" : String(here.length);
  }).join("");
}

/** In each column what was stored last, from the first sample on. */
function drawStorage(
  { storage }: Lanes,
  { scale, unicode }: { readonly scale: TimeScale; readonly unicode: boolean },
): string {
  const cells = new Array<number>(scale.columns).fill(0);
  for (const { time, bytes } of storage) {
    if (time >= scale.from) cells.fill(bytes, columnOf(scale, time));
    else cells.fill(bytes);
  }
  return sparkline(cells, { unicode });
}

/** Words that are one entry of the legend, each in one piece. */
function legend(
  { timelines, marks, storage }: Lanes,
  { glyphs, unicode }: { readonly glyphs: Glyphs; readonly unicode: boolean },
): string {
  const has = (kind: MarkKind) => marks.some((mark) => mark.kind === kind);
  const words = [
    timelines.some(({ windows }) => windows.length > 0) && `${glyphs.window} restorable`,
    timelines.some(({ gaps }) => gaps.length > 0) && `${glyphs.gap} WAL is missing`,
    has("full") && `${glyphs.full} full`,
    has("increment") && `${glyphs.increment} increment`,
    has("logical") && `${glyphs.logical} logical`,
    has("unfinished") && `${glyphs.unfinished} unfinished`,
    marks.some(({ isDamaged }) => isDamaged) && `${glyphs.damaged} damaged`,
    marks.length > 1 && "2-9 so many, + more",
    storage.length > 1 &&
    `stored: at most ${formatBytes(storage.reduce((most, { bytes }) => Math.max(most, bytes), 0))}`,
  ];
  return words.filter((word) => word !== false).map((word) => word.replaceAll(" ", HARD_BLANK))
    .join(unicode ? " · " : ", ");
}

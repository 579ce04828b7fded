import { html } from "hono/html";
import type { HtmlEscapedString } from "hono/utils/html";
import type { BackupManifest } from "../../catalog/catalog.ts";
import type { RepositorySnapshot } from "../snapshot.ts";
import type { PageText } from "./page_view.ts";

/** What a template yields. */
export type Html = HtmlEscapedString | Promise<HtmlEscapedString>;

/** Units from the left edge to the right one; the picture is stretched to its box. */
const WIDTH = 1000;
const ROW = 28;
/** Backups that are marked at most: more of them are one band. */
const MARKS = 400;

/** A stretch of time. */
interface Span {
  readonly from: number;
  readonly to: number;
}

interface Row {
  readonly timeline: number;
  readonly windows: readonly Span[];
  readonly gaps: readonly Span[];
}

/**
 * The restorable windows as bars, a row for each timeline, gaps hatched, backups as marks. Holds
 * no text, since text would be stretched with it; what it shows stands in the table below, too.
 */
export function timelineChart(
  repository: RepositorySnapshot,
  { text, now }: { readonly text: PageText; readonly now: Date },
): Html {
  const rows = rowsOf(repository, now.getTime());
  const begin = Math.min(...rows.flatMap(({ windows }) => windows.map(({ from }) => from)));
  const { words } = text;
  if (!Number.isFinite(begin)) return html`<p class="quiet">${words.noWindows}</p>`;
  const end = Math.max(now.getTime(), begin + 1);
  const scale = (time: number) => round((time - begin) / (end - begin) * WIDTH);
  const height = rows.length * ROW;
  const middle = new Date((begin + end) / 2);
  return html`
    <figure>
      <svg class="timeline" role="img" aria-label="${words
        .windows}" viewBox="0 0 ${WIDTH} ${height}"
        height="${height}" preserveAspectRatio="none">
    <defs><pattern id="hatch" width="8" height="8" patternUnits="userSpaceOnUse"
    patternTransform="rotate(45)"><rect class="gap-back" width="8" height="8"></rect><rect
    class="gap-line" width="3" height="8"></rect></pattern></defs>
    ${rows.map((row, index) => rowShapes(row, { top: index * ROW, scale }))}
    ${backupMarks(repository.backups, { begin, height, scale })}
      </svg>
      <figcaption>
        <div class="axis"><span>${text.time(new Date(begin))}</span><span
    class="wide">${text.time(middle)}</span><span>${words.now}</span></div>
        <ul class="legend">
          <li><i class="key window"></i>${words.window}</li>
          <li><i class="key gap"></i>${words.gap}</li>
          <li><i class="key full"></i>${words.backupMark}</li>
          <li><i class="key increment"></i>${words.incrementMark}</li>
        </ul>
      </figcaption>
    </figure>
  `;
}

/** Gaps have no times of their own: they lie between the windows around them. */
function rowsOf({ windows, gaps }: RepositorySnapshot, now: number): readonly Row[] {
  const timelines = [...new Set(windows.map(({ timeline }) => timeline))].sort((a, b) => a - b);
  return timelines.map((timeline) => {
    const spans = windows.filter((window) => window.timeline === timeline && window.from)
      .map(({ from, to, open }) => {
        const start = from!.getTime();
        return { from: start, to: Math.max(start, open ? now : to?.getTime() ?? start) };
      })
      .toSorted((a, b) => a.from - b.from);
    const torn = gaps.some((gap) => gap.timeline === timeline);
    // Behind its last window an older timeline was left, not torn.
    const end = timeline === timelines.at(-1) ? now : undefined;
    return { timeline, windows: spans, gaps: torn ? between(spans, end) : [] };
  });
}

function between(spans: readonly Span[], end: number | undefined): readonly Span[] {
  return spans.map(({ to }, index) => ({ from: to, to: spans[index + 1]?.from ?? end ?? to }))
    .filter(({ from, to }) => to > from);
}

function rowShapes(
  { windows, gaps }: Row,
  { top, scale }: { readonly top: number; readonly scale: (time: number) => number },
): Html {
  const bar = (kind: "window" | "gap") => ({ from, to }: Span) => {
    const left = scale(from);
    // A moment alone is still to be seen.
    const width = Math.max(3, round(scale(to) - left));
    const x = Math.min(left, WIDTH - 3);
    return html`
      <rect class="${kind}" x="${x}" y="${top + 6}" width="${width}"
        height="${ROW - 12}"></rect>
    `;
  };
  return html`
    <line class="rule" x1="0" x2="${WIDTH}" y1="${top + ROW / 2}"
      y2="${top + ROW / 2}"></line>${gaps.map(bar("gap"))}${windows.map(bar("window"))}
  `;
}

function backupMarks(
  backups: readonly BackupManifest[],
  { begin, height, scale }: {
    readonly begin: number;
    readonly height: number;
    readonly scale: (time: number) => number;
  },
): readonly Html[] {
  const physical = backups.filter(({ method, stoppedAt }) =>
    method === "physical" && Date.parse(stoppedAt) >= begin
  );
  return physical.slice(-MARKS).map(({ kind, stoppedAt }) => {
    const x = Math.min(Math.max(scale(Date.parse(stoppedAt)), 1), WIDTH - 1);
    const [name, top] = kind === "full" ? ["full", 0] : ["increment", height / 3];
    return html`
      <line class="mark ${name}" x1="${x}" x2="${x}" y1="${round(top)}"
        y2="${round(height - top)}"></line>
    `;
  });
}

/** Two digits behind the point are finer than any screen. */
export function round(value: number): number {
  return Math.round(value * 100) / 100;
}

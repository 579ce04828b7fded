import { html } from "hono/html";
import type { PageText, StoragePoint } from "./page_view.ts";
import { type Html, round } from "./timeline_chart.ts";

const WIDTH = 1000;
const HEIGHT = 120;
/** Points that are drawn at most. */
const POINTS = 500;

/** How much was stored, as a line over its area. */
export function storageChart(points: readonly StoragePoint[], text: PageText): Html {
  const { words } = text;
  const shown = thinned(points);
  const [first, last] = [shown[0], shown.at(-1)];
  if (!first || !last || shown.length < 2) return html`<p class="quiet">${words.unknown}</p>`;
  const most = Math.max(...shown.map(({ bytes }) => bytes), 1);
  const length = Math.max(last.at.getTime() - first.at.getTime(), 1);
  const place = ({ at, bytes }: StoragePoint) => ({
    x: round((at.getTime() - first.at.getTime()) / length * WIDTH),
    y: round(HEIGHT - 4 - bytes / most * (HEIGHT - 8)),
  });
  const line = shown.map(place).map(({ x, y }, index) =>
    // Steps: between two moments nobody has measured anything.
    index === 0 ? `M${x} ${y}` : `H${x}V${y}`
  ).join("");
  return html`
    <figure>
      <div class="axis"><span>${text.size(most)}</span></div>
      <svg class="storage" role="img" aria-label="${words.storage}" viewBox="0 0 ${WIDTH} ${HEIGHT}"
        height="${HEIGHT}" preserveAspectRatio="none">
        <path class="area" d="${line}V${HEIGHT}H0Z"></path>
        <path class="line" d="${line}"></path>
        <line class="rule" x1="0" x2="${WIDTH}" y1="${HEIGHT - 1}" y2="${HEIGHT - 1}"></line>
      </svg>
      <figcaption>
        <div
          class="axis"><span>${text.day(first.at)}</span><span>${words.storageNote}: ${text.size(
            last.bytes,
          )}</span><span>${text.day(last.at)}</span></div>
      </figcaption>
    </figure>
  `;
}

/** Every n-th point, and the last one. */
function thinned(points: readonly StoragePoint[]): readonly StoragePoint[] {
  const good = points.filter(({ at, bytes }) =>
    Number.isFinite(at.getTime()) && Number.isFinite(bytes) && bytes >= 0
  ).toSorted((a, b) => a.at.getTime() - b.at.getTime());
  const step = Math.ceil(good.length / POINTS);
  if (step <= 1) return good;
  return good.filter((_, index) => index % step === 0 || index === good.length - 1);
}

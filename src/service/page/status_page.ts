import { html, raw } from "hono/html";
import type { PageText, PageView } from "./page_view.ts";
import { safeText } from "./page_view.ts";
import {
  alertsSection,
  backupsSection,
  problemsSection,
  runsSection,
  scheduleSection,
  windowsTable,
} from "./page_sections.ts";
import { STYLES } from "./page_styles.ts";
import { storageChart } from "./storage_chart.ts";
import { type Html, timelineChart } from "./timeline_chart.ts";

/** Seconds after which a browser asks again. */
const AGAIN = 60;

/** The whole page. Everything that is not of this program is escaped, and cleared of what hides. */
export async function statusPage(view: PageView, text: PageText): Promise<string> {
  const { snapshot: { repository, takenAt } } = view;
  const { words } = text;
  const body = html`<main>${tiles(view, text)}
${problemsSection(view, text)}
${alertsSection(view, text)}
${
    repository
      ? html`<section><h2>${words.windows}</h2>${timelineChart(repository, { text, now: takenAt })}
${windowsTable(repository, text)}</section>`
      : ""
  }
<section><h2>${words.storage}</h2>${storageChart(view.storage, text)}</section>
${scheduleSection(view, text)}
${runsSection(view, text)}
${backupsSection(repository, text)}
</main>`;
  return await frame(html`${pageHeader(view, text)}${body}`, {
    text,
    title: `${safeText(view.snapshot.cluster)} · ${stateText(view, text)}`,
  });
}

/** Before the first snapshot is there. */
export async function waitingPage(text: PageText): Promise<string> {
  const body = html`
    <main>
      <section>
        <p>${text.words.waiting}</p>
      </section>
    </main>
  `;
  return await frame(body, { text, title: text.words.title });
}

async function frame(
  body: Html,
  { text, title }: { readonly text: PageText; readonly title: string },
): Promise<string> {
  const language = text.language === "pt" ? "pt-BR" : "en";
  return String(
    await html`
      <!doctype html>
      <html lang="${language}">
        <head>
          <meta charset="utf-8">
          <meta name="viewport"
            content="width=device-width,initial-scale=1">
          <meta name="color-scheme" content="light dark">
          <meta
            http-equiv="refresh" content="${AGAIN}">
          <title>${title}</title>
          <style>${raw(STYLES)}</style>
        </head>
        <body>${await body}</body>
      </html>
    `,
  );
}

function pageHeader(view: PageView, text: PageText): Html {
  const { snapshot: { cluster, host, version, takenAt } } = view;
  const { words } = text;
  const other = text.language === "pt" ? "en" : "pt";
  return html`
    <header>
      <h1>${words.title}: ${safeText(cluster)}</h1>
      <span class="state ${stateKind(view)}">${stateText(view, text)}</span>
      <a href="?lang=${other}" hreflang="${other}">${words.other}</a>
      <p>${words.takenAt} <time datetime="${takenAt.toISOString()}">${text.time(
        takenAt,
      )}</time> · ${words.utc} · ${safeText(host)} · backupctl ${safeText(version)}</p>
    </header>
  `;
}

function stateKind({ alerts, snapshot }: PageView): "good" | "warn" | "bad" {
  if (alerts.some(({ severity }) => severity === "critical")) return "bad";
  return alerts.length > 0 || snapshot.problems.length > 0 ? "warn" : "good";
}

function stateText(view: PageView, { words }: PageText): string {
  const count = view.alerts.length;
  if (count > 0) return words.alerts(count);
  return view.snapshot.problems.length > 0 ? words.problems : words.allWell;
}

/** The figures that matter most. */
function tiles(view: PageView, text: PageText): Html {
  const { words } = text;
  const found = [fullTile, windowTile, walTile, storedTile, nextTile].map((tile) =>
    tile(view, text)
  );
  const names = [
    ...[words.newestFull, words.restorableUntil, words.walWaiting],
    ...[words.stored, words.nextRun],
  ];
  return html`<dl class="tiles">${
    found.map(({ value, note, bad = false }, index) =>
      html`
        <div>
          <dt>${names[index]}</dt>
          <dd class="${bad ? "bad" : ""}">${value}</dd>
          <dd>${note}</dd>
        </div>
      `
    )
  }</dl>`;
}

interface Tile {
  readonly value: string;
  readonly note: string;
  readonly bad?: boolean;
}

function fullTile({ snapshot, alerts }: PageView, text: PageText): Tile {
  const newest = snapshot.repository?.backups.findLast(({ kind }) => kind === "full");
  const bad = alerts.some(({ rule }) => rule === "full_too_old");
  if (!newest) {
    return { value: snapshot.repository ? text.words.none : text.words.unknown, note: "", bad };
  }
  const stopped = new Date(newest.stoppedAt);
  const age = text.span(snapshot.takenAt.getTime() - stopped.getTime());
  return { value: text.words.ago(age), note: text.time(stopped), bad };
}

function windowTile({ snapshot: { repository } }: PageView, text: PageText): Tile {
  const { words } = text;
  if (!repository) return { value: words.unknown, note: "" };
  const { windows } = repository;
  const last = windows.findLast(({ open }) => open) ?? windows.at(-1);
  if (!last) return { value: words.none, note: "", bad: repository.gaps.length > 0 };
  const lag = last.lagSeconds === undefined ? "" : words.ago(text.span(last.lagSeconds * 1000));
  return { value: text.time(last.to), note: lag, bad: repository.gaps.length > 0 };
}

function walTile({ snapshot, alerts }: PageView, text: PageText): Tile {
  const { words } = text;
  const backlog = snapshot.server?.backlog;
  const bad = alerts.some(({ rule }) => rule === "wal_lag" || rule === "wal_conflict");
  if (!backlog) return { value: words.unknown, note: "", bad };
  const { files, oldestAt } = backlog;
  if (files === 0 || !oldestAt) return { value: words.files(files), note: words.nothingWaits, bad };
  const age = text.span(snapshot.takenAt.getTime() - oldestAt.getTime());
  return { value: words.files(files), note: words.oldestFor(age), bad };
}

function storedTile({ snapshot: { repository } }: PageView, text: PageText): Tile {
  if (!repository) return { value: text.words.unknown, note: "" };
  const { backupStoredBytes, walStoredBytes } = repository;
  const value = text.size(backupStoredBytes + walStoredBytes);
  return { value, note: text.words.ofWal(text.size(walStoredBytes)) };
}

function nextTile({ snapshot: { schedule, takenAt } }: PageView, text: PageText): Tile {
  const next = schedule.filter(({ nextRun }) => nextRun !== undefined)
    .toSorted((a, b) => a.nextRun!.getTime() - b.nextRun!.getTime())[0];
  if (!next) return { value: text.words.none, note: "" };
  const left = next.nextRun!.getTime() - takenAt.getTime();
  const value = left < 0 ? text.words.overdue : text.words.in(text.span(left));
  return { value, note: safeText(next.run, 60), bad: left < 0 };
}

import { html } from "hono/html";
import { formatSeconds } from "../../domain/bytes.ts";
import type { EntrySnapshot, RepositorySnapshot } from "../snapshot.ts";
import { type PageText, type PageView, safeText } from "./page_view.ts";
import type { Html } from "./timeline_chart.ts";

/** Backups and runs that are shown at most. */
const BACKUPS = 40;
const RUNS = 25;

/** A cell: text, or text with a class that says how good it is. */
type Cell = string | { readonly text: string; readonly kind: "good" | "bad" | "warn" | "number" };

/** A table that becomes a list of cards on a narrow screen; hence each cell's label. */
function table(titles: readonly string[], rows: readonly (readonly Cell[])[]): Html {
  return html`
    <table>
      <thead>
        <tr>${titles.map((title) => html`<th scope="col">${title}</th>`)}</tr>
      </thead>
      <tbody>${rows.map((row) =>
        html`
          <tr>${row.map((cell, index) => tableCell(cell, titles[index]!))}</tr>
        `
      )}</tbody>
    </table>
  `;
}

function tableCell(cell: Cell, title: string): Html {
  const [text, kind] = typeof cell === "string" ? [cell, ""] : [cell.text, cell.kind];
  return html`<td class="${kind}" data-label="${title}">${text}</td>`;
}

/** The alerts that hold. */
export function alertsSection({ alerts }: PageView, text: PageText): Html {
  const { words } = text;
  if (alerts.length === 0) {
    return html`
      <section>
        <h2>${words.alertsTitle}</h2>
        <p class="quiet">${words.noAlerts}</p>
      </section>
    `;
  }
  const items = alerts.map(({ severity, rule, title, detail, hint, since }) => {
    const kind = severity === "critical" ? words.critical : words.warning;
    return html`
      <li class="${severity}"><b>${kind}</b> ${text.alertTitle(title, rule)}
      ${detail === null ? "" : html`<p>${text.ofAlert(detail, rule)}</p>`}
      ${hint === null ? "" : html`<p>${words.hint}: ${text.ofAlert(hint, rule)}</p>`}
      <p>${words.since} ${text.time(new Date(since))}</p></li>
    `;
  });
  return html`
    <section>
      <h2>${words.alertsTitle}</h2>
      <ul class="alerts">${items}</ul>
    </section>
  `;
}

/** Parts that could not be asked. */
export function problemsSection({ snapshot: { problems } }: PageView, text: PageText): Html {
  if (problems.length === 0) return html``;
  const items = problems.map(({ part, message }) =>
    html`<li class="critical"><b>${text.word(part)}</b> ${safeText(message)}</li>`
  );
  return html`
    <section>
      <h2>${text.words.problems}</h2>
      <ul class="alerts">${items}</ul>
    </section>
  `;
}

/** The same as the picture above it, in words. */
export function windowsTable({ windows, gaps }: RepositorySnapshot, text: PageText): Html {
  if (windows.length === 0 && gaps.length === 0) return html``;
  const { words } = text;
  const rows = windows.slice(-20).map(({ timeline, from, to, open }) => [
    String(timeline),
    text.time(from),
    `${text.time(to)}${open ? " →" : ""}`,
    "",
  ]);
  const missing = gaps.slice(0, 20).map(({ timeline, fromWal, toWal }) => [
    String(timeline),
    "",
    "",
    { text: `${words.missing} ${safeText(fromWal)} – ${safeText(toWal)}`, kind: "bad" as const },
  ]);
  return table([words.timeline, words.from, words.to, words.gap], [...rows, ...missing]);
}

/** The newest backups. */
export function backupsSection(
  repository: RepositorySnapshot | undefined,
  text: PageText,
): Html {
  if (!repository) return html``;
  const { words } = text;
  const { backups, unreadable } = repository;
  const rows = backups.slice(-BACKUPS).toReversed().map((backup): readonly Cell[] => [
    safeText(backup.id),
    text.word(backup.method),
    text.word(backup.kind),
    safeText(backup.label ?? ""),
    text.time(new Date(backup.stoppedAt)),
    { text: text.size(backup.rawBytes), kind: "number" },
    { text: text.size(backup.storedBytes), kind: "number" },
  ]);
  const titles = [
    ...[words.id, words.method, words.kind, words.label, words.ended, words.size],
    words.storedColumn,
  ];
  const older = backups.length - rows.length;
  const broken = unreadable.map(({ key, reason }) =>
    html`<li class="critical"><b>${words.unreadable}</b> ${safeText(key)}: ${safeText(reason)}</li>`
  );
  return html`<section><h2>${words.backups}</h2>
${broken.length > 0 ? html`<ul class="alerts">${broken}</ul>` : ""}
${rows.length > 0 ? table(titles, rows) : html`<p class="quiet">${words.noBackups}</p>`}
${older > 0 ? html`<p class="quiet">${words.older(older)}</p>` : ""}</section>`;
}

const KINDS: Readonly<Record<string, "good" | "bad" | "warn">> = {
  succeeded: "good",
  failed: "bad",
  interrupted: "warn",
  lost: "warn",
  skipped: "warn",
};

function outcomeCell(outcome: string, text: PageText): Cell {
  const kind = KINDS[outcome];
  return kind ? { text: text.word(outcome), kind } : text.word(outcome);
}

/** The last runs, whoever started them. */
export function runsSection({ snapshot: { runs } }: PageView, text: PageText): Html {
  const { words } = text;
  const rows = runs.slice(0, RUNS).map((run): readonly Cell[] => [
    safeText(run.operation),
    outcomeCell(run.outcome, text),
    text.time(new Date(run.finishedAt)),
    formatSeconds(run.durationSeconds),
    safeText(run.host ?? ""),
    safeText(run.error?.message ?? ""),
  ]);
  const titles = [words.operation, words.outcome, words.ended, words.took, words.host, words.error];
  return html`<section><h2>${words.runs}</h2>
${rows.length > 0 ? table(titles, rows) : html`<p class="quiet">${words.noRuns}</p>`}</section>`;
}

/** The schedule, and who runs it. */
export function scheduleSection({ snapshot }: PageView, text: PageText): Html {
  const { words } = text;
  const rows = snapshot.schedule.map((entry) => entryRow(entry, { text, now: snapshot.takenAt }));
  const titles = [words.name, words.cron, words.command, words.next, words.last];
  const holder = snapshot.leader?.holder;
  return html`<section><h2>${words.schedule}</h2>
${rows.length > 0 ? table(titles, rows) : html`<p class="quiet">${words.noSchedule}</p>`}
${
    holder === undefined
      ? ""
      : html`<p class="quiet">${words.leader(safeText(holder))}</p>`
  }</section>`;
}

function entryRow(
  { name, cron, run, timezone, nextRun, last }: EntrySnapshot,
  { text, now }: { readonly text: PageText; readonly now: Date },
): readonly Cell[] {
  const { words } = text;
  const late = nextRun !== undefined && nextRun < now;
  const next = `${text.time(nextRun)}${late ? `, ${words.overdue}` : ""}`;
  return [
    safeText(name),
    `${safeText(cron)}${timezone === undefined ? "" : ` ${safeText(timezone)}`}`,
    safeText(run),
    late ? { text: next, kind: "warn" } : next,
    last ? outcomeCell(last.outcome, text) : "",
  ];
}

import { backupChain, type BackupManifest, type Repository } from "../../catalog/catalog.ts";
import { IntegrityError } from "../../domain/errors.ts";
import { escapeControl } from "../../log/format_record.ts";
import { type Command, type Context, printResult } from "../context.ts";
import type { CommandOf } from "../grammar/grammar.ts";
import { openCatalog, openerOf, openStore } from "../open_parts.ts";
import { loadSettings } from "../session.ts";
import { readSurroundings } from "../status/backup_facts.ts";
import { type BackupPage, backupPageDocument, backupPageText } from "../status/backup_page.ts";
import { lanesOf } from "../status/chart_lanes.ts";
import { collectStatus, type StatusFound } from "../status/collect_status.ts";
import { drawChart } from "../status/draw_chart.ts";
import { newestOf, statusDocument } from "../status/status_document.ts";
import { lookOf, statusText } from "../status/status_text.ts";
import { watchStatus } from "../status/watch_status.ts";
import { paragraph } from "../wrap.ts";

type Line = CommandOf<"status">;

/** Backups that are shown while watching: what scrolls out of sight is no picture. */
const WATCHED = 10;
/** Columns where nobody knows how many there are. */
const DEFAULT_WIDTH = 80;

/** What can be restored, then the backups; the server and the index may add to it, or be gone. */
export const status: Command<Line> = async (line, context) => {
  if (line.backupId !== undefined) {
    const page = await readPage(line.backupId, context);
    printResult(context, {
      json: () => backupPageDocument(page),
      text: () => backupPageText(page, lookOf(context.terminal)),
    });
    return 0;
  }
  const json = (found: StatusFound) => statusDocument(found, line.last);
  if (line.watch) {
    const last = line.last ?? (line.chart ? undefined : WATCHED);
    const text = (found: StatusFound) => textOf(found, { ...line, last }, context);
    return await watchStatus({ collect: () => collectStatus(context), text, json }, context);
  }
  const found = await collectStatus(context);
  printResult(context, { json: () => json(found), text: () => textOf(found, line, context) });
  if (context.options.output !== "json") warn(found, context);
  return 0;
};

function textOf(
  found: StatusFound,
  { last, chart }: Pick<Line, "last" | "chart">,
  { terminal }: Context,
): string {
  const look = lookOf(terminal);
  if (!chart) return statusText(found, { last, look });
  const lanes = lanesOf(found, newestOf(found.backups, last));
  const width = look.width ?? DEFAULT_WIDTH;
  const picture = drawChart(lanes, { width, unicode: terminal.unicode });
  if (picture === "") return statusText(found, { last, look });
  return `cluster ${found.cluster} in ${found.location}\n\n${picture}`;
}

/** What is not as it should be, beside the result. */
function warn(found: StatusFound, { terminal: { stderr } }: Context): void {
  const lines = [
    ...found.unreadable.map(({ key, reason }) => `${key} cannot be read: ${reason}`),
    ...found.foreign.map((path) =>
      `${path} is a symbolic link inside the repository; what is behind it was left out`
    ),
    ...found.troubles,
  ];
  for (const line of lines) {
    stderr.write(paragraph(`warning: ${escapeControl(line)}`, stderr.columns()));
  }
}

async function readPage(id: string, context: Context): Promise<BackupPage> {
  const { config } = await loadSettings(context);
  const store = await openStore(config);
  try {
    const { signal, clock } = context;
    const repository = await openCatalog(store, config);
    const backup = await repository.backup(id, signal);
    const { chain, whole } = await chainOf(backup, { repository, signal });
    const { cluster } = repository;
    const opener = await openerOf(config);
    const around = await readSurroundings(store, {
      ...{ cluster, backups: [backup], now: clock.now(), signal },
      ...(opener && { opener }),
    });
    return { backup, facts: { ...around.factsOf(backup), broken: !whole }, chain };
  } finally {
    await store.close?.();
  }
}

/** Only an increment asks for the other manifests. */
async function chainOf(
  backup: BackupManifest,
  { repository, signal }: { readonly repository: Repository; readonly signal: AbortSignal },
): Promise<{ readonly chain: readonly BackupManifest[]; readonly whole: boolean }> {
  if (backup.parentId === null) return { chain: [backup], whole: true };
  try {
    const backups = await repository.backups({ withObjects: false, onForeign: () => {}, signal });
    return { chain: backupChain(backup, backups), whole: true };
  } catch (error) {
    if (error instanceof IntegrityError) return { chain: [backup], whole: false };
    throw error;
  }
}

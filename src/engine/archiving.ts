/**
 * Whether a server archives its WAL with backupctl into this repository, asked of the server and
 * of the store: what one of them says alone is not enough.
 *
 * @module
 */
import { counted } from "../domain/counted.ts";
import { parseWalName } from "../domain/wal.ts";
import { parseWalKey, timelineFolder, walKey, type WalPlace } from "../domain/wal_key.ts";
import type { PostgresServer } from "../postgres/postgres.ts";
import type { ObjectStore, ReadOptions } from "../storage/storage.ts";

/** How a server archives. */
export interface Archiving {
  /** `off`, `on` or `always`; undefined when the role may not see it. */
  readonly mode: string | undefined;
  /** What it runs for each file. */
  readonly command: string | undefined;
  /** Whether the command is one of backupctl's. */
  readonly byBackupctl: boolean;
  /** From pg_stat_archiver. */
  readonly lastArchived: string | undefined;
  /** The file that failed last. */
  readonly lastFailed: string | undefined;
  /** When that was. */
  readonly lastFailedAt: Date | undefined;
  /** When {@link Archiving.lastArchived} was archived. */
  readonly lastArchivedAt: Date | undefined;
  /** Since the statistics were reset. */
  readonly failedCount: number;
}

/** What a server still has to archive. */
export interface WalBacklog {
  /** Files with a `.ready` mark. */
  readonly files: number;
  /** Of whole segments; the last one may be all there is of it. */
  readonly bytes: number;
  /** Since when the oldest of them waits. */
  readonly oldestAt: Date | undefined;
}

/** A program called backupctl, and behind it one of its commands that archive. */
const OWN_COMMAND =
  /(?:^|[\s/'"])backupctl(?:\.sh)?['"]?\s(?:.*\s)?(?:wal-push|archive-push|backup\s+incremental)\b/;
const STATISTICS = "select last_archived_wal, last_archived_time, last_failed_wal, " +
  "last_failed_time, failed_count::text from pg_catalog.pg_stat_archiver";

const BACKLOG = "select count(*)::text as files, min(modification) as oldest, " +
  "pg_catalog.pg_size_bytes(pg_catalog.current_setting('wal_segment_size'))::text as segment " +
  "from pg_catalog.pg_ls_archive_statusdir() where name like '%.ready'";

/**
 * How much waits to be archived. A failing archive_command that ends with more than 125 is counted
 * nowhere else.
 *
 * @throws {PostgresError} when the role is no member of pg_monitor.
 */
export async function readBacklog(server: PostgresServer): Promise<WalBacklog> {
  const [row = {}] = await server.query(BACKLOG);
  const files = Number(row["files"] ?? 0);
  return { files, bytes: files * Number(row["segment"] ?? 0), oldestAt: time(row["oldest"]) };
}

/** Asks the server. @throws {PostgresError} */
export async function readArchiving(server: PostgresServer): Promise<Archiving> {
  const settings = await server.settings(["archive_mode", "archive_command"]);
  const command = settings.get("archive_command");
  const [row = {}] = await server.query(STATISTICS);
  return {
    mode: settings.get("archive_mode"),
    command,
    byBackupctl: command !== undefined && isOwnCommand(command),
    lastArchived: text(row["last_archived_wal"]),
    lastArchivedAt: time(row["last_archived_time"]),
    lastFailed: text(row["last_failed_wal"]),
    lastFailedAt: time(row["last_failed_time"]),
    failedCount: Number(row["failed_count"] ?? 0),
  };
}

/** Whether an archive_command calls backupctl. */
export function isOwnCommand(command: string): boolean {
  return OWN_COMMAND.test(command);
}

/**
 * Why the WAL of this server cannot be counted on to arrive in this repository, in words that end
 * "point-in-time recovery would need …"; undefined when it can. The store decides: whatever the
 * command is called, the newest segment that the server gave away is here or is not.
 */
export async function whyNotArchived(
  store: ObjectStore,
  { mode, byBackupctl, lastArchived }: Archiving,
  { place, ...reading }: ReadOptions & { readonly place: WalPlace },
): Promise<string | undefined> {
  const otherCommand = "archive_command = 'backupctl wal-push %p'";
  if (mode !== "on" && mode !== "always") {
    return `archive_mode = on (it is ${mode ?? "hidden from this role"}) and ${otherCommand}`;
  }
  const name = lastArchived === undefined ? undefined : parseWalName(lastArchived);
  if (name && await store.head(walKey(place, name), reading)) return undefined;
  if (!byBackupctl) return otherCommand;
  if (!name) return "a first archived segment: select pg_switch_wal() makes one";
  return `the archived WAL in this repository, where its newest, ${name.name}, is missing`;
}

/**
 * Whether what the server archived last went into another repository, or under another cluster's
 * name: it is not here, nor is any later segment of its timeline.
 */
export async function isArchivedElsewhere(
  store: ObjectStore,
  { lastArchived }: Archiving,
  { place, ...reading }: ReadOptions & { readonly place: WalPlace },
): Promise<boolean> {
  const name = lastArchived === undefined ? undefined : parseWalName(lastArchived);
  if (!name || await store.head(walKey(place, name), reading)) return false;
  const segment = parseWalName(name.name.slice(0, 24));
  const startAfter = segment?.kind === "segment" ? { startAfter: walKey(place, segment) } : {};
  const folder = timelineFolder(place, name.timeline);
  for await (const { key } of store.list(folder, { ...reading, ...startAfter })) {
    if (parseWalKey(place, key)?.kind === "segment") return false;
  }
  return true;
}

/** Whether all is set up, and the server has not archived anything since. */
export function awaitsFirstSegment({ mode, byBackupctl, lastArchived }: Archiving): boolean {
  const on = mode === "on" || mode === "always";
  return on && byBackupctl && lastArchived === undefined;
}

/** Whether a physical backup should wait until its WAL is in this repository. */
export async function archivesHere(
  store: ObjectStore,
  archiving: Archiving,
  options: ReadOptions & { readonly place: WalPlace },
): Promise<boolean> {
  const on = archiving.mode === "on" || archiving.mode === "always";
  if (on && archiving.byBackupctl) return true;
  return on && await whyNotArchived(store, archiving, options) === undefined;
}

/** For messages: what the archiver last did. */
export function describeArchiver(archiving: Archiving): string {
  const { lastArchived, lastFailed, failedCount, mode } = archiving;
  if (mode === "off") return "archive_mode is off";
  const last = lastArchived === undefined
    ? "nothing was archived yet"
    : `the last archived is ${lastArchived}`;
  if (failedCount === 0 || lastFailed === undefined) return last;
  return `${last}, ${counted(failedCount, "attempt")} failed, the last one with ${lastFailed}`;
}

function text(value: unknown): string | undefined {
  return value === null || value === undefined ? undefined : String(value);
}

function time(value: unknown): Date | undefined {
  if (value === null || value === undefined) return undefined;
  const date = value instanceof Date ? value : new Date(String(value));
  return Number.isNaN(date.getTime()) ? undefined : date;
}

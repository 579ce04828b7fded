/**
 * What was found out about stored backups: one small object for each verification and each drill,
 * `<cluster>/<system>/verified/<backup>/<time>-<outcome>.json` and `…/drilled/…`. Nothing is ever
 * rewritten, and the outcome stands in the name, so that one listing tells all of it.
 *
 * @module
 */
import { isBackupId } from "../domain/backup_id.ts";
import { ObjectExistsError } from "../domain/errors.ts";
import type { ObjectStore, ReadOptions } from "../storage/storage.ts";
import { clusterFolder } from "./layout.ts";
import { stableJson } from "./stable_json.ts";

/** What was done with a backup. */
export type CheckKind = "verified" | "drilled";
/** How it ended; `sampled`: nothing wrong was seen, and not everything was looked at. */
export type CheckOutcome = "ok" | "sampled" | "damaged" | "failed";

/** Which object a check is about. */
export interface CheckPlace {
  readonly cluster: string;
  readonly systemIdentifier: string;
  readonly kind: CheckKind;
  /** A backup's name; `wal` for the archive of the system. */
  readonly subject: string;
}

/** A check that is to be written down. */
export interface NewCheck extends CheckPlace {
  readonly outcome: CheckOutcome;
  readonly finishedAt: Date;
  /** Stands in the object, besides what its key says. */
  readonly details: Readonly<Record<string, unknown>>;
}

/** A check as a listing shows it. */
export interface ListedCheck {
  readonly key: string;
  readonly outcome: CheckOutcome;
  readonly at: Date;
}

/** What is known of one backup. */
export interface BackupChecks {
  /** When every byte of it was read back and was right; null when never, or damage was found since. */
  readonly verifiedAt: Date | null;
  /** When damage was found and nothing since took it back. */
  readonly damagedAt: Date | null;
  /** When a drill last succeeded; null when never, or the last one failed. */
  readonly drilledAt: Date | null;
  /** When a drill failed and none succeeded since. */
  readonly drillFailedAt: Date | null;
}

const NAME = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)(\d{3})Z-(ok|sampled|damaged|failed)\.json$/;
/** Names of the same millisecond are tried one after the other. */
const MOST_TRIES = 100;

/** `…/verified/<backup>/`: the folder of the checks of one subject. */
export function checkFolder(
  { cluster, systemIdentifier, kind, subject }: CheckPlace,
): string {
  return `${clusterFolder(cluster)}${systemIdentifier}/${kind}/${subject}/`;
}

/**
 * Writes a check down, durably, as a new object.
 *
 * @returns its key.
 * @throws {StorageError}
 */
export async function recordCheck(store: ObjectStore, check: NewCheck): Promise<string> {
  for (let again = 0;; again++) {
    const at = new Date(check.finishedAt.getTime() + again);
    const key = `${checkFolder(check)}${timeName(at)}-${check.outcome}.json`;
    try {
      await store.put(key, new TextEncoder().encode(text(check, at)), { ifAbsent: true });
      return key;
    } catch (error) {
      if (!(error instanceof ObjectExistsError) || again >= MOST_TRIES) throw error;
    }
  }
}

/** The checks of one subject, oldest first. @throws {StorageError} */
export async function listChecks(
  store: ObjectStore,
  place: CheckPlace,
  options: ReadOptions = {},
): Promise<readonly ListedCheck[]> {
  const folder = checkFolder(place);
  const found: ListedCheck[] = [];
  for await (const { key } of store.list(folder, options)) {
    const check = parseName(key.slice(folder.length));
    if (check) found.push({ key, ...check });
  }
  return found;
}

/**
 * What is known of every backup of a system: two listings, nothing is read.
 *
 * @returns by the backup's name; backups that nobody looked at are absent.
 * @throws {StorageError}
 */
export async function readChecks(
  store: ObjectStore,
  { cluster, systemIdentifier, ...options }: ReadOptions & {
    readonly cluster: string;
    readonly systemIdentifier: string;
  },
): Promise<ReadonlyMap<string, BackupChecks>> {
  const checks = new Map<string, BackupChecks>();
  for (const kind of ["verified", "drilled"] as const) {
    const folder = `${clusterFolder(cluster)}${systemIdentifier}/${kind}/`;
    for await (const { key } of store.list(folder, options)) {
      const [id = "", name = "", ...rest] = key.slice(folder.length).split("/");
      const check = rest.length === 0 && isBackupId(id) ? parseName(name) : undefined;
      if (check) checks.set(id, after(checks.get(id) ?? UNKNOWN, kind, check));
    }
  }
  return checks;
}

const UNKNOWN: BackupChecks = {
  verifiedAt: null,
  damagedAt: null,
  drilledAt: null,
  drillFailedAt: null,
};

/** When a backup was last read back whole and right, in RFC 3339; null when nobody knows. */
export function verifiedAt(
  checks: ReadonlyMap<string, BackupChecks>,
  backupId: string,
): string | null {
  return checks.get(backupId)?.verifiedAt?.toISOString() ?? null;
}

/** When a drill of a backup last succeeded, in RFC 3339; null when none did, or one failed since. */
export function drilledAt(
  checks: ReadonlyMap<string, BackupChecks>,
  backupId: string,
): string | null {
  return checks.get(backupId)?.drilledAt?.toISOString() ?? null;
}

/** Keys come in the order of time, so each check stands over those before it. */
function after(
  known: BackupChecks,
  kind: CheckKind,
  { outcome, at }: Omit<ListedCheck, "key">,
): BackupChecks {
  if (outcome === "sampled") return known;
  const [good, bad] = outcome === "ok" ? [at, null] : [null, at];
  return kind === "verified"
    ? { ...known, verifiedAt: good, damagedAt: bad }
    : { ...known, drilledAt: good, drillFailedAt: bad };
}

function text({ cluster, systemIdentifier, kind, subject, outcome, details }: NewCheck, at: Date) {
  return stableJson({
    ...details,
    format: `backupctl.${kind}`,
    version: 1,
    ...{ cluster, systemIdentifier, subject, outcome },
    finishedAt: at.toISOString(),
  });
}

/** `20261123T022415123Z`: sorts as time does. */
function timeName(at: Date): string {
  return at.toISOString().replace(/[-:.]/g, "");
}

function parseName(name: string): Omit<ListedCheck, "key"> | undefined {
  const match = NAME.exec(name);
  if (!match) return undefined;
  const [, year, month, day, hour, minute, second, millis, outcome] = match;
  const at = new Date(`${year}-${month}-${day}T${hour}:${minute}:${second}.${millis}Z`);
  return Number.isNaN(at.getTime()) ? undefined : { outcome: outcome as CheckOutcome, at };
}

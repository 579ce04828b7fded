import {
  backupChain,
  type BackupManifest,
  type Repository,
  type UnreadableBackup,
} from "../../../catalog/catalog.ts";
import { isBackupId } from "../../../domain/backup_id.ts";
import { IntegrityError } from "../../../domain/errors.ts";
import type { ServerIdentity } from "../../../postgres/postgres.ts";
import type { ObjectStore } from "../../../storage/storage.ts";
import { absentObjects } from "../../absent_objects.ts";
import type { IncrementalSource } from "../../parts.ts";

/** What an increment is put on top of, and who finds what changed since. */
export interface ChosenParent {
  /** Of the backup that it builds on. */
  readonly parent: BackupManifest;
  /** Who finds what changed since. */
  readonly source: IncrementalSource;
}

/** Why there is nothing for an increment. */
export interface NoParent {
  /** For people: what stands against it. */
  readonly because: string;
}

/** Either of them. */
export type ParentChoice = ChosenParent | NoParent;

/** Who asks for a parent. */
export interface ParentQuestion {
  readonly repository: Repository;
  readonly store: ObjectStore;
  readonly identity: ServerIdentity;
  /** So many increments may stand on one full backup. */
  readonly maxChain: number;
  readonly signal?: AbortSignal;
}

/**
 * The newest physical backup of the system, when an increment may stand on it. A full backup is the
 * answer to every doubt: a changed timeline (WAL summaries of a branch that was left mislead),
 * another checksum state, a chain at its limit, any object of it missing or of another length.
 *
 * @throws {StorageError} when the store cannot be asked.
 */
export async function chooseParent(
  question: ParentQuestion,
): Promise<{ readonly parent: BackupManifest } | NoParent> {
  const { repository, identity, signal } = question;
  const unreadable: UnreadableBackup[] = [];
  const backups = await repository.backups({
    onUnreadable: (backup) => void unreadable.push(backup),
    mayBeNone: true,
    ...(signal && { signal }),
  });
  const own = backups.filter(({ method, systemIdentifier }) =>
    method === "physical" && systemIdentifier === identity.systemIdentifier
  );
  const newest = own.at(-1);
  if (!newest) {
    return { because: "there is no physical backup of this system to build on" };
  }
  const because = laterUnreadable(unreadable, newest) ?? unlike(newest, identity) ??
    await chainFault(newest, own, question);
  return because === undefined ? { parent: newest } : { because };
}

/** A backup that began later and cannot be read: nobody knows what it is. */
function laterUnreadable(
  unreadable: readonly UnreadableBackup[],
  newest: BackupManifest,
): string | undefined {
  const ids = unreadable.map(({ key }) => key.split("/").at(-2) ?? "").filter(isBackupId);
  const later = ids.find((id) => id > newest.id && !id.endsWith("-L"));
  return later && `the manifest of the newest backup, ${later}, cannot be read`;
}

/** What changed in the server since. */
function unlike(newest: BackupManifest, identity: ServerIdentity): string | undefined {
  const { id, timeline, pageChecksums, postgresVersion } = newest;
  if (timeline !== identity.timeline) {
    return `the server is on timeline ${identity.timeline}, and ${id}, the newest backup, on ${timeline}`;
  }
  if (pageChecksums !== identity.dataChecksums) {
    return `page checksums were switched ${identity.dataChecksums ? "on" : "off"} since ${id}`;
  }
  const [then, now] = [postgresVersion, identity.version].map((one) => Math.floor(one / 10_000));
  return then === now ? undefined : `${id} is of PostgreSQL ${then}, and the server is ${now}`;
}

async function chainFault(
  newest: BackupManifest,
  own: readonly BackupManifest[],
  { repository, store, maxChain, signal }: ParentQuestion,
): Promise<string | undefined> {
  let chain: readonly BackupManifest[];
  try {
    chain = backupChain(newest, own);
  } catch (error) {
    if (error instanceof IntegrityError) return error.message;
    throw error;
  }
  const increments = chain.length - 1;
  if (increments >= maxChain) {
    return `${increments} increments stand on ${
      chain[0]!.id
    }, and backup.max_chain allows ${maxChain}`;
  }
  for (const backup of chain) {
    const reading = signal ? { signal } : {};
    const [absent] = await absentObjects(backup, { store, repository, ...reading });
    if (absent !== undefined) return `backup ${backup.id} is damaged: ${absent}`;
  }
  return undefined;
}

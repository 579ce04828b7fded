import {
  type BackupManifest,
  newestDrill,
  type Repository,
  type RunRecord,
  type SucceededDrill,
  type UnreadableBackup,
} from "../catalog/catalog.ts";
import type { Clock } from "../domain/clock.ts";
import { BackupctlError, RunFailedError } from "../domain/errors.ts";
import { readArchiving, readBacklog, reportWal, viewNewestArchive } from "../engine/engine.ts";
import type { PostgresServer } from "../postgres/postgres.ts";
import type { ObjectStore } from "../storage/storage.ts";
import type {
  EntrySnapshot,
  LeaderSnapshot,
  RepositorySnapshot,
  ServerSnapshot,
  ServiceSnapshot,
  SnapshotProblem,
} from "./snapshot.ts";
import { withDeadline } from "./with_deadline.ts";

/** Whom to ask, and what is known without asking. */
export interface GatherParts {
  readonly repository: Repository;
  readonly store: ObjectStore;
  readonly clock: Clock;
  readonly host: string;
  readonly version: string;
  /** Opens a connection that is closed again. Undefined: the server is not to be asked. */
  readonly openServer?: () => Promise<PostgresServer & AsyncDisposable>;
  /** The newest first, at most a few hundred. Undefined: there is no catalogue. */
  readonly recentRuns?: () => Promise<readonly RunRecord[]>;
  /** Of the repository's file system; undefined for a bucket. */
  readonly disk?: () => Promise<RepositorySnapshot["disk"]>;
  readonly schedule?: () => readonly EntrySnapshot[];
  readonly leader?: () => LeaderSnapshot;
  readonly configFault?: () => string | undefined;
}

/** Milliseconds that each may take. Listing an archive of a million segments takes a minute. */
const PATIENCE = { repository: 300_000, server: 15_000, runs: 15_000 } as const;

/**
 * Asks the repository, the server and the catalogue, each for itself: one that cannot be reached
 * becomes a problem of the snapshot, and the others are still told.
 *
 * @throws what is no expected failure.
 */
export async function gatherSnapshot(
  parts: GatherParts,
  signal?: AbortSignal,
): Promise<ServiceSnapshot> {
  const { clock, host, version, repository: { cluster } } = parts;
  const [takenAt, start] = [clock.now(), clock.monotonic()];
  const problems: SnapshotProblem[] = [];
  const ask = async <T>(
    part: SnapshotProblem["part"],
    question: (signal: AbortSignal) => Promise<T>,
  ) => {
    try {
      return await withDeadline(question, {
        limit: PATIENCE[part],
        late: () => tooLate(part),
        signal,
      });
    } catch (error) {
      if (signal?.aborted || !(error instanceof BackupctlError)) throw error;
      problems.push({ part, message: error.message });
      return undefined;
    }
  };
  const [repository, server, runs] = await Promise.all([
    ask("repository", (limit) => askRepository(parts, limit)),
    ask("server", () => askServer(parts)),
    ask("runs", async () => await parts.recentRuns?.() ?? []),
  ]);
  return {
    ...{ cluster, host, version, takenAt, problems, repository, server },
    tookSeconds: (clock.monotonic() - start) / 1000,
    runs: runs ?? [],
    schedule: parts.schedule?.() ?? [],
    leader: parts.leader?.(),
    configFault: parts.configFault?.(),
  };
}

async function askRepository(
  { repository, store, clock, disk }: GatherParts,
  signal: AbortSignal,
): Promise<RepositorySnapshot> {
  const reading = { signal };
  const unreadable: UnreadableBackup[] = [];
  const onUnreadable = (backup: UnreadableBackup) => void unreadable.push(backup);
  const backups = await repository.backups({ onUnreadable, ...reading });
  const { cluster, location } = repository;
  const view = await viewNewestArchive(store, { cluster, backups, ...reading });
  const wal = view && reportWal(view, { now: clock.now() });
  return {
    ...{ location, backups, unreadable },
    windows: wal?.windows ?? [],
    gaps: wal?.gaps ?? [],
    lastArchived: wal?.lastArchived,
    lastArchivedAt: wal?.lastArchivedAt,
    walSegments: wal?.segments ?? 0,
    walStoredBytes: wal?.storedBytes ?? 0,
    backupStoredBytes: backups.reduce((sum, { storedBytes }) => sum + storedBytes, 0),
    lastDrill: await lastDrill(store, { cluster, backups, signal }),
    disk: await disk?.(),
  };
}

/** Of the system that was backed up last. */
async function lastDrill(
  store: ObjectStore,
  { cluster, backups, signal }: {
    readonly cluster: string;
    readonly backups: readonly BackupManifest[];
    readonly signal: AbortSignal;
  },
): Promise<SucceededDrill | undefined> {
  const systemIdentifier = backups.at(-1)?.systemIdentifier;
  if (systemIdentifier === undefined) return undefined;
  return await newestDrill(store, { cluster, systemIdentifier, signal });
}

/** The backlog needs a right that the role may not have. */
async function askServer({ openServer }: GatherParts): Promise<ServerSnapshot | undefined> {
  if (!openServer) return undefined;
  await using server = await openServer();
  const archiving = await readArchiving(server);
  const backlog = await readBacklog(server).catch((error) => {
    if (error instanceof BackupctlError) return undefined;
    throw error;
  });
  return { archiving, backlog };
}

function tooLate(part: SnapshotProblem["part"]): Error {
  return new RunFailedError(`no answer within ${PATIENCE[part] / 1000} seconds`);
}

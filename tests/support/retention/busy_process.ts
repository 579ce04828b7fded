/**
 * One of the hosts that work on a repository at the same time. Its one argument is JSON, see
 * {@link BusyPlan}; it prints what it did as JSON, and ends with another status than 0 when
 * something that it needed was taken away.
 */
import type { BackupManifest } from "../../../src/catalog/catalog.ts";
import { WorkerPool } from "../../../src/codec/worker_pool.ts";
import { systemClock } from "../../../src/domain/clock.ts";
import { LeaseHeldError, NothingMatchesError } from "../../../src/domain/errors.ts";
import { parseRetentionPolicy } from "../../../src/domain/retention_policy.ts";
import { silentProgress } from "../../../src/domain/progress.ts";
import { BackupEngine } from "../../../src/engine/backup_engine.ts";
import { confirmHeld, holdLease } from "../../../src/engine/hold_lease.ts";
import type { BackupParts, RestoreParts } from "../../../src/engine/parts.ts";
import { RestoreEngine } from "../../../src/engine/restore_engine.ts";
import { PruneEngine } from "../../../src/engine/retention/prune_engine.ts";
import type { PruneParts } from "../../../src/engine/retention/prune_parts.ts";
import { DirectoryStore } from "../../../src/storage/directory.ts";
import { samplePhysical } from "../manifests.ts";
import { source } from "../physical_world.ts";
import { pruneParts } from "./stored_world.ts";

/** What to do. */
export interface BusyPlan {
  readonly role: "prune" | "backup" | "increment" | "restore";
  readonly folder: string;
  /** How often; absent: until the file `stop` stands in the folder. */
  readonly times?: number;
  readonly policy: string;
}

/** What came of it. */
export interface BusyReport {
  readonly done: number;
  /** Another run stood in the way, or what was chosen had just gone. */
  readonly refused: number;
  readonly removed: number;
}

const SYSTEM = "7345678901234567890";

async function work(plan: BusyPlan): Promise<BusyReport> {
  const parts = pruneParts(new DirectoryStore(`${plan.folder}/repository`), {
    ...{ cluster: "main", host: plan.role, batchKeys: 1 },
  });
  using codecs = new WorkerPool(1);
  const report = { done: 0, refused: 0, removed: 0 };
  const isOver = async () =>
    plan.times === undefined
      ? await Deno.lstat(`${plan.folder}/stop`).then(() => true, () => false)
      : report.done >= plan.times;
  while (!await isOver()) {
    try {
      report.removed += await ROLES[plan.role](parts, { plan, codecs });
      report.done += 1;
    } catch (error) {
      const isExpected = error instanceof LeaseHeldError || error instanceof NothingMatchesError;
      if (!isExpected) throw error;
      report.refused += 1;
    }
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 30));
  }
  return report;
}

interface Tools {
  readonly plan: BusyPlan;
  readonly codecs: WorkerPool;
}

const ROLES: Record<BusyPlan["role"], (parts: PruneParts, tools: Tools) => Promise<number>> = {
  prune: async (parts, { plan }) => {
    const options = { policy: parseRetentionPolicy(plan.policy), force: true, orphans: true };
    return (await new PruneEngine(parts).run(options))!.removal.remove.length;
  },
  backup: async (parts, { codecs }) => {
    await new BackupEngine(backupParts(parts, codecs)).full({
      ...{ method: "physical", fastCheckpoint: true, codec: { algorithm: "zstd", level: 1 } },
    });
    return 0;
  },
  increment: async (parts) => {
    const parent = any(await parts.repository.backups());
    await increment(parts, parent);
    return 0;
  },
  restore: async (parts, { plan, codecs }) => {
    const backup = any((await parts.repository.backups()).filter(({ kind }) => kind === "full"));
    const destination = `${plan.folder}/restored-${crypto.randomUUID()}`;
    const engine = new RestoreEngine({
      ...{ repository: parts.repository, store: parts.store, leases: parts.leases, codecs },
      progress: silentProgress,
    } as unknown as RestoreParts);
    await engine.restore(backup, { destination, jobs: 1 });
    await Deno.remove(destination, { recursive: true });
    return 0;
  },
};

function any(backups: readonly BackupManifest[]): BackupManifest {
  const backup = backups[Math.floor(Math.random() * backups.length)];
  if (!backup) throw new NothingMatchesError("there is no backup yet");
  return backup;
}

function backupParts({ repository, store, leases }: PruneParts, codecs: WorkerPool): BackupParts {
  const identity = {
    ...{ systemIdentifier: SYSTEM, version: 150_018, versionText: "15.18", timeline: 1 },
    ...{ walSegmentBytes: 16 * 1024 * 1024, dataChecksums: true, inRecovery: false },
    dataDirectory: undefined,
  };
  return {
    ...{ repository, store, leases, codecs, clock: systemClock, progress: silentProgress },
    ...{ baseBackups: source(), host: "backup", toolVersion: "0.0.0" },
    server: {
      identity: () => Promise.resolve(identity),
      databases: () => Promise.resolve([{ name: "app", sizeBytes: undefined }]),
    },
  } as unknown as BackupParts;
}

/** As BackupEngine takes one, but for what is in it. */
async function increment(parts: PruneParts, parent: BackupManifest): Promise<void> {
  const { repository, store, leases } = parts;
  const startedAt = systemClock.now();
  const slot = await repository.begin(SYSTEM, {
    ...{ method: "physical", kind: "incremental", startedAt },
  });
  const request = {
    ...{ leases, progress: silentProgress, kind: "backup" as const, what: `backup ${slot.id}` },
    needs: { systemIdentifier: SYSTEM, backups: [slot.id, parent.id], walFrom: null },
  };
  let lease;
  try {
    lease = await holdLease(request);
    const objects = samplePhysical().objects.map((object) => ({ ...object, storedBytes: 4 }));
    for (const { key } of objects) await store.put(slot.folder + key, new Uint8Array(4));
    lease = await confirmHeld(lease, request);
    await repository.backup(parent.id);
    const stoppedAt = systemClock.now().toISOString();
    await repository.commit(samplePhysical({
      ...{ id: slot.id, kind: "incremental", parentId: parent.id, objects, stoppedAt },
      startedAt: startedAt.toISOString(),
    }));
  } catch (error) {
    await repository.discard(slot);
    throw error;
  } finally {
    await lease?.release();
  }
}

if (import.meta.main) {
  const report = await work(JSON.parse(Deno.args[0]!));
  console.log(JSON.stringify(report));
}

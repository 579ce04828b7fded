/** The same lives, written into a store as backupctl writes them, with bodies of a few bytes. */
import { backupId } from "../../../src/domain/backup_id.ts";
import { Leases } from "../../../src/catalog/leases.ts";
import type { LeaseTiming } from "../../../src/catalog/held_lease.ts";
import { NoteBook } from "../../../src/catalog/backup_notes.ts";
import { openRepository } from "../../../src/catalog/repository.ts";
import { generateIdentity, newDataKey, ObjectSealer } from "../../../src/crypto/crypto.ts";
import { type Clock, systemClock } from "../../../src/domain/clock.ts";
import { formatLsn, parseLsn } from "../../../src/domain/lsn.ts";
import { silentProgress } from "../../../src/domain/progress.ts";
import type { TimelineHistory } from "../../../src/domain/timeline_history.ts";
import {
  isWalSegmentName,
  numberOfName,
  parseWalName,
  segmentName,
  timelineHistoryName,
} from "../../../src/domain/wal.ts";
import { parseWalKey, walKey } from "../../../src/domain/wal_key.ts";
import { readStoredHistory } from "../../../src/engine/recovery/read_stored_history.ts";
import type { PruneBackup } from "../../../src/engine/retention/prune_model.ts";
import type { PruneParts } from "../../../src/engine/retention/prune_parts.ts";
import type { ObjectStore } from "../../../src/storage/storage.ts";
import { sampleManifest, samplePhysical } from "../manifests.ts";
import type { Snapshot } from "./history_rules.ts";
import { type HistoryWorld, type LivingSystem, SEGMENT_BYTES } from "./history_world.ts";

const encoder = new TextEncoder();
const BODY = encoder.encode("some bytes");
/** Nobody has the identity: what is sealed stays so. */
const dataKey = await newDataKey([(await generateIdentity()).recipient]);
const sealer = new ObjectSealer(() => Promise.resolve(dataKey));

/** What a removal needs, over `store`. */
export function pruneParts(
  store: ObjectStore,
  { cluster, timing, clock = systemClock, host = "db1", batchKeys = 3 }: {
    readonly cluster: string;
    readonly timing?: LeaseTiming;
    readonly clock?: Clock;
    readonly host?: string;
    readonly batchKeys?: number;
  },
): PruneParts {
  const holder = { host, pid: 1 };
  return {
    store,
    clock,
    batchKeys,
    repository: openRepository(store, { cluster, clock }),
    leases: new Leases(store, { cluster, holder, clock, ...(timing && { timing }) }),
    notes: new NoteBook(store, { cluster, clock, host }),
    progress: silentProgress,
    conditionalPut: true,
  };
}

/** Writes a world that has come to `world.now`, as if that were now. */
export async function storeWorld(
  world: HistoryWorld,
  store: ObjectStore,
  cluster: string,
): Promise<void> {
  const parts = pruneParts(store, { cluster });
  await parts.repository.prepare();
  const shift = shiftOf(world);
  for (const system of world.systems) {
    for (const backup of system.backups) {
      await storeBackup(backup, { system, store, cluster, shift });
      if (backup.pin) {
        const { until } = backup.pin;
        const keep = { until: until === null ? null : new Date(until + shift) };
        await parts.notes.add(placeOf(system, backup), { keep });
      }
    }
    await storeWal(system, store, cluster);
  }
}

/** From the world's time to ours, and a little: nothing may fall on the edge of a window. */
export function shiftOf(world: HistoryWorld): number {
  return systemClock.now().getTime() - world.now - 30 * 60_000;
}

/** A real name for the one that the model has: `F3` ends in 3 seconds. */
export function realId({ id, method, kind }: PruneBackup): string {
  const serial = Number(id.slice(1));
  return backupId(new Date(Date.UTC(2026, 0, 1) + serial * 1000), { method, kind });
}

function placeOf({ systemIdentifier }: LivingSystem, backup: PruneBackup) {
  return { systemIdentifier, id: realId(backup) };
}

/** Stores one backup with two objects. */
export async function storeBackup(
  backup: PruneBackup,
  { system, store, cluster, shift }: {
    readonly system: LivingSystem;
    readonly store: ObjectStore;
    readonly cluster: string;
    readonly shift: number;
  },
): Promise<void> {
  const id = realId(backup);
  const stoppedAt = new Date(backup.stoppedAt + shift).toISOString();
  const parent = system.backups.find((one) => one.id === backup.parentId);
  const sample = backup.method === "physical" ? samplePhysical() : sampleManifest();
  const objects = sample.objects.map((object) => ({ ...object, storedBytes: BODY.length }));
  const changes = {
    ...{ id, cluster, objects, stoppedAt, startedAt: stoppedAt },
    systemIdentifier: system.systemIdentifier,
    kind: backup.kind,
    parentId: parent ? realId(parent) : null,
    ...(backup.databases && {
      allDatabases: backup.databases.all,
      databases: (backup.databases.names ?? ["app"]).map((name) => ({ name, sizeBytes: null })),
      encryption: backup.databases.names ? null : { scheme: "backupctl.seal/1" as const },
    }),
    ...(backup.wal && {
      timeline: backup.wal.timeline,
      startLsn: formatLsn(backup.wal.startLsn),
      stopLsn: formatLsn(backup.wal.stopLsn),
      walSegmentBytes: SEGMENT_BYTES,
    }),
  };
  const manifest = backup.method === "physical" ? samplePhysical(changes) : sampleManifest(changes);
  const repository = openRepository(store, { cluster, sealer });
  for (const { key } of objects) await store.put(repository.folder(manifest) + key, BODY);
  await repository.commit(manifest);
}

async function storeWal(system: LivingSystem, store: ObjectStore, cluster: string): Promise<void> {
  const place = { cluster, systemIdentifier: system.systemIdentifier };
  for (const [timeline, segments] of system.wal) {
    for (const number of segments.keys()) {
      await store.put(walKey(place, walName(segmentName(timeline, number, SEGMENT_BYTES))), BODY);
    }
  }
  for (const [timeline, { ancestors }] of system.histories) {
    const lines = ancestors.map(({ timeline, switchLsn, reason }) =>
      `${timeline}\t${formatLsn(switchLsn)}\t${reason}\n`
    );
    const key = walKey(place, walName(timelineHistoryName(timeline)));
    const text = lines.join("");
    // Those of even numbers are encrypted.
    const sealed = timeline % 2 === 0 && await (await sealer.hold(key, { text })).end();
    await store.put(key, sealed || encoder.encode(text));
  }
  for (const { wal } of system.backups) {
    if (!wal) continue;
    const first = Number(wal.startLsn / BigInt(SEGMENT_BYTES));
    const name = `${segmentName(wal.timeline, first, SEGMENT_BYTES)}.00000028.backup`;
    await store.put(walKey(place, walName(name)), BODY);
  }
}

function walName(name: string) {
  return parseWalName(name)!;
}

/** Every key of a cluster but those of the leases. */
export async function keysOf(store: ObjectStore, cluster: string): Promise<string[]> {
  const keys = await Array.fromAsync(store.list(`${cluster}/`), ({ key }) => key);
  return keys.filter((key) => !key.startsWith(`${cluster}/leases/`));
}

/** What stands in the store, as the rules look at it; everything was stored just now. */
export async function snapshotStore(
  store: ObjectStore,
  { cluster, systemIdentifier, pins }: {
    readonly cluster: string;
    readonly systemIdentifier: string;
    readonly pins: ReadonlyMap<string, PruneBackup["pin"]>;
  },
): Promise<Snapshot> {
  const place = { cluster, systemIdentifier };
  const wal = new Map<number, Set<number>>();
  const histories = new Map<number, TimelineHistory>();
  for await (const { key } of store.list(`${cluster}/${systemIdentifier}/wal/`)) {
    const name = parseWalKey(place, key)!;
    if (name.kind === "history") {
      const history = await readStoredHistory(store, { timeline: name.timeline, key });
      histories.set(name.timeline, history!);
    }
    if (!isWalSegmentName(name.name) || name.kind !== "segment") continue;
    const own = wal.get(name.timeline) ?? new Set();
    wal.set(name.timeline, own.add(numberOfName(name, SEGMENT_BYTES)!));
  }
  const now = systemClock.now().getTime();
  const manifests = await openRepository(store, { cluster }).backups();
  return {
    wal,
    histories,
    storedAt: new Map([...wal].map(([timeline, numbers]) => [
      timeline,
      new Map([...numbers].map((number) => [number, now])),
    ])),
    backups: manifests.filter((manifest) => manifest.systemIdentifier === systemIdentifier)
      .map((manifest) => {
        const { id, method, kind, parentId, timeline, startLsn, stopLsn, storedBytes } = manifest;
        const pin = pins.get(id);
        return {
          ...{ id, method, kind, parentId, storedBytes },
          stoppedAt: Date.parse(manifest.stoppedAt),
          wal: timeline === null ? null : {
            ...{ timeline, startLsn: parseLsn(startLsn!), stopLsn: parseLsn(stopLsn!) },
          },
          ...(pin && { pin }),
          databases: {
            all: manifest.allDatabases ?? false,
            names: manifest.encryption ? null : manifest.databases.map(({ name }) => name),
          },
        };
      }),
  };
}

/** A repository in memory that shows everything that `status` can show. */
import { NoteBook } from "../../src/catalog/backup_notes.ts";
import type { BackupManifest } from "../../src/catalog/catalog.ts";
import { recordCheck } from "../../src/catalog/checks.ts";
import { manifestKey } from "../../src/catalog/layout.ts";
import type { IndexFigures } from "../../src/catalog/metadata_manager.ts";
import { openRepository } from "../../src/catalog/repository.ts";
import { stableJson } from "../../src/catalog/stable_json.ts";
import { readSurroundings } from "../../src/cli/status/backup_facts.ts";
import type { StatusFound } from "../../src/cli/status/collect_status.ts";
import { backupId } from "../../src/domain/backup_id.ts";
import { formatLsn } from "../../src/domain/lsn.ts";
import { segmentName } from "../../src/domain/wal.ts";
import { readOverview } from "../../src/engine/overview.ts";
import { MemoryStore } from "../../src/storage/memory.ts";
import type { ObjectInfo, ObjectStore } from "../../src/storage/storage.ts";
import { sampleManifest, samplePhysical } from "./manifests.ts";
import { storeWith } from "./wal_rig.ts";

/** When it is looked at. */
export const SAMPLE_NOW = new Date("2026-11-23T08:00:00Z");
const SYSTEM = "7345678901234567890";
const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const SEGMENT = 16n * 1024n * 1024n;

/** Hours ago as a point in time. */
function ago(hours: number): Date {
  return new Date(SAMPLE_NOW.getTime() - hours * HOUR);
}

/** One segment is written an hour; the one of now is number 1000. */
function segmentAt(time: Date): number {
  return 1000 - Math.round((SAMPLE_NOW.getTime() - time.getTime()) / HOUR);
}

function physical(
  hours: number,
  changes: Partial<BackupManifest> & { readonly kind?: "full" | "incremental" } = {},
): BackupManifest {
  const startedAt = ago(hours);
  const number = BigInt(segmentAt(startedAt));
  const { kind = "full" } = changes;
  return samplePhysical({
    id: backupId(startedAt, { method: "physical", kind }),
    systemIdentifier: SYSTEM,
    ...{ kind, timeline: 1, label: null },
    startedAt: startedAt.toISOString(),
    stoppedAt: new Date(startedAt.getTime() + 5 * 60_000).toISOString(),
    startLsn: formatLsn(number * SEGMENT + 0x28n),
    stopLsn: formatLsn(number * SEGMENT + 0x100n),
    ...changes,
  });
}

/** The store, and the backups in it. */
export async function sampleRepository() {
  const store = new MemoryStore();
  const times = new Map<string, Date>();
  const put = async (key: string, time: Date, bytes = 1000) => {
    await store.put(key, new Uint8Array(bytes));
    times.set(key, time);
  };
  await openRepository(store, { cluster: "main" }).prepare();
  const [full, week] = [physical(14 * 24), physical(7 * 24, { label: "weekly-with-a-long-label" })];
  const backups = [
    full,
    physical(13 * 24, { kind: "incremental", parentId: full.id }),
    week,
    physical(5 * 24, { kind: "incremental", parentId: week.id }),
    physical(3 * 24, {
      damagedPages: { count: 2, files: [{ path: "base/5/16384", blocks: [7, 9] }] },
    }),
    physical(2 * 24, { kind: "incremental", parentId: "20260101T000000Z-F" }),
    sampleManifest({
      id: "20261123T030000Z-L",
      systemIdentifier: SYSTEM,
      startedAt: "2026-11-23T03:00:00.000Z",
      stoppedAt: "2026-11-23T03:00:12.400Z",
    }),
  ];
  for (const manifest of backups) {
    const bytes = new TextEncoder().encode(stableJson(manifest));
    await store.put(manifestKey("main", manifest), bytes);
  }
  for (let hours = 15 * 24; hours >= 0; hours--) {
    if (hours > 9 * 24 && hours < 10 * 24) continue;
    const name = segmentName(1, segmentAt(ago(hours)), Number(SEGMENT));
    await put(`main/${SYSTEM}/wal/00000001/${name.slice(8, 16)}/${name}.zst`, ago(hours));
  }
  await put(`main/${SYSTEM}/backups/20261123T050000Z-F/chunks/0001.tar.zst`, ago(2.5), 5000);
  const facts = { cluster: "main", systemIdentifier: SYSTEM, details: {} };
  const check = { ...facts, subject: week.id, outcome: "ok" as const };
  await recordCheck(store, { ...check, kind: "verified", finishedAt: ago(20) });
  await recordCheck(store, { ...check, kind: "drilled", finishedAt: ago(50) });
  const book = new NoteBook(store, { cluster: "main", host: "db1" });
  await book.add(week, { keep: { until: null }, annotations: { ticket: "OPS-42" } });
  return { store: withTimes(store, times), backups };
}

function withTimes(store: MemoryStore, times: ReadonlyMap<string, Date>): ObjectStore {
  return storeWith(store, {
    async *list(prefix, options): AsyncGenerator<ObjectInfo> {
      for await (const info of store.list(prefix, options)) {
        yield { ...info, lastModified: times.get(info.key) ?? SAMPLE_NOW };
      }
    },
  });
}

/** What an index would tell. */
export const SAMPLE_FIGURES: IndexFigures = {
  all: { succeeded: 410, failed: 7, interrupted: 1 },
  recent: { succeeded: 41, failed: 1, interrupted: 0 },
  last: {
    runId: "00000000-0000-4000-8000-000000000001",
    ...{ cluster: "main", operation: "backup full", outcome: "succeeded" },
    startedAt: ago(3).toISOString(),
    finishedAt: ago(2.9).toISOString(),
    durationSeconds: 360,
    backupId: "20261123T030000Z-L",
    ...{ rawBytes: 1, storedBytes: 1, error: null, host: "db1", toolVersion: "0.1.0" },
  },
  storage: Array.from({ length: 12 }, (_, day) => ({
    cluster: "main",
    at: new Date(SAMPLE_NOW.getTime() - (12 - day) * DAY).toISOString(),
    uses: [{ kind: "wal", count: 1, rawBytes: null, storedBytes: (day + 3) * 2 ** 20 }],
  })),
};

/** Everything that status shows of it. */
export async function sampleStatus(changes: Partial<StatusFound> = {}): Promise<StatusFound> {
  const { store } = await sampleRepository();
  const repository = openRepository(store, { cluster: "main" });
  const overview = await readOverview(store, { repository, now: SAMPLE_NOW });
  const { backups } = overview;
  const around = await readSurroundings(store, { cluster: "main", backups, now: SAMPLE_NOW });
  return {
    cluster: "main",
    location: "s3://my-bucket/backupctl/main",
    now: SAMPLE_NOW,
    ...overview,
    ...around,
    server: "it was not asked",
    figures: SAMPLE_FIGURES,
    ...changes,
  };
}

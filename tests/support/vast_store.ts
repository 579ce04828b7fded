/** A repository of any size that exists nowhere: its listings and manifests are made when asked for. */
import { stableJson } from "../../src/catalog/stable_json.ts";
import type { BackupManifest } from "../../src/catalog/catalog.ts";
import { backupId } from "../../src/domain/backup_id.ts";
import { formatLsn } from "../../src/domain/lsn.ts";
import { segmentName } from "../../src/domain/wal.ts";
import { ObjectMissingError } from "../../src/domain/errors.ts";
import type { ListOptions, ObjectInfo, ObjectStore } from "../../src/storage/storage.ts";
import { samplePhysical } from "./manifests.ts";

/** How vast. */
export interface VastOptions {
  readonly backups: number;
  /** Whole segments in a row. */
  readonly segments: number;
  /** Each n-th segment is missing. @default {never} */
  readonly gapEvery?: number;
  /** Increments between two full backups. @default {0} */
  readonly increments?: number;
  /** Objects of a backup beside its manifest. @default {3} */
  readonly objects?: number;
}

const SYSTEM = "7345678901234567890";
const SEGMENT_BYTES = 16 * 1024 * 1024;
const BEGIN = Date.UTC(2020, 0, 1);

/** What a test reads off it. */
export interface VastStore extends ObjectStore {
  readonly begin: number;
  /** Requests that S3 would have been sent: a thousand keys a page. */
  readonly requests: { list: number; get: number };
}

/** Makes one; the backups are spread evenly over the log. */
export function vastStore(options: VastOptions): VastStore {
  const { backups, segments, gapEvery = Infinity, objects = 3 } = options;
  const requests = { list: 0, get: 0 };
  const folder = `main/${SYSTEM}/`;
  const ids = Array.from({ length: backups }, (_, index) => idOf(index, options));
  const byKey = new Map(ids.map((id, index) => [`${folder}backups/${id}/backup.json`, index]));

  function* keys(): Generator<ObjectInfo> {
    for (const [index, id] of ids.entries()) {
      const own = `${folder}backups/${id}/`;
      yield { key: `${own}backup.json`, size: 1500 };
      for (let at = 1; at <= objects; at++) {
        yield { key: `${own}chunks/${String(at).padStart(4, "0")}.tar.zst`, size: 1000 + index };
      }
    }
    for (let number = 1; number <= segments; number++) {
      if (number % gapEvery === 0) continue;
      yield { key: walKeyOf(number), size: 5_000_000, lastModified: new Date(timeOf(number)) };
    }
    yield { key: "main/repository.json", size: 100 };
  }

  function walKeyOf(number: number): string {
    const name = segmentName(1, number, SEGMENT_BYTES);
    return `${folder}wal/00000001/${name.slice(8, 16)}/${name}.zst`;
  }

  function timeOf(number: number): number {
    return BEGIN + number * 60_000;
  }

  function manifest(index: number): BackupManifest {
    const number = segmentOf(index, options);
    const at = new Date(timeOf(number)).toISOString();
    const lsn = (offset: number) =>
      formatLsn(BigInt(number) * BigInt(SEGMENT_BYTES) + BigInt(offset));
    const kind = kindOf(index, options);
    const parent = index - index % ((options.increments ?? 0) + 1);
    return samplePhysical({
      ...{ id: ids[index]!, kind, timeline: 1, startedAt: at, stoppedAt: at },
      parentId: kind === "full" ? null : ids[parent]!,
      ...{ startLsn: lsn(0x28), stopLsn: lsn(0x100), systemIdentifier: SYSTEM },
    });
  }

  return {
    begin: BEGIN,
    requests,
    location: "vast://",
    put: () => Promise.reject(new Error("read only")),
    delete: () => Promise.reject(new Error("read only")),
    head: () => Promise.resolve(undefined),
    async *list(prefix: string, { startAfter = "" }: ListOptions = {}) {
      let sent = 0;
      for (const info of keys()) {
        if (info.key <= startAfter || !info.key.startsWith(prefix)) continue;
        if (sent % 1000 === 0) requests.list += 1;
        sent += 1;
        yield info;
      }
      await Promise.resolve();
    },
    get(key: string) {
      requests.get += 1;
      const index = byKey.get(key);
      if (index === undefined) return Promise.reject(new ObjectMissingError(key));
      const bytes = new TextEncoder().encode(stableJson(manifest(index)));
      return Promise.resolve(new Blob([bytes]).stream() as ReadableStream<Uint8Array<ArrayBuffer>>);
    },
  };
}

function kindOf(index: number, { increments = 0 }: VastOptions): "full" | "incremental" {
  return index % (increments + 1) === 0 ? "full" : "incremental";
}

function segmentOf(index: number, { backups, segments }: VastOptions): number {
  return 1 + Math.floor(index / backups * segments);
}

function idOf(index: number, options: VastOptions): string {
  const startedAt = new Date(BEGIN + index * 60_000);
  return backupId(startedAt, { method: "physical", kind: kindOf(index, options) });
}

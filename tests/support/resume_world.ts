/** A folder that looks like a data directory, and runs of the `files` source over it. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import type { CodecSpec } from "../../src/codec/codec.ts";
import { WorkerPool } from "../../src/codec/worker_pool.ts";
import type { Bytes } from "../../src/domain/bytes.ts";
import { MiB } from "../../src/domain/bytes.ts";
import { systemClock } from "../../src/domain/clock.ts";
import { silentProgress } from "../../src/domain/progress.ts";
import type { BackupContent, BackupParts, BackupRun } from "../../src/engine/parts.ts";
import { takeFilesBackup } from "../../src/engine/physical/files/take_files_backup.ts";
import type { FileBackup } from "../../src/postgres/postgres.ts";
import type { ObjectStore } from "../../src/storage/storage.ts";
import { bytesOf, content } from "./bodies.ts";
import { removeTree } from "./remove_tree.ts";

const SYSTEM = "7000000000000000001";
/** Long enough to be alone in its chunk. */
const LARGE_BYTES = 8 * MiB;
const PIECE_BYTES = 64 * 1024;

/** The large files, each of which becomes a chunk. */
export const LARGE_FILES = ["base/5/1001", "base/5/1002", "base/5/1003", "base/5/1004"] as const;

/** Where the backup of that name keeps its objects. */
export function folderOf(id: string): string {
  return `main/${SYSTEM}/backups/${id}/`;
}

export class ResumeWorld implements AsyncDisposable {
  readonly store: ObjectStore;
  readonly #folder: string;
  readonly #codecs = new WorkerPool(2);

  private constructor(store: ObjectStore, folder: string) {
    this.store = store;
    this.#folder = folder;
  }

  static async open(store: ObjectStore): Promise<ResumeWorld> {
    const world = new ResumeWorld(store, await Deno.makeTempDir({ prefix: "backupctl-resume-" }));
    for (const folder of ["base/5", "global", "pg_wal"]) {
      await Deno.mkdir(`${world.#folder}/${folder}`, { recursive: true });
    }
    await Deno.writeTextFile(world.path("PG_VERSION"), "17\n");
    await Deno.writeTextFile(world.path("base/5/PG_VERSION"), "17\n");
    for (const [index, path] of LARGE_FILES.entries()) await world.write(path, index + 1);
    return world;
  }

  path(file: string): string {
    return `${this.#folder}/${file}`;
  }

  /** Content of a large file, other for each seed. Its time is one of the past. */
  async write(file: string, seed: number): Promise<void> {
    const bytes: Bytes = new Uint8Array(LARGE_BYTES);
    const piece = content(PIECE_BYTES, seed);
    for (let at = 0; at < bytes.length; at += PIECE_BYTES) bytes.set(piece, at);
    await Deno.writeFile(this.path(file), bytes);
    const time = new Date("2026-11-23T02:24:15Z");
    await Deno.utime(this.path(file), time, time);
  }

  /** A run up to its last object. Nobody commits it: as if it were killed then. */
  async run(
    id: string,
    { sealing = false, ...options }: Partial<BackupRun["options"]> & {
      /** Objects are encrypted, as far as anybody can tell. */
      readonly sealing?: boolean;
    } = {},
  ): Promise<BackupContent> {
    const dataDirectory = this.#folder;
    const backup: FileBackup = {
      ...{ dataDirectory, versionFolder: "PG_17_202406281", startLsn: 0x2000028n },
      ...{ tablespaces: [], lost: new AbortController().signal },
      pages: { pageBytes: 8192, segmentPages: 131_072, checksums: false },
      controlFile: () => Promise.resolve(content(8192, 99)),
      stop: () =>
        Promise.resolve({ stopLsn: 0x2000100n, label: content(200), walFiles: [], timeline: 1 }),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    };
    const parts = {
      ...{ store: this.store, clock: systemClock, progress: silentProgress },
      codecs: {
        ...{ sealing, size: this.#codecs.size, seal: () => new TransformStream() },
        codec: (spec: CodecSpec) => this.#codecs.codec(spec),
      },
      repository: { cluster: "main" },
      server: { databases: () => Promise.resolve([]) },
      fileBackups: { start: () => Promise.resolve(backup) },
    } as unknown as BackupParts;
    return await takeFilesBackup(parts, {
      slot: { id, folder: folderOf(id) },
      identity: {
        systemIdentifier: SYSTEM,
        version: 170_000,
        walSegmentBytes: 16 * MiB,
      } as BackupRun["identity"],
      options: { method: "physical", codec: { algorithm: "zstd", level: 1 }, ...options },
    });
  }

  /** What is stored is what the backup says. */
  async assertStored(id: string, { objects }: BackupContent, what: string): Promise<void> {
    for (const { key, sha256, storedBytes } of objects) {
      const bytes = await bytesOf(await this.store.get(folderOf(id) + key));
      assert.equal(bytes.length, storedBytes, `${what}: ${key}`);
      assert.equal(createHash("sha256").update(bytes).digest("hex"), sha256, `${what}: ${key}`);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#codecs.close();
    await removeTree(this.#folder);
  }
}

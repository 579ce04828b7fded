/** The stage of the tests of physical backups: a replayed server, a store in memory, a folder. */
import { WorkerPool } from "../../src/codec/worker_pool.ts";
import { type Bytes, MiB } from "../../src/domain/bytes.ts";
import { StorageError } from "../../src/domain/errors.ts";
import { MemoryStore } from "../../src/storage/memory.ts";
import type { ObjectStore } from "../../src/storage/storage.ts";
import {
  CONTROL_MEMBER,
  CORE_MEMBERS,
  type FakeArchive,
  type FakeBackupOptions,
  type FakeMember,
  FakeSource,
} from "./fake_base_backup.ts";
import { BACKUP_FOLDER, type Rig } from "./physical_backups.ts";
import { removeTree } from "./remove_tree.ts";

/** What a test is given. */
export interface World extends Rig {
  readonly store: MemoryStore;
  /** An empty folder of this test. */
  readonly folder: string;
}

/** A test with a store, threads and an empty folder of its own. */
export function physicalTest(title: string, run: (world: World) => Promise<void>): void {
  Deno.test(title, async () => {
    const folder = await Deno.makeTempDir({ prefix: "backupctl-physical-" });
    using codecs = new WorkerPool(2);
    try {
      await run({ store: new MemoryStore(), codecs, folder });
    } finally {
      await removeTree(folder);
    }
  });
}

/** A server with the least of a data directory, and what a test adds. */
export function source(
  more: Partial<FakeBackupOptions> & { readonly members?: FakeMember[] } = {},
) {
  const { members = [], ...options } = more;
  const data: FakeArchive = { members: [...CORE_MEMBERS, ...members, CONTROL_MEMBER] };
  return new FakeSource({ archives: [data], ...options });
}

/** Files of every awkward length and name. */
export const FILES: readonly FakeMember[] = [
  { name: "base/5/" },
  { name: "base/5/empty", content: "" },
  { name: "base/5/one", content: "x" },
  { name: "base/5/pages", content: bytes(3 * MiB + 8192, 1) },
  { name: "base/5/odd", content: bytes(MiB + 77, 2) },
  { name: "log/größe ✓ 'q' \n.log", content: "a file of the administrator's" },
];

/** A tablespace's archive. */
export function tablespace(oid: number, location: string, members: FakeMember[]): FakeArchive {
  return { tablespace: { oid, location }, members: [{ name: "PG_15_202209061/" }, ...members] };
}

/** A store whose disk is full after so many bytes of an object. */
export function failingAfter(store: ObjectStore, allowed: number): ObjectStore {
  return overriding(store, {
    async put(key, body, options) {
      let count = 0;
      const full = new StorageError("the disk is full");
      if (allowed === 0) throw full;
      if (body instanceof Uint8Array) return await store.put(key, body, options);
      for await (const chunk of body) {
        count += chunk.length;
        if (count > allowed) throw full;
      }
      return { key, size: count };
    },
  });
}

/** A store that does something whenever an object is opened. */
export function whenRead(store: ObjectStore, act: () => void): ObjectStore {
  return overriding(store, {
    async get(key, options) {
      const stream = await store.get(key, options);
      act();
      return stream;
    },
  });
}

/** A store with some of its calls replaced. */
export function overriding(store: ObjectStore, changes: Partial<ObjectStore>): ObjectStore {
  return new Proxy(store, {
    get(target, name) {
      const value = Reflect.get(changes, name) ?? Reflect.get(target, name);
      return typeof value === "function" && !(name in changes) ? value.bind(target) : value;
    },
  });
}

/** The stored bytes of an object of the backup. */
export async function readObject(store: ObjectStore, key: string): Promise<Bytes> {
  return await new Response(await store.get(BACKUP_FOLDER + key)).bytes();
}

/** In hexadecimal. */
export async function sha256Of(bytes: Bytes): Promise<string> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
}

/** With one bit changed. */
export function flipped(whole: Bytes, index: number): Bytes {
  const copy = whole.slice();
  copy[index] = (copy[index] ?? 0) ^ 4;
  return copy;
}

/** Of a text, in UTF-8. */
export function length(content: Bytes | string): number {
  return asBytes(content).length;
}

/** Of a text, in UTF-8. */
export function asBytes(content: Bytes | string): Uint8Array {
  return typeof content === "string" ? new TextEncoder().encode(content) : content;
}

/** Bytes that hardly compress, the same for the same seed. */
export function bytes(size: number, seed: number): Bytes {
  const filled = new Uint8Array(size);
  let state = seed;
  for (let index = 0; index < size; index++) {
    state = (Math.imul(state, 1103515245) + 12345) | 0;
    filled[index] = state >>> 16;
  }
  return filled;
}

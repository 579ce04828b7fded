/** A store, a folder that passes for a data directory, and WAL files in it. */
import { BLOCK_BYTES, encodeBlock } from "../../src/codec/codec.ts";
import type { Bytes } from "../../src/domain/bytes.ts";
import type { WalName } from "../../src/domain/wal.ts";
import { isCompressedWal } from "../../src/domain/wal_key.ts";
import {
  clearWriter,
  type EncodedWal,
  sha256Of,
  type WalSeal,
} from "../../src/engine/wal/wal_object.ts";
import type { ObjectStore } from "../../src/storage/storage.ts";
import { MemoryStore } from "../../src/storage/memory.ts";
import { type EncodedWalFile, encodeWalFile } from "../../src/engine/wal/encode_wal_file.ts";
import type { WalPushParts } from "../../src/engine/wal/wal_push.ts";
import { TEST_SYSTEM } from "./wal_segments.ts";
import { removeTree } from "./remove_tree.ts";

/** Where the rig archives to. */
export const PLACE = { cluster: "main", systemIdentifier: TEST_SYSTEM } as const;

export { FULL_FAULTS } from "./campaign.ts";

/** A temporary folder with `global/pg_control` and `pg_wal`. */
export class WalRig implements AsyncDisposable {
  readonly folder: string;
  readonly #systemIdentifier: string;

  private constructor(folder: string, systemIdentifier: string) {
    this.folder = folder;
    this.#systemIdentifier = systemIdentifier;
  }

  static async make(systemIdentifier: string = TEST_SYSTEM): Promise<WalRig> {
    const folder = await Deno.makeTempDir();
    await Deno.mkdir(`${folder}/pg_wal/archive_status`, { recursive: true });
    await Deno.mkdir(`${folder}/global`);
    await Deno.writeTextFile(`${folder}/PG_VERSION`, "15\n");
    await Deno.writeFile(`${folder}/global/pg_control`, controlFile(systemIdentifier));
    return new WalRig(folder, systemIdentifier);
  }

  /** Writes a file of pg_wal; `ready` leaves the archiver's mark. */
  async write(name: string, bytes: Bytes, { ready = false } = {}): Promise<string> {
    const path = `${this.folder}/pg_wal/${name}`;
    await Deno.writeFile(path, bytes);
    if (ready) await Deno.writeTextFile(`${this.folder}/pg_wal/archive_status/${name}.ready`, "");
    return path;
  }

  /** Writes a file and makes it ready to be stored. */
  async file(
    name: string,
    bytes: Bytes,
    { level = 1, seal }: { readonly level?: number; readonly seal?: WalSeal } = {},
  ): Promise<EncodedWalFile> {
    const codec = { algorithm: "zstd", level } as const;
    const place = { ...PLACE, systemIdentifier: this.#systemIdentifier };
    return await encodeWalFile(await this.write(name, bytes), { codec, place, seal });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await removeTree(this.folder);
  }
}

/** What of pg_control is read without a server: whose it is, its random bytes, its CRC-32C. */
function controlFile(systemIdentifier: string): Bytes {
  const [nonceAt, crcAt] = [256, 288];
  const control = new Uint8Array(8192);
  const view = new DataView(control.buffer);
  view.setBigUint64(0, BigInt(systemIdentifier), true);
  control.fill(0xab, nonceAt, crcAt);
  let crc = 0xffff_ffff;
  for (const byte of control.subarray(0, crcAt)) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f6_3b78 : 0);
  }
  view.setUint32(crcAt, ~crc >>> 0, true);
  return control;
}

/** What pushing needs; a store in memory unless told otherwise. */
export function pushParts(
  { store = new MemoryStore(), conditionalPut = true }: {
    readonly store?: ObjectStore;
    readonly conditionalPut?: boolean;
  } = {},
): WalPushParts {
  return {
    store,
    place: PLACE,
    codec: { algorithm: "zstd", level: 1 },
    conditionalPut,
    seal: undefined,
  };
}

/** A store of which some calls are replaced. */
export function storeWith(store: ObjectStore, changes: Partial<ObjectStore>): ObjectStore {
  return {
    location: store.location,
    put: (...args) => store.put(...args),
    get: (...args) => store.get(...args),
    head: (...args) => store.head(...args),
    list: (...args) => store.list(...args),
    delete: (...args) => store.delete(...args),
    ...changes,
  };
}

/** Bytes as they would be stored, whatever they are. */
export async function encodedWal(name: WalName, bytes: Bytes): Promise<EncodedWal> {
  const writer = clearWriter();
  const size = isCompressedWal(name) ? BLOCK_BYTES : bytes.length;
  for (let at = 0; at < bytes.length; at += size) {
    const block = bytes.subarray(at, at + size);
    const codec = { algorithm: "zstd", level: 1 } as const;
    await writer.write(isCompressedWal(name) ? await encodeBlock(codec, block) : block);
  }
  const digest = { rawBytes: bytes.length, sha256: sha256Of(bytes) };
  return { ...digest, ...await writer.end(digest) };
}

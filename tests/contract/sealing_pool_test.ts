/** A pool that encrypts is a pool: the contract of codecs, and what encryption adds to it. */
import assert from "node:assert/strict";
import { ListCopies } from "../../src/cli/clear_copies.ts";
import { SealingPool } from "../../src/codec/sealing_pool.ts";
import type { Codec, CodecPool, CodecSpec } from "../../src/codec/codec.ts";
import { WorkerPool } from "../../src/codec/worker_pool.ts";
import {
  generateIdentity,
  KeyRing,
  newDataKey,
  ObjectOpener,
  ObjectSealer,
} from "../../src/crypto/crypto.ts";
import type { Bytes } from "../../src/domain/bytes.ts";
import { IntegrityError, KeyError } from "../../src/domain/errors.ts";
import { sealedCodecContract } from "./codec.ts";

const NAME = "main/1/backups/x/chunks/0001.tar.zst";
const { identity, recipient } = await generateIdentity();
const key = await newDataKey([recipient]);
const sealer = new ObjectSealer(() => Promise.resolve(key));
const opener = new ObjectOpener(new KeyRing({ identities: () => Promise.resolve([identity]) }));

/** One name for all objects, so that the contract need not know of names. */
function named(): CodecPool {
  const pool = new SealingPool(new WorkerPool(2), { sealer, opener });
  const codec = (spec: CodecSpec): Codec => {
    const inner = pool.codec(spec);
    return {
      ...inner,
      encode: (options = {}) => inner.encode({ ...options, name: NAME }),
      decode: (options = {}) => inner.decode({ ...options, sealedAs: NAME }),
    };
  };
  return { size: pool.size, codec, close: () => pool.close() };
}

sealedCodecContract({ algorithm: "zstd", level: 1 }, named);
sealedCodecContract({ algorithm: "gzip", level: 6 }, named);

const RAW: Bytes = new TextEncoder().encode("canary ".repeat(1000));

async function encoded(pool: CodecPool, name?: string): Promise<Bytes> {
  const raw: ReadableStream<Bytes> = ReadableStream.from([RAW.slice()]);
  const encoder = pool.codec({ algorithm: "zstd", level: 1 })
    .encode(name === undefined ? {} : { name });
  return await new Response(raw.pipeThrough(encoder)).bytes();
}

async function decoded(pool: CodecPool, stored: Bytes, sealedAs?: string): Promise<Bytes> {
  const source: ReadableStream<Bytes> = ReadableStream.from([stored]);
  const decoder = pool.codec({ algorithm: "zstd", level: 1 })
    .decode(sealedAs === undefined ? {} : { sealedAs });
  return await new Response(source.pipeThrough(decoder)).bytes();
}

Deno.test("a pool that encrypts refuses to encode what has no name", async () => {
  using pool = new SealingPool(new WorkerPool(1), { sealer });
  await assert.rejects(async () => await encoded(pool), TypeError);
});

Deno.test("a pool without an identity encrypts, and opens nothing", async () => {
  using pool = new SealingPool(new WorkerPool(1), { sealer });
  const stored = await encoded(pool, NAME);
  assert.ok(!Buffer.from(stored).includes("canary"));
  await assert.rejects(async () => await decoded(pool, stored, NAME), KeyError);
  assert.equal(pool.sealing, true);
});

Deno.test("what is in the clear is refused where it must be encrypted, and the other way", async () => {
  using pool = new SealingPool(new WorkerPool(1), { sealer, opener });
  using threads = new WorkerPool(1);
  const clear = await encoded(threads);
  await assert.rejects(async () => await decoded(pool, clear, NAME), IntegrityError);
  await assert.rejects(async () => await decoded(pool, await encoded(pool, NAME)), IntegrityError);
  assert.deepEqual(await decoded(pool, clear), RAW);
});

Deno.test("unseal() leaves what the standard program opens", async () => {
  using pool = new SealingPool(new WorkerPool(1), { sealer, opener });
  const stored: ReadableStream<Bytes> = ReadableStream.from([await encoded(pool, NAME)]);
  const opened = await new Response(stored.pipeThrough(pool.unseal(NAME))).bytes();
  using threads = new WorkerPool(1);
  assert.deepEqual(await decoded(threads, opened), RAW);
});

Deno.test("a pool without an identity reads the clear copies of lists, and of nothing else", async () => {
  const folder = await Deno.makeTempDir({ prefix: "backupctl-copies-" });
  try {
    const copies = new ListCopies(`${folder}/lists`);
    using pool = new SealingPool(new WorkerPool(1), { sealer, copies });
    const list = "main/1/backups/x/backup_manifest.zst";
    const sealed = await encoded(pool, list);
    assert.deepEqual(await decoded(pool, sealed, list), RAW);
    const other = list.replace("/x/", "/y/");
    await assert.rejects(async () => await decoded(pool, sealed, other), KeyError);
    const chunk = await encoded(pool, NAME);
    await assert.rejects(async () => await decoded(pool, chunk, NAME), KeyError);
    const kept = Array.from(Deno.readDirSync(`${folder}/lists`), ({ name }) => name);
    assert.equal(kept.length, 1);
    const { mode } = await Deno.stat(`${folder}/lists/${kept[0]}`);
    assert.equal(mode! & 0o777, 0o600);
    await Deno.writeTextFile(`${folder}/lists/${kept[0]}`, "not a list");
    await assert.rejects(async () => await decoded(pool, sealed, list), IntegrityError);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("only the copies of the newest lists are kept, and a full disk is no failure", async () => {
  const folder = await Deno.makeTempDir({ prefix: "backupctl-copies-" });
  try {
    const copies = new ListCopies(`${folder}/lists`);
    for (let number = 0; number < 45; number++) {
      const copy = copies.keep(`main/1/backups/${number}/file_list.zst`)!;
      copy.write(new Uint8Array(10));
      copy.close();
    }
    assert.equal(Array.from(Deno.readDirSync(`${folder}/lists`)).length, 40);
    const given = copies.keep("main/1/backups/z/backup_manifest.gz")!;
    given.write(new Uint8Array(5));
    given.abandon();
    assert.equal(copies.read("main/1/backups/z/backup_manifest.gz"), undefined);
    await Deno.writeTextFile(`${folder}/file`, "");
    const nowhere = new ListCopies(`${folder}/file/lists`);
    assert.equal(nowhere.keep("main/1/backups/a/file_list.zst"), undefined);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

import assert from "node:assert/strict";
import { WorkerPool } from "../../../src/codec/worker_pool.ts";
import { type Bytes, MiB } from "../../../src/domain/bytes.ts";
import { IntegrityError, RunFailedError } from "../../../src/domain/errors.ts";

const zstd = { algorithm: "zstd", level: 1 } as const;

Deno.test("WorkerPool starts no worker for one block, and no more than its size for many", async () => {
  const started = await countWorkers(async () => {
    using pool = new WorkerPool(2);
    await encode(pool, [new Uint8Array(MiB)]);
    return pool;
  });
  assert.equal(started, 0);
  const many = await countWorkers(async () => {
    using pool = new WorkerPool(2);
    await encode(pool, Array.from({ length: 20 }, () => new Uint8Array(MiB)));
    return pool;
  });
  assert.equal(many, 2);
});

Deno.test("WorkerPool fails streams under way when it is closed", async () => {
  const pool = new WorkerPool(1);
  const endless = new ReadableStream<Bytes>({
    pull: (controller) => controller.enqueue(new Uint8Array(MiB)),
  });
  const reader = endless.pipeThrough(pool.codec(zstd).encode()).getReader();
  assert.equal((await reader.read()).done, false);
  pool.close();
  await assert.rejects(async () => {
    while (!(await reader.read()).done);
  }, RunFailedError);
});

Deno.test("WorkerPool goes on after a damaged block", async () => {
  using pool = new WorkerPool(1);
  const stored = await encode(pool, [new Uint8Array(10), new Uint8Array(10), new Uint8Array(10)]);
  const bad = stored.slice();
  bad[bad.length - 1] = (bad.at(-1) ?? 0) ^ 1;
  const decode = (bytes: Bytes) =>
    Array.fromAsync(new Blob([bytes]).stream().pipeThrough(pool.codec(zstd).decode()));
  await assert.rejects(decode(bad), IntegrityError);
  assert.equal((await decode(stored)).length, 3);
});

Deno.test("WorkerPool refuses a block whose buffer was transferred before", async () => {
  using pool = new WorkerPool(1);
  const block = new Uint8Array(100);
  await assert.rejects(encode(pool, [block, block]));
});

async function encode(pool: WorkerPool, blocks: readonly Bytes[]): Promise<Bytes> {
  const stream = ReadableStream.from(blocks).pipeThrough(pool.codec(zstd).encode({ cut: false }));
  return await new Response(stream).bytes();
}

async function countWorkers(run: () => Promise<unknown>): Promise<number> {
  const original = globalThis.Worker;
  let count = 0;
  globalThis.Worker = class extends original {
    constructor(...args: ConstructorParameters<typeof Worker>) {
      super(...args);
      count += 1;
    }
  };
  try {
    await run();
    return count;
  } finally {
    globalThis.Worker = original;
  }
}

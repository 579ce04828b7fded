import assert from "node:assert/strict";
import { type CodecSpec, decodeBlock } from "../../../../../src/codec/codec.ts";
import type { Bytes } from "../../../../../src/domain/bytes.ts";
import {
  BlockEncoder,
  helpEncode,
} from "../../../../../src/engine/physical/files/block_encoder.ts";
import { IdleThreads } from "../../../../../src/engine/physical/files/idle_threads.ts";
import { bytes } from "../../../../support/physical_world.ts";

/** @returns the helper's end, to be closed. */
function helped(encoder: BlockEncoder, codec: CodecSpec): MessagePort {
  const { port1, port2 } = new MessageChannel();
  helpEncode(port1, codec);
  encoder.addHelper(port2);
  return port1;
}

for (const algorithm of ["zstd", "gzip"] as const) {
  Deno.test(`BlockEncoder gives each ${algorithm} block back, wherever it was compressed`, async () => {
    const codec = { algorithm, level: 6 };
    const encoder = new BlockEncoder(codec);
    const port = helped(encoder, codec);
    const raw = Array.from({ length: 12 }, (_, index) => bytes(50_000 + index, index));
    const written = new Uint8Array(60_000);
    const encoded: Promise<Bytes>[] = [];
    let copied = 0;
    for (const block of raw) {
      // As a packer does: one buffer for all, free again when it is copied or the block is done.
      written.set(block);
      const { bytes: made, isCopied } = encoder.encode(written.subarray(0, block.length));
      if (isCopied) copied += 1;
      else await made;
      encoded.push(made);
    }
    const opened = (await Promise.all(encoded)).map((block) => decodeBlock(algorithm, block));
    opened.forEach((block, index) => assert.equal(Buffer.compare(block, raw[index]!), 0));
    assert.ok(copied >= 4, `${copied} of 12 went to the helper`);
    assert.equal(encoder.roomAtHelpers, 4);
    encoder.dismiss();
    assert.equal(encoder.roomAtHelpers, 0);
    assert.equal(encoder.encode(raw[0]!).isCopied, false, "nobody is left to help");
    port.close();
  });
}

Deno.test("BlockEncoder tells what went wrong in a helper", async () => {
  const codec = { algorithm: "zstd", level: 1 } as const;
  const encoder = new BlockEncoder(codec);
  const port = helped(encoder, codec);
  const { bytes: made } = encoder.encode(new Uint8Array(2_000_000));
  await assert.rejects(
    made,
    /a helping thread threw: .*a block of 2000000 bytes is above 1048576/s,
  );
  encoder.dismiss();
  port.close();
});

Deno.test("IdleThreads sends each idle thread to the one that is helped least", () => {
  const helps: string[] = [];
  const thread = (name: string) => ({
    name,
    help: (owner: { readonly name: string }) => void helps.push(`${name} helps ${owner.name}`),
  });
  const [a, b, c, d] = ["a", "b", "c", "d"].map(thread) as [Thread, Thread, Thread, Thread];
  type Thread = ReturnType<typeof thread>;
  const idle = new IdleThreads<Thread>();
  for (const one of [a, b, c, d]) idle.begin(one);
  idle.end(d);
  idle.rest(d);
  idle.end(c);
  idle.rest(c);
  assert.deepEqual(helps.splice(0), ["d helps a", "c helps b"]);
  idle.end(a);
  assert.deepEqual(helps.splice(0), ["d helps b"], "its helper is free for another");
  idle.rest(a);
  assert.deepEqual(helps.splice(0), ["a helps b"]);
  idle.end(b);
  idle.rest(b);
  assert.deepEqual(helps, [], "there is nobody left to help");
  idle.begin(a);
  const sent = ["b helps a", "c helps a", "d helps a"];
  assert.deepEqual(helps.toSorted(), sent, "those that rested before it began");
});

import assert from "node:assert/strict";
import fc from "fast-check";
import type { Bytes } from "../../../../src/domain/bytes.ts";
import { gatherOutput } from "../../../../src/engine/logical/gather_output.ts";

/** A pipe that gives its bytes in pieces of these lengths. */
function pipe(lengths: readonly number[]): ReadableStream<Bytes> {
  let at = 0;
  const pieces = lengths.map((length) => Uint8Array.from({ length }, () => at++ % 251));
  const source = ReadableStream.from<Bytes>(pieces).getReader();
  return new ReadableStream({
    type: "bytes",
    async pull(controller) {
      const { value, done } = await source.read();
      if (!done) return controller.enqueue(value);
      controller.close();
      controller.byobRequest?.respond(0);
    },
  }) as ReadableStream<Bytes>;
}

Deno.test("gatherOutput() gives all bytes in order, in full pieces but the last", async () => {
  const lengths = fc.array(fc.integer({ min: 1, max: 700_000 }), { maxLength: 8 });
  await fc.assert(
    fc.asyncProperty(lengths, async (given) => {
      const pieces = await Array.fromAsync(gatherOutput(pipe(given)));
      const total = given.reduce((sum, length) => sum + length, 0);
      assert.equal(pieces.reduce((sum, { length }) => sum + length, 0), total);
      assert.ok(pieces.slice(0, -1).every(({ length }) => length === 1 << 20));
      assert.ok(pieces.every(({ length, buffer }) => length > 0 && buffer.byteLength === length));
      let at = 0;
      for (const piece of pieces) {
        assert.ok(piece.every((byte, index) => byte === (at + index) % 251));
        at += piece.length;
      }
    }),
    { numRuns: 30 },
  );
});

Deno.test("gatherOutput() passes a failure on, and a cancellation back", async () => {
  const broken = new ReadableStream({
    type: "bytes",
    pull: () => Promise.reject(new Error("the pipe broke")),
  }) as ReadableStream<Bytes>;
  await assert.rejects(Array.fromAsync(gatherOutput(broken)), /the pipe broke/);

  let cancelled: unknown;
  const endless = new ReadableStream({
    type: "bytes",
    cancel: (reason) => {
      cancelled = reason;
    },
  }) as ReadableStream<Bytes>;
  await gatherOutput(endless).cancel("enough");
  assert.equal(cancelled, "enough");
});

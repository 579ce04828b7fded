import assert from "node:assert/strict";
import fc from "fast-check";
import type { Bytes } from "../../../src/domain/bytes.ts";
import { PostgresError } from "../../../src/domain/errors.ts";
import type { Channel } from "../../../src/postgres/replication/channel.ts";
import { MessageReader } from "../../../src/postgres/replication/message_reader.ts";
import {
  dataRow,
  saslInitialMessage,
  serverMessage,
  startupMessage,
  zeroTerminated,
} from "../../../src/postgres/replication/wire.ts";
import { concat, errorResponse, message, result } from "../../support/fake_postgres.ts";

/** A connection that hands out bytes in the given pieces. */
function piecewise(bytes: Uint8Array, sizes: readonly number[]): Channel {
  let at = 0;
  let turn = 0;
  return {
    encrypted: false,
    read(buffer: Bytes) {
      if (at >= bytes.length) return Promise.resolve(null);
      const size = Math.min(sizes[turn++ % sizes.length]!, bytes.length - at, buffer.length);
      buffer.set(bytes.subarray(at, at + size));
      at += size;
      return Promise.resolve(size);
    },
    write: () => Promise.resolve(),
    close: () => {},
  };
}

Deno.test("MessageReader finds every message however the bytes arrive", async () => {
  const bodies = fc.array(fc.uint8Array({ maxLength: 300 }), { minLength: 1, maxLength: 20 });
  const sizes = fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1, maxLength: 8 });
  await fc.assert(
    fc.asyncProperty(bodies, sizes, async (expected, pieces) => {
      const bytes = concat(expected.map((body) => message("d", body)));
      const reader = new MessageReader(piecewise(bytes, pieces));
      const found: number[][] = [];
      while (await reader.next()) found.push([reader.type, ...reader.body()]);
      assert.deepEqual(found, expected.map((body) => [0x64, ...body]));
    }),
    { numRuns: 200 },
  );
});

Deno.test("MessageReader keeps messages whole where its buffer of 4 MiB ends", async () => {
  const sizes = [1_000_000, 1_500_000, 1_400_000, 300_000, 1_900_000, 5, 4_000_000];
  const expected = sizes.map((size, index) => new Uint8Array(size).fill(index + 1));
  const bytes = concat(expected.map((body) => message("d", body)));
  const reader = new MessageReader(piecewise(bytes, [700_001]));
  for (const body of expected) {
    assert.equal(await reader.next(), true);
    assert.equal(reader.body().length, body.length);
    assert.ok(reader.body().every((byte) => byte === body[0]));
  }
  assert.equal(await reader.next(), false);
});

for (const length of [0, 3, 4 * 1024 * 1024, 0x48545450]) {
  Deno.test(`MessageReader refuses a message that says it has ${length} bytes`, async () => {
    const bytes = new Uint8Array(16);
    new DataView(bytes.buffer).setUint32(1, length);
    const reader = new MessageReader(piecewise(bytes, [16]));
    await assert.rejects(reader.next(), PostgresError);
  });
}

Deno.test("MessageReader.body() leaves out as many bytes as it is told", async () => {
  const reader = new MessageReader(piecewise(message("d", "nbase.tar\0\0"), [100]));
  await reader.next();
  assert.equal(reader.byteAt(0), "n".charCodeAt(0));
  assert.equal(reader.byteAt(99), 0);
  assert.deepEqual(zeroTerminated(reader.body(1)), ["base.tar", ""]);
});

Deno.test("startupMessage() holds length, protocol 3.0 and the parameters", () => {
  const bytes = startupMessage({ user: "bö", replication: "true" });
  const view = new DataView(bytes.buffer);
  assert.equal(view.getUint32(0), bytes.length);
  assert.equal(view.getUint32(4), 196608);
  const text = new TextDecoder().decode(bytes.subarray(8));
  assert.equal(text, "user\0bö\0replication\0true\0\0");
});

Deno.test("saslInitialMessage() holds the mechanism and the length of the response", () => {
  const bytes = saslInitialMessage("SCRAM-SHA-256", "n,,n=,r=ü");
  const view = new DataView(bytes.buffer);
  assert.equal(view.getUint32(1), bytes.length - 1);
  assert.equal(view.getInt32(5 + 14), 10);
  assert.equal(new TextDecoder().decode(bytes.subarray(5 + 14 + 4)), "n,,n=,r=ü");
});

Deno.test("dataRow() reads back texts and nulls", () => {
  const value = fc.option(fc.string({ unit: "binary", maxLength: 40 }));
  fc.assert(
    fc.property(fc.array(value, { maxLength: 12 }), (values) => {
      const bytes = result(values) as Bytes;
      const start = 7; // the row description before it
      const length = new DataView(bytes.buffer).getUint32(start + 1);
      assert.deepEqual(dataRow(bytes.subarray(start + 5, start + 1 + length)), values);
    }),
    { numRuns: 200 },
  );
});

for (
  const bytes of [[], [0], [0, 1], [0, 1, 0, 0, 0], [0, 1, 0, 0, 0, 9, 65], [0, 2, 0, 0, 0, 0]]
) {
  Deno.test(`dataRow() refuses the row [${bytes}], which is cut short`, () => {
    assert.throws(() => dataRow(new Uint8Array(bytes)), PostgresError);
  });
}

Deno.test("serverMessage() reads the untranslated severity, the code and the texts", () => {
  const body = errorResponse("28P01", "nein", "FATAL").subarray(5) as Bytes;
  const expected = { severity: "FATAL", code: "28P01", message: "nein" };
  assert.deepEqual(serverMessage(body), expected);
});

import { deepStrictEqual as equal, ok } from "node:assert/strict";
import fc from "fast-check";
import { GiB, MiB } from "../../../src/domain/bytes.ts";
import { PartCutter } from "../../../src/storage/part_cutter.ts";
import { partSizes } from "../../../src/storage/s3_part_sizes.ts";
import { content } from "../../support/bodies.ts";

const MAX_PART_BYTES = 5 * GiB;

Deno.test("partSizes() reaches the largest object with the allowed parts, whatever the limits", () => {
  const limits = fc.record({
    partBytes: fc.integer({ min: 1, max: 64 * MiB }),
    maxParts: fc.integer({ min: 1, max: 10_000 }),
    maxBytes: fc.integer({ min: 1, max: 5 * 1024 ** 4 }),
  }).filter(({ maxParts, maxBytes }) => maxBytes / maxParts < MAX_PART_BYTES / 3);
  fc.assert(
    fc.property(limits, (limits) => {
      const sizeOf = partSizes({ ...limits, grow: true });
      let sum = 0;
      let before = 0;
      for (let number = 1; number <= limits.maxParts; number++) {
        const size = sizeOf(number);
        ok(Number.isSafeInteger(size) && size >= before && size <= MAX_PART_BYTES);
        before = size;
        sum += size;
      }
      ok(sum >= limits.maxBytes, `${sum} < ${limits.maxBytes}`);
      const equalParts = Math.max(limits.partBytes, limits.maxBytes / limits.maxParts);
      ok(before <= 2.3 * equalParts + limits.maxParts || limits.maxParts < 10, "not much longer");
    }),
    { numRuns: 300 },
  );
});

Deno.test("partSizes() takes 5 TiB in 10,000 parts that begin with 16 MiB", () => {
  const sizeOf = partSizes({ partBytes: 16 * MiB, maxParts: 10_000, grow: true });
  let sum = 0;
  for (let number = 1; number <= 10_000; number++) sum += sizeOf(number);
  ok(sum >= 5 * 1024 ** 4 && sum < 5.01 * 1024 ** 4);
  equal(sizeOf(1_000), 16 * MiB);
  ok(sizeOf(10_000) < 1.2 * GiB);
});

Deno.test("partSizes() makes all parts equal when the length is known or must not change", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 5 * 1024 ** 4 }),
      fc.integer({ min: 100, max: 10_000 }),
      (size, maxParts) => {
        const sizeOf = partSizes({ partBytes: 16 * MiB, maxParts, size, grow: true });
        const part = sizeOf(1);
        ok(part >= 16 * MiB && part * maxParts >= size);
        equal(sizeOf(maxParts), part);
      },
    ),
    { numRuns: 300 },
  );
  const fixed = partSizes({ partBytes: 16 * MiB, maxParts: 10_000, grow: false });
  equal(fixed(10_000), 16 * MiB);
});

Deno.test("PartCutter cuts any chunks into the parts that were asked for", async () => {
  const property = fc.asyncProperty(
    fc.array(fc.nat(300), { maxLength: 30 }),
    fc.array(fc.integer({ min: 1, max: 200 }), { minLength: 1, maxLength: 5 }),
    async (chunks, sizes) => {
      const sizeOf = (number: number) => sizes[Math.min(number, sizes.length) - 1]!;
      const parts: Uint8Array[] = [];
      const onPart = (part: Uint8Array) => Promise.resolve(void parts.push(part));
      const cutter = new PartCutter({ sizeOf, onPart });
      const whole = content(chunks.reduce((sum, length) => sum + length, 0));
      let at = 0;
      for (const length of chunks) {
        await cutter.write(whole.slice(at, at + length));
        at += length;
      }
      parts.forEach((part, index) => equal(part.length, sizeOf(index + 1)));
      const rest = cutter.rest();
      ok(rest.length > 0 || whole.length === 0, "the last part is never empty");
      ok(rest.length <= sizeOf(parts.length + 1));
      equal(new Uint8Array(Buffer.concat([...parts, rest])), whole);
    },
  );
  await fc.assert(property, { numRuns: 300 });
});

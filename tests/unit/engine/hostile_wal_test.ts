/** WAL objects and histories by somebody who may write into the archive. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { BLOCK_BYTES, encodeBlock } from "../../../src/codec/codec.ts";
import type { Bytes } from "../../../src/domain/bytes.ts";
import { IntegrityError } from "../../../src/domain/errors.ts";
import { parseTimelineHistory } from "../../../src/domain/timeline_history.ts";
import { parseWalName } from "../../../src/domain/wal.ts";

import { campaignSeed, reportCampaign, trials } from "../../support/campaign.ts";
import { decodedWal } from "../../support/decoded_wal.ts";

const NAME = parseWalName("000000010000000000000001")!;
const HISTORIES = trials({ full: 100_000, usual: 2_000 });
const CODEC = { algorithm: "zstd", level: 1 } as const;

/** A first block that claims a segment of so many bytes, and more blocks of zeros. */
async function bomb(claimed: number, blocks: number): Promise<Bytes> {
  const first = new Uint8Array(BLOCK_BYTES);
  new DataView(first.buffer).setUint32(32, claimed, true);
  const zeros = await encodeBlock(CODEC, new Uint8Array(BLOCK_BYTES));
  return new Uint8Array(
    Buffer.concat([await encodeBlock(CODEC, first), ...Array(blocks - 1).fill(zeros)]),
  );
}

Deno.test("decodeWal() refuses more than the segment says that it has, before it opens it", async () => {
  const MiB = BLOCK_BYTES;
  assert.equal(
    decodedWal(NAME, { stored: await bomb(4 * MiB, 4), expected: undefined }).length,
    4 * MiB,
  );
  for (const claimed of [MiB, 4 * MiB, 16 * MiB, 0, 17, 0xffffffff]) {
    const stored = await bomb(claimed, 2000);
    assert.ok(stored.length < MiB, "2 GB of zeros, as they are stored");
    const before = Deno.memoryUsage().external;
    assert.throws(() => decodedWal(NAME, { stored, expected: undefined }), IntegrityError);
    assert.ok(Deno.memoryUsage().external - before < 64 * MiB, `${claimed}`);
  }
});

Deno.test(`parseTimelineHistory() answers ${HISTORIES} forged files with positions or an error`, () => {
  const line = fc.oneof(
    fc.tuple(fc.integer({ min: -1, max: 9 }), fc.bigInt({ min: 0n, max: 2n ** 65n }), fc.string())
      .map(([timeline, lsn, reason]) =>
        `${timeline}\t${(lsn >> 32n).toString(16).toUpperCase()}/${
          (lsn & 0xffffffffn).toString(16).toUpperCase()
        }\t${reason}`
      ),
    fc.string({ unit: "binary", maxLength: 60 }),
    fc.constantFrom("1\t0/3000000\tno recovery target", "2\t0/5000000", "# comment", ""),
  );
  const seed = campaignSeed();
  fc.assert(
    fc.property(fc.array(line, { maxLength: 8 }), fc.integer({ min: 1, max: 9 }), (lines, own) => {
      try {
        const { ancestors } = parseTimelineHistory(own, lines.join("\n"));
        for (const [index, { timeline, switchLsn }] of ancestors.entries()) {
          assert.ok(timeline < own, "no timeline is its own ancestor");
          const before = ancestors[index - 1];
          assert.ok(!before || (before.timeline < timeline && before.switchLsn <= switchLsn));
        }
      } catch (error) {
        if (error instanceof assert.AssertionError) throw error;
        assert.ok(error instanceof IntegrityError, `${error}`);
        assert.ok(error.message.length < 400);
      }
    }),
    { numRuns: HISTORIES, seed },
  );
  reportCampaign({
    what: "forged timeline histories: positions that make sense, or an error",
    ...{ n: HISTORIES, seed, outcome: "0 other answers" },
  });
});

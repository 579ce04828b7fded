import assert from "node:assert/strict";
import fc from "fast-check";
import { GiB, KiB, MiB } from "../../../src/domain/bytes.ts";
import { formatLsn, parseLsn } from "../../../src/domain/lsn.ts";
import {
  isWalSegmentBytes,
  isWalSegmentName,
  lastSegmentNumber,
  nextSegmentName,
  numberOfName,
  parseWalName,
  segmentName,
  segmentNumber,
  segmentStart,
  timelineHistoryName,
} from "../../../src/domain/wal.ts";

const PLACES = [
  { name: "00000002000000A900000065", bytes: 16 * MiB, timeline: 2, lsn: "A9/65000000" },
  { name: "000000010000000100000003", bytes: GiB, timeline: 1, lsn: "1/C0000000" },
  { name: "000000010000000000000FFF", bytes: MiB, timeline: 1, lsn: "0/FFF00000" },
  {
    name: "FFFFFFFFFFFFFFFF000000FF",
    bytes: 16 * MiB,
    timeline: 2 ** 32 - 1,
    lsn: "FFFFFFFF/FF000000",
  },
];
for (const { name, bytes, timeline, lsn } of PLACES) {
  Deno.test(`parseWalName() places ${name} (${bytes / MiB} MiB) at ${lsn}`, () => {
    const parsed = parseWalName(name);
    assert.ok(parsed?.kind === "segment");
    const number = numberOfName(parsed, bytes)!;
    assert.equal(parsed.timeline, timeline);
    assert.equal(formatLsn(segmentStart(number, bytes)), lsn);
    assert.equal(segmentName(timeline, number, bytes), name);
    assert.equal(segmentNumber(parseLsn(lsn), bytes), number);
  });
}

const KINDS = [
  ["00000002.history", "history"],
  ["00000002000000A900000065.00000028.backup", "backup"],
  ["00000002000000A900000065.partial", "partial"],
  ["00000002000000A900000065", "segment"],
] as const;
for (const [name, kind] of KINDS) {
  Deno.test(`parseWalName() takes ${name} for a ${kind}`, () => {
    assert.equal(parseWalName(name)?.kind, kind);
    assert.equal(parseWalName(name)?.name, name);
    assert.equal(isWalSegmentName(name), kind === "segment");
  });
}

const NO_NAMES = [
  "",
  "00000002.History",
  "00000000.history",
  "000000000000000000000001",
  "0000000100000000000000fe",
  "000000010000000000001000",
  "00000001000000000000000",
  "0000000100000000000000001",
  "000000010000000000000001.gz",
  "000000010000000000000001.28.backup",
  "000000010000000000000001.partial.partial",
  "../000000010000000000000001",
  "000000010000000000000001\n",
  "RECOVERYXLOG",
];
for (const name of NO_NAMES) {
  Deno.test(`parseWalName() refuses ${JSON.stringify(name)}`, () => {
    assert.equal(parseWalName(name), undefined);
  });
}

Deno.test("isWalSegmentBytes() allows the powers of two from 1 MiB to 1 GiB", () => {
  const allowed = Array.from({ length: 40 }, (_, power) => 2 ** power).filter(isWalSegmentBytes);
  assert.deepEqual(allowed, Array.from({ length: 11 }, (_, power) => MiB * 2 ** power));
  for (const bytes of [0, -MiB, 3 * MiB, MiB + 1, 512 * KiB, 1.5 * MiB, NaN, 2 ** 32]) {
    assert.equal(isWalSegmentBytes(bytes), false, String(bytes));
  }
});

Deno.test("numberOfName() is undefined for a name beyond the segments of a log", () => {
  const name = { log: 0, segment: 0x100 };
  assert.equal(numberOfName(name, 16 * MiB), undefined);
  assert.equal(numberOfName(name, MiB), 0x100);
});

Deno.test("lastSegmentNumber() counts a boundary to the segment before", () => {
  assert.equal(lastSegmentNumber(parseLsn("0/2000000"), 16 * MiB), 1);
  assert.equal(lastSegmentNumber(parseLsn("0/2000001"), 16 * MiB), 2);
  assert.equal(lastSegmentNumber(0n, 16 * MiB), 0);
});

Deno.test("nextSegmentName() carries into the high half at every size", () => {
  const next = (name: string, bytes: number) => {
    const parsed = parseWalName(name);
    assert.ok(parsed?.kind === "segment");
    return nextSegmentName(parsed, bytes);
  };
  assert.equal(next("0000000100000000000000FF", 16 * MiB), "000000010000000100000000");
  assert.equal(next("0000000100000000000000FF", MiB), "000000010000000000000100");
  assert.equal(next("000000070000000000000003", GiB), "000000070000000100000000");
  assert.throws(() => next("0000000100000000000000FF", GiB), RangeError);
});

Deno.test("timelineHistoryName() writes eight digits", () => {
  assert.equal(timelineHistoryName(0x2b), "0000002B.history");
});

const segmentBytes = fc.integer({ min: 0, max: 10 }).map((power) => MiB * 2 ** power);

Deno.test("a segment's name, number and first LSN tell the same (fast-check)", () => {
  fc.assert(fc.property(
    fc.integer({ min: 1, max: 0xffffffff }),
    fc.bigInt(0n, (1n << 64n) - 1n),
    segmentBytes,
    (timeline, lsn, bytes) => {
      const number = segmentNumber(lsn, bytes);
      const start = segmentStart(number, bytes);
      assert.ok(start <= lsn && lsn < start + BigInt(bytes));
      const parsed = parseWalName(segmentName(timeline, number, bytes));
      assert.ok(parsed?.kind === "segment");
      assert.equal(parsed.timeline, timeline);
      assert.equal(numberOfName(parsed, bytes), number);
      assert.equal(BigInt(parsed.log), start >> 32n);
      if (lsn < (1n << 64n) - BigInt(bytes)) {
        assert.equal(nextSegmentName(parsed, bytes), segmentName(timeline, number + 1, bytes));
      }
    },
  ));
});

Deno.test("parseWalName() never takes a name that could leave its folder (fast-check)", () => {
  const character = fc.constantFrom(..."0123456789ABCDEFabc./\\ \n\0%historybackup");
  fc.assert(fc.property(fc.string({ unit: character, maxLength: 64 }), (text) => {
    const parsed = parseWalName(text);
    if (parsed) assert.match(text, /^[0-9A-F]{8}[0-9A-Za-z.]{8,56}$/);
  }));
});

import assert from "node:assert/strict";
import fc from "fast-check";
import { UsageError } from "../../../../src/domain/errors.ts";
import { formatLsn } from "../../../../src/domain/lsn.ts";
import {
  describeTarget,
  parseRecoveryRequest,
  type RecoveryTexts,
} from "../../../../src/engine/recovery/recovery_target.ts";
import {
  isoTime,
  parseRecoveryTime,
  postgresTime,
} from "../../../../src/engine/recovery/recovery_time.ts";

const times = [
  ["2024-01-15T12:30:00Z", "2024-01-15 12:30:00+00"],
  ["2024-01-15T12:30Z", "2024-01-15 12:30:00+00"],
  ["2024-01-15 12:30:00 UTC", "2024-01-15 12:30:00+00"],
  ["2024-01-15t12:30:00z", "2024-01-15 12:30:00+00"],
  ["2024-01-15T12:30:00-03:00", "2024-01-15 15:30:00+00"],
  ["2024-01-15 12:30:00.25+0530", "2024-01-15 07:00:00.25+00"],
  ["2024-01-15 12:30:00.123456-03", "2024-01-15 15:30:00.123456+00"],
  ["2024-01-15 12:30:00+00:00:30", "2024-01-15 12:29:30+00"],
  ["2024-02-29T23:59:59,999999Z", "2024-02-29 23:59:59.999999+00"],
  ["1969-12-31T23:59:59.5Z", "1969-12-31 23:59:59.5+00"],
] as const;
for (const [text, expected] of times) {
  Deno.test(`parseRecoveryTime() reads ${text} as ${expected}`, () => {
    assert.equal(postgresTime(parseRecoveryTime(text)), expected);
  });
}

const refusedTimes = [
  ["2024-01-15T12:30:00", /has no zone/, /write 2024-01-15T12:30:00Z for UTC/],
  ["2024-01-15 12:30", /has no zone/, /write 2024-01-15T12:30:00Z for UTC/],
  ["2024-01-15", /has no time of day/, /2024-01-15T00:00:00Z/],
  ["2024-01-15 12:30:00 America/Sao_Paulo", /says its offset/, /write 2024-01-15T12:30:00-03:00/],
  ["2024-01-15 12:30:00 BRT", /"BRT".*says its offset/, /an offset such as -03:00/],
  ["2024-01-15 12:30:00 No/Where", /says its offset/, /an offset such as -03:00/],
  ["2023-02-29T00:00:00Z", /there is no 2023-02-29/, undefined],
  ["2024-13-01T00:00:00Z", /there is no 2024-13-01/, undefined],
  ["2024-01-15T24:00:00Z", /no time of day 24:00:00/, /23:59:59/],
  ["2024-01-15T12:60:00Z", /no time of day/, /23:59:59/],
  ["2024-01-15T12:30:00+16:00", /no place has the offset/, /15:59/],
  ["2024-01-15T12:30:00.1234567Z", /finer than a microsecond/, /write 2024-01-15T12:30:00.123456Z/],
  ["yesterday", /not a time/, /2024-01-15T12:30:00Z/],
  ["15/01/2024 12:30 UTC", /not a time/, /2024-01-15T12:30:00Z/],
  ["", /not a time/, /2024-01-15T12:30:00Z/],
] as const;
for (const [text, message, hint] of refusedTimes) {
  Deno.test(`parseRecoveryTime() refuses "${text}"`, () => {
    assert.throws(() => parseRecoveryTime(text), (error) => {
      assert.ok(error instanceof UsageError);
      assert.match(error.message, message);
      if (hint) assert.match(error.hint ?? "", hint);
      return true;
    });
  });
}

Deno.test("parseRecoveryTime() names the same microsecond whatever the offset it is written with", () => {
  const parts = fc.record({
    at: fc.integer({ min: Date.UTC(1990, 0, 1), max: Date.UTC(2090, 0, 1) }),
    below: fc.nat({ max: 999 }),
    minutes: fc.integer({ min: -15 * 60, max: 15 * 60 }),
  });
  fc.assert(fc.property(parts, ({ at, below, minutes }) => {
    const local = new Date(at + minutes * 60_000).toISOString().replace("Z", "");
    const size = Math.abs(minutes);
    const two = (value: number) => String(value).padStart(2, "0");
    const offset = `${minutes < 0 ? "-" : "+"}${two(Math.floor(size / 60))}:${two(size % 60)}`;
    const micros = parseRecoveryTime(`${local}${String(below).padStart(3, "0")}${offset}`);
    assert.equal(micros, BigInt(at) * 1000n + BigInt(below));
    assert.equal(parseRecoveryTime(isoTime(micros)), micros);
    assert.equal(parseRecoveryTime(postgresTime(micros)), micros);
  }));
});

Deno.test("parseRecoveryTime() refuses whatever it does not read, and always says why", () => {
  fc.assert(fc.property(fc.string({ maxLength: 40 }), (text) => {
    try {
      parseRecoveryTime(text);
    } catch (error) {
      assert.ok(error instanceof UsageError, String(error));
    }
  }));
});

function request(texts: RecoveryTexts) {
  const parsed = parseRecoveryRequest(texts);
  assert.ok(parsed);
  return parsed;
}

const requests: readonly (readonly [RecoveryTexts, string, string])[] = [
  [{ to: "2024-01-15T12:30:00Z" }, "the time 2024-01-15T12:30:00Z", "latest promote inclusive"],
  [
    { to: "2024-01-15T12:30Z", exclusive: true, action: "pause" },
    "the time 2024-01-15T12:30:00Z",
    "latest pause exclusive",
  ],
  [{ toLsn: "16/b374d848", timeline: "3" }, "LSN 16/B374D848", "3 promote inclusive"],
  [{ toXid: "742", timeline: "current" }, "transaction 742", "current promote inclusive"],
  [{ toXid: "4294968038" }, "transaction 742", "latest promote inclusive"],
  [{ toName: "before upgrade" }, 'the restore point "before upgrade"', "latest promote inclusive"],
  [{ immediate: true }, "the backup's own end", "current promote inclusive"],
  [{ immediate: true, timeline: "0x1A" }, "the backup's own end", "26 promote inclusive"],
  [{ latest: true }, "the end of the archive", "latest promote inclusive"],
  [{ standby: true }, "the end of the archive", "latest pause inclusive standby"],
  [{ standby: true, toLsn: "0/1" }, "LSN 0/1", "latest pause inclusive standby"],
];
for (const [texts, target, rest] of requests) {
  Deno.test(`parseRecoveryRequest() reads ${JSON.stringify(texts)}`, () => {
    const { timeline, action, inclusive, standby, ...parsed } = request(texts);
    assert.equal(describeTarget(parsed.target), target);
    const words = [timeline, action, inclusive ? "inclusive" : "exclusive"];
    assert.equal([...words, ...(standby ? ["standby"] : [])].join(" "), rest);
  });
}

Deno.test("parseRecoveryRequest() asks for no recovery without a flag", () => {
  assert.equal(parseRecoveryRequest({}), undefined);
});

const refused: readonly (readonly [RecoveryTexts, RegExp])[] = [
  [{ to: "2024-01-15T12:30:00Z", latest: true }, /one target/],
  [{ toLsn: "0/1", toXid: "5" }, /one target/],
  [{ toLsn: "16B374D848" }, /not a position in the log/],
  [{ toLsn: "0/0" }, /not a position in the log/],
  [{ toLsn: "1/123456789" }, /not a position in the log/],
  [{ toXid: "2" }, /not a transaction/],
  [{ toXid: "-7" }, /not a transaction/],
  [{ toXid: "4294967296" }, /not a transaction/],
  [{ toName: "" }, /not the name of a restore point/],
  [{ toName: "ü".repeat(32) }, /not the name of a restore point/],
  [{ toName: "a\nb" }, /not the name of a restore point/],
  [{ latest: true, timeline: "0" }, /not a timeline/],
  [{ latest: true, timeline: "4294967296" }, /not a timeline/],
  [{ latest: true, timeline: "newest" }, /not a timeline/],
  [{ latest: true, timeline: "0000000A" }, /not a timeline/],
  [{ latest: true, action: "pause" }, /the end of the archive is none/],
  [{ standby: true, action: "promote" }, /the end of the archive is none/],
  [{ immediate: true, action: "stop" }, /nothing to do at the target/],
  [{ latest: true, exclusive: true }, /--exclusive says nothing about the end of the archive/],
  [{ toName: "x", exclusive: true }, /--exclusive says nothing/],
  [{ exclusive: true }, /--exclusive needs a target/],
  [{ timeline: "latest" }, /--timeline needs a target/],
  [{ action: "pause" }, /--action needs a target/],
];
for (const [texts, message] of refused) {
  Deno.test(`parseRecoveryRequest() refuses ${JSON.stringify(texts)}`, () => {
    assert.throws(() => parseRecoveryRequest(texts), (error) => {
      assert.ok(error instanceof UsageError);
      assert.match(error.message, message);
      return true;
    });
  });
}

Deno.test("parseRecoveryRequest() tells the number of a timeline written as in a file's name", () => {
  assert.throws(() => parseRecoveryRequest({ latest: true, timeline: "0000000A" }), {
    hint: "in the names of WAL files 0000000A stands for timeline 10: write 10",
  });
});

Deno.test("parseRecoveryRequest() reads every LSN that PostgreSQL writes", () => {
  fc.assert(fc.property(fc.bigInt({ min: 1n, max: (1n << 64n) - 1n }), (lsn) => {
    assert.deepEqual(request({ toLsn: formatLsn(lsn) }).target, { kind: "lsn", lsn });
  }));
});

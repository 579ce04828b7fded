import assert from "node:assert/strict";
import fc from "fast-check";
import { backupId, isBackupId } from "../../../src/domain/backup_id.ts";
import { formatBytes, formatSeconds, GiB, MiB } from "../../../src/domain/bytes.ts";
import {
  BackupctlError,
  exitStatus,
  ObjectMissingError,
  UsageError,
} from "../../../src/domain/errors.ts";
import { checkLabel } from "../../../src/domain/label.ts";
import { formatLsn, parseLsn } from "../../../src/domain/lsn.ts";

const LSNS = [
  { text: "0/0", lsn: 0n },
  { text: "16/B374D848", lsn: 0x16B374D848n },
  { text: "FFFFFFFF/FFFFFFFF", lsn: 0xFFFFFFFFFFFFFFFFn },
];
for (const { text, lsn } of LSNS) {
  Deno.test(`parseLsn() and formatLsn() agree on ${text}`, () => {
    assert.equal(parseLsn(text), lsn);
    assert.equal(formatLsn(lsn), text);
  });
}

Deno.test("parseLsn() reads back whatever formatLsn() wrote", () => {
  fc.assert(fc.property(fc.bigInt(0n, (1n << 64n) - 1n), (lsn) => {
    assert.equal(parseLsn(formatLsn(lsn)), lsn);
  }));
});

for (const text of ["", "16", "16/", "/1", "G/1", "1/123456789", " 1/1", "-1/1"]) {
  Deno.test(`parseLsn() refuses ${JSON.stringify(text)}`, () => {
    assert.throws(() => parseLsn(text), RangeError);
  });
}

const SIZES = [
  { bytes: 0, text: "0 B" },
  { bytes: 1023, text: "1023 B" },
  { bytes: 1536, text: "1.5 kB" },
  { bytes: 128 * MiB, text: "128 MB" },
  { bytes: 5 * 1024 * GiB, text: "5.0 TB" },
];
for (const { bytes, text } of SIZES) {
  Deno.test(`formatBytes() writes ${bytes} as ${text}`, () => {
    assert.equal(formatBytes(bytes), text);
  });
}

const DURATIONS = [
  { seconds: 0.42, text: "0.4 s" },
  { seconds: 12.3, text: "12 s" },
  { seconds: 185, text: "3 min 05 s" },
  { seconds: 7800, text: "2 h 10 min" },
  { seconds: 200_000, text: "2 d 7 h" },
];
for (const { seconds, text } of DURATIONS) {
  Deno.test(`formatSeconds() writes ${seconds} as ${text}`, () => {
    assert.equal(formatSeconds(seconds), text);
  });
}

const STARTED = new Date("2026-11-23T02:24:15.678Z");
const IDS = [
  { method: "physical", kind: "full", again: 1, id: "20261123T022415Z-F" },
  { method: "physical", kind: "incremental", again: 1, id: "20261123T022415Z-I" },
  { method: "logical", kind: "full", again: 3, id: "20261123T022415Z-L-3" },
] as const;
for (const { id, ...options } of IDS) {
  Deno.test(`backupId() names a ${options.kind} ${options.method} backup ${id}`, () => {
    assert.equal(backupId(STARTED, options), id);
    assert.ok(isBackupId(id));
  });
}

Deno.test("isBackupId() refuses paths and other names", () => {
  for (const text of ["", "../20261123T022415Z-F", "20261123T022415Z-X", "20261123T022415Z-F\n"]) {
    assert.equal(isBackupId(text), false, JSON.stringify(text));
  }
});

Deno.test("checkLabel() returns what matches the grammar", () => {
  for (const label of ["a", "primeiro-backup", "v1.2_x", "9".repeat(64)]) {
    assert.equal(checkLabel("the label", label), label);
  }
});

const HOSTILE_LABELS = ["", ".", "..", "../x", "a b", "a\nb", "\x1b[31m", ";rm", "é", "\0"];
for (const label of [...HOSTILE_LABELS, "x".repeat(65), "x".repeat(10_000_000)]) {
  Deno.test(`checkLabel() refuses ${JSON.stringify(label.slice(0, 12))} in a short message`, () => {
    assert.throws(
      () => checkLabel("the label", label),
      (error: Error) => error instanceof UsageError && error.message.length < 200,
    );
  });
}

Deno.test("checkLabel() lets nothing through that could leave a path segment (fast-check)", () => {
  fc.assert(fc.property(fc.string({ unit: "binary", maxLength: 70 }), (text) => {
    try {
      assert.match(checkLabel("the label", text), /^[A-Za-z0-9._-]{1,64}$/);
    } catch (error) {
      assert.ok(error instanceof UsageError);
    }
  }));
});

Deno.test("exitStatus() is the error's own, and 70 for a bug", () => {
  assert.equal(exitStatus(new UsageError("x")), 2);
  assert.equal(exitStatus(new ObjectMissingError("k")), 6);
  assert.equal(exitStatus(new TypeError("x")), 70);
});

Deno.test("an error carries its class as name, its hint and its cause", () => {
  const cause = new Error("beneath");
  const error = new UsageError("unknown flag --x", "did you mean --y?", { cause });
  assert.ok(error instanceof BackupctlError);
  assert.deepEqual([error.name, error.hint, error.cause], [
    "UsageError",
    "did you mean --y?",
    cause,
  ]);
});

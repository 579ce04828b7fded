import assert from "node:assert/strict";
import fc from "fast-check";
import { type Bytes, MiB } from "../../../src/domain/bytes.ts";
import { BackupctlError, IntegrityError, VersionError } from "../../../src/domain/errors.ts";
import { parseWalName, segmentName } from "../../../src/domain/wal.ts";
import { checkWalHeader } from "../../../src/engine/wal/wal_header.ts";
import { clusterMajors, makeServerFolder } from "../../support/postgres_cluster.ts";
import { runAsServer } from "../../support/postgres_process.ts";
import { makeSegment, PAGE_MAGIC, TEST_SYSTEM } from "../../support/wal_segments.ts";

function check(name: string, bytes: Bytes, systemIdentifier?: string) {
  const parsed = parseWalName(name);
  assert.ok(parsed?.kind === "segment");
  return checkWalHeader(bytes, { name: parsed, fileBytes: bytes.length, systemIdentifier });
}

for (const { major, binDir } of clusterMajors()) {
  Deno.test(`checkWalHeader() accepts the WAL that PostgreSQL ${major} writes`, async () => {
    const folder = await makeServerFolder();
    try {
      const args = ["-D", `${folder}/data`, "-A", "trust", "--no-sync", "--wal-segsize=1"];
      await runAsServer(`${binDir}/initdb`, args, { cwd: folder, env: {} });
      const control = await Deno.readFile(`${folder}/data/global/pg_control`);
      const system = new DataView(control.buffer).getBigUint64(0, true).toString();
      const names = [...Deno.readDirSync(`${folder}/data/pg_wal`)].filter(({ isFile }) => isFile);
      // Those behind the first are recycled: another segment's content under a future name.
      const [name] = names.map(({ name }) => name).sort();
      const header = check(name!, await Deno.readFile(`${folder}/data/pg_wal/${name}`), system);
      assert.deepEqual([header.major, header.segmentBytes, header.timeline], [major, MiB, 1]);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}

Deno.test("checkWalHeader() knows the magic of 13 to 18", () => {
  for (const major of Object.keys(PAGE_MAGIC).map(Number) as (keyof typeof PAGE_MAGIC)[]) {
    const { name, bytes } = makeSegment({ major });
    assert.equal(check(name, bytes).major, major);
  }
});

Deno.test("checkWalHeader() accepts an ancestor's page in the segment of a switch", () => {
  const { bytes } = makeSegment({ timeline: 3, number: 7 });
  assert.equal(check(segmentName(5, 7, MiB), bytes, TEST_SYSTEM).timeline, 3);
});

const WRONG = [
  { what: "a newer timeline's page", name: segmentName(2, 7, MiB) },
  { what: "another segment's content", name: segmentName(3, 8, MiB) },
  { what: "a name that this size does not have", name: "000000030000000000001001" },
  { what: "another system's segment", system: "1" },
  { what: "a segment that is cut short", cut: MiB / 2 },
  { what: "a segment that is empty", cut: 0 },
  { what: "zeros", patch: (view: DataView) => view.setUint16(0, 0, true) },
  { what: "a first page without the long header", patch: (view: DataView) => view.setUint16(2, 4) },
  { what: "a size that cannot be", patch: (view: DataView) => view.setUint32(32, MiB + 1, true) },
  { what: "timeline 0", patch: (view: DataView) => view.setUint32(4, 0, true) },
];
for (const { what, name, system, cut, patch } of WRONG) {
  Deno.test(`checkWalHeader() refuses ${what}`, () => {
    const made = makeSegment({ timeline: 3, number: 7 });
    patch?.(new DataView(made.bytes.buffer));
    const parsed = parseWalName(name ?? made.name) ?? { log: 0, segment: 0x1001 };
    const bytes = made.bytes.subarray(0, cut ?? MiB);
    const place = { name: made.name, timeline: 3, log: 0, segment: 7, ...parsed };
    assert.throws(
      () =>
        checkWalHeader(bytes, {
          name: place,
          fileBytes: bytes.length,
          systemIdentifier: system ?? TEST_SYSTEM,
        }),
      IntegrityError,
    );
  });
}

Deno.test("checkWalHeader() says so when the WAL is of a PostgreSQL it does not know", () => {
  const { name, bytes } = makeSegment();
  new DataView(bytes.buffer).setUint16(0, 0xd119, true);
  assert.throws(() => check(name, bytes), VersionError);
});

Deno.test("checkWalHeader() refuses any bytes with an error of its own (fast-check)", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 64 }), (random) => {
    assert.throws(() => check(makeSegment().name, Uint8Array.from(random)), BackupctlError);
  }));
});

Deno.test("checkWalHeader() refuses a size that cannot be, even where the file has it", () => {
  const { name, bytes } = makeSegment();
  const odd = new Uint8Array(MiB + 8192);
  odd.set(bytes);
  new DataView(odd.buffer).setUint32(32, odd.length, true);
  assert.throws(() => check(name, odd), IntegrityError);
});

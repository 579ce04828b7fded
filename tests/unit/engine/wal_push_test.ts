import assert from "node:assert/strict";
import { KiB, MiB } from "../../../src/domain/bytes.ts";
import {
  ArchiveConflictError,
  IntegrityError,
  RepositoryError,
  RunFailedError,
  UsageError,
} from "../../../src/domain/errors.ts";
import { bindSystem } from "../../../src/engine/wal/system_binding.ts";
import { walNameOf } from "../../../src/engine/wal/wal_file.ts";
import { type HoldWal, sealedWriter } from "../../../src/engine/wal/sealed_wal.ts";
import { sha256Of, type WalSeal } from "../../../src/engine/wal/wal_object.ts";
import { decodedWal } from "../../support/decoded_wal.ts";
import { parseWalName } from "../../../src/domain/wal.ts";
import {
  generateIdentity,
  KeyRing,
  newDataKey,
  ObjectOpener,
  ObjectSealer,
} from "../../../src/crypto/crypto.ts";
import { encodeWalFile } from "../../../src/engine/wal/encode_wal_file.ts";
import { pushWal } from "../../../src/engine/wal/wal_push.ts";
import { DirectoryStore } from "../../../src/storage/directory.ts";
import { MemoryStore } from "../../../src/storage/memory.ts";
import { bytesOf, text } from "../../support/bodies.ts";
import { reportCampaign, trials } from "../../support/campaign.ts";
import { PLACE, pushParts, storeWith, WalRig } from "../../support/wal_rig.ts";
import { makeSegment } from "../../support/wal_segments.ts";

const HISTORY = "1\t0/3000110\tno recovery target specified\n";
const BACKUP = "START WAL LOCATION: 0/2000028 (file 000000010000000000000002)\n";

/** One file of every kind, and another content under the same name. */
function kinds() {
  const segment = makeSegment();
  const other = makeSegment({ seed: 2 });
  return [
    { name: segment.name, one: segment.bytes, other: other.bytes },
    { name: `${segment.name}.partial`, one: segment.bytes, other: other.bytes },
    { name: "00000002.history", one: text(HISTORY), other: text(HISTORY.replace("110", "220")) },
    { name: `${segment.name}.00000028.backup`, one: text(BACKUP), other: text(`${BACKUP}x\n`) },
  ];
}

for (const conditionalPut of [true, false]) {
  const how = conditionalPut ? "" : " where conditions are ignored";
  for (const { name, one, other } of kinds()) {
    Deno.test(`pushWal() stores ${name} once, and nothing else under its name${how}`, async () => {
      await using rig = await WalRig.make();
      const parts = pushParts({ conditionalPut });
      const first = await pushWal(parts, await rig.file(name, one));
      assert.equal(first.outcome, "stored");
      const again = await pushWal(parts, await rig.file(name, one));
      assert.equal(again.outcome, "already_archived");
      assert.deepEqual(again, { ...first, outcome: "already_archived" });
      const different = await rig.file(name, other);
      await assert.rejects(pushWal(parts, different), ArchiveConflictError);
      const info = await parts.store.head(first.key);
      assert.deepEqual(info?.metadata, { "raw-bytes": `${one.length}`, sha256: first.sha256 });
    });
  }
}

Deno.test("pushWal() knows its own content again at another level and without metadata", async () => {
  await using rig = await WalRig.make();
  const parts = pushParts();
  const { name, bytes } = makeSegment();
  const { key } = await pushWal(parts, await rig.file(name, bytes));
  const again = await pushWal(parts, await rig.file(name, bytes, { level: 9 }));
  assert.equal(again.outcome, "already_archived");
  await parts.store.put(key, await bytesOf(await parts.store.get(key)));
  const copied = await pushWal(parts, await rig.file(name, bytes));
  assert.equal(copied.outcome, "already_archived");
  const other = await rig.file(name, makeSegment({ seed: 2 }).bytes);
  await assert.rejects(pushWal(parts, other), ArchiveConflictError);
});

Deno.test("what is stored encrypted opens to what it was, and is known again by its tag", async () => {
  await using rig = await WalRig.make();
  const { identity, recipient } = await generateIdentity();
  const key = await newDataKey([recipient]);
  const sealer = new ObjectSealer(() => Promise.resolve(key));
  const opener = new ObjectOpener(new KeyRing({ identities: () => Promise.resolve([identity]) }));
  const hold: HoldWal = (name, known) => sealer.hold(name, { ...known, tagged: true });
  const tagOf = (sha256: string) => Promise.resolve(sha256.split("").reverse().join(""));
  const seal: WalSeal = (target) => sealedWriter(target, { hold, tagOf });
  const parts = { ...pushParts(), seal, tagOf };
  const full = { segmentBytes: 4 * MiB, filled: 1 };
  const large = { name: makeSegment(full).name, one: makeSegment(full).bytes };
  for (const { name, one } of [...kinds().slice(1), large]) {
    const report = await pushWal(parts, await rig.file(name, one, { seal }));
    const stored = await bytesOf(await parts.store.get(report.key));
    const { metadata } = (await parts.store.head(report.key))!;
    assert.equal(metadata?.["stored-sha256"], sha256Of(stored));
    const opened = decodedWal(parseWalName(name)!, {
      stored: await opener.open(report.key, stored),
      expected: report,
    });
    assert.equal(Buffer.compare(opened, one), 0);
    const again = async () => (await pushWal(parts, await rig.file(name, one, { seal }))).outcome;
    assert.equal(await again(), "already_archived");
    await parts.store.put(report.key, stored); // a copy that lost its metadata
    assert.equal(await again(), "already_archived");
  }
});

Deno.test("a history that no header has room for is refused in words", async () => {
  const lines = Array.from(
    { length: 7000 },
    (_, index) => `${index + 1}\t0/${(index + 1) * 16}\tr\n`,
  );
  const name = parseWalName("00001B59.history")!;
  const parts = {
    hold: () => Promise.reject(new Error("begun")),
    tagOf: () => Promise.resolve("ab".repeat(32)),
  };
  const writer = sealedWriter({ name, key: "main/1/wal/00001B59.history" }, parts);
  const whole = text(lines.join(""));
  await assert.rejects(async () => await writer.write(whole), IntegrityError);
});

Deno.test("zstd -d opens a stored segment", async () => {
  await using rig = await WalRig.make();
  const parts = pushParts();
  const { name, bytes } = makeSegment({ segmentBytes: 4 * MiB });
  const { key } = await pushWal(parts, await rig.file(name, bytes));
  await Deno.writeFile(`${rig.folder}/x.zst`, await bytesOf(await parts.store.get(key)));
  const args = ["-dqc", `${rig.folder}/x.zst`];
  const { success, stdout } = await new Deno.Command("zstd", { args }).output();
  assert.ok(success);
  assert.ok(Buffer.compare(stdout, bytes) === 0);
});

Deno.test("pushWal() believes a store only when it has the object", async () => {
  await using rig = await WalRig.make();
  const { name, bytes } = makeSegment();
  const honest = new MemoryStore();
  const info = (key: string, size: number) => Promise.resolve({ key, size, etag: '"x"' });
  const liar = storeWith(honest, { put: (key) => info(key, 1) });
  const file = await rig.file(name, bytes);
  await assert.rejects(pushWal(pushParts({ store: liar }), file), IntegrityError);
  const cutting = storeWith(honest, {
    put: async (key, body, options) => {
      await honest.put(key, (body as Uint8Array<ArrayBuffer>).subarray(0, 100), options);
      return await info(key, (body as Uint8Array).length);
    },
  });
  await assert.rejects(pushWal(pushParts({ store: cutting }), file), IntegrityError);
});

Deno.test("pushWal() stores again what somebody removed in between", async () => {
  await using rig = await WalRig.make();
  const { name, bytes } = makeSegment();
  const honest = new MemoryStore();
  let removals = 1;
  const store = storeWith(honest, {
    head: async (key, options) => {
      if (removals-- > 0) await honest.delete([key]);
      return await honest.head(key, options);
    },
  });
  const report = await pushWal(pushParts({ store }), await rig.file(name, bytes));
  assert.ok(await honest.head(report.key));
});

const RACES = trials({ full: 1_000, usual: 60 });
Deno.test(`of two files under one name, one wins and the other is refused (${RACES} races)`, async () => {
  await using rig = await WalRig.make();
  await Deno.mkdir(`${rig.folder}/store`);
  const wins = [0, 0];
  for (let race = 0; race < RACES; race++) {
    const parts = pushParts({ store: new DirectoryStore(`${rig.folder}/store`) });
    const made = [1, 2].map((seed) => makeSegment({ number: race + 1, seed, filled: 0.02 }));
    const files = [];
    for (const { name, bytes } of made) files.push(await rig.file(name, bytes));
    const results = await Promise.allSettled(files.map((file) => pushWal(parts, file)));
    const winner = results.findIndex(({ status }) => status === "fulfilled");
    const loser = results[1 - winner]!;
    assert.ok(loser.status === "rejected" && loser.reason instanceof ArchiveConflictError);
    const won = results[winner]!;
    assert.ok(won.status === "fulfilled");
    const info = await parts.store.head(won.value.key);
    assert.equal(info?.metadata?.["sha256"], won.value.sha256);
    wins[winner]! += 1;
  }
  reportCampaign({
    ...{ what: "two files race for one WAL name: one wins, one is refused", n: RACES, seed: 0 },
    outcome: `${wins.join(" and ")} wins`,
  });
});

const REFUSED = [
  { what: "an empty segment", name: makeSegment().name, bytes: new Uint8Array(0) },
  { what: "zeros", name: makeSegment().name, bytes: new Uint8Array(MiB) },
  { what: "a cut segment", name: makeSegment().name, bytes: makeSegment().bytes.slice(0, 8 * KiB) },
  { what: "a recycled segment", name: makeSegment({ number: 9 }).name, bytes: makeSegment().bytes },
  { what: "a history that makes no sense", name: "00000002.history", bytes: text("<html>") },
  { what: "an empty history", name: "00000002.history", bytes: text("") },
  {
    what: "a backup history file that is none",
    name: `${makeSegment().name}.00000028.backup`,
    bytes: text("x"),
  },
];
for (const { what, name, bytes } of REFUSED) {
  Deno.test(`encodeWalFile() refuses ${what}`, async () => {
    await using rig = await WalRig.make();
    await assert.rejects(rig.file(name, bytes), IntegrityError);
  });
}

Deno.test("encodeWalFile() says when there is no such file, or a folder", async () => {
  await using rig = await WalRig.make();
  const { name } = makeSegment();
  const encode = () =>
    encodeWalFile(`${rig.folder}/pg_wal/${name}`, {
      codec: { algorithm: "zstd", level: 1 },
      place: PLACE,
      seal: undefined,
    });
  await assert.rejects(encode(), RunFailedError);
  await Deno.mkdir(`${rig.folder}/pg_wal/${name}`);
  await assert.rejects(encode(), IntegrityError);
});

Deno.test("walNameOf() refuses what PostgreSQL does not archive", () => {
  for (const path of ["pg_wal/x", "pg_wal/", "%p", "../../etc/passwd", "RECOVERYXLOG"]) {
    assert.throws(() => walNameOf(path), UsageError, path);
  }
});

for (const conditionalPut of [true, false]) {
  Deno.test(`bindSystem() keeps a cluster's name for one system (conditions: ${conditionalPut})`, async () => {
    const store = new MemoryStore();
    const bind = (systemIdentifier: string, takeOver = false) =>
      bindSystem(store, { ...PLACE, systemIdentifier }, { takeOver, conditionalPut });
    await bind("1");
    await bind("1");
    await assert.rejects(bind("2"), RepositoryError);
    await bind("2", true);
    await bind("2");
    await assert.rejects(bind("1"), RepositoryError);
    await store.put("main/system.json", text("{}"));
    await assert.rejects(bind("2"), RepositoryError);
  });
}

Deno.test("bindSystem() lets one of many systems win", async () => {
  const store = new MemoryStore();
  const results = await Promise.allSettled(
    Array.from(
      { length: 8 },
      (_, index) =>
        bindSystem(store, { ...PLACE, systemIdentifier: `${index}` }, {
          takeOver: false,
          conditionalPut: true,
        }),
    ),
  );
  assert.equal(results.filter(({ status }) => status === "fulfilled").length, 1);
});

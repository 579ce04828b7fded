import { campaignSeed, reportCampaign, trials } from "../../support/campaign.ts";
import assert from "node:assert/strict";
import { type Bytes, MiB } from "../../../src/domain/bytes.ts";
import { IntegrityError, RunFailedError, StorageError } from "../../../src/domain/errors.ts";
import { parseWalName } from "../../../src/domain/wal.ts";
import { walKey } from "../../../src/domain/wal_key.ts";
import { WalDelivery } from "../../../src/engine/wal/deliver_wal.ts";
import { fetchWal } from "../../../src/engine/wal/wal_fetch.ts";
import { pushWal } from "../../../src/engine/wal/wal_push.ts";
import { MemoryStore } from "../../../src/storage/memory.ts";
import type { ObjectStore } from "../../../src/storage/storage.ts";
import { bytesOf, text } from "../../support/bodies.ts";
import { seededRandom } from "../../support/s3_server/faults.ts";
import { PLACE, pushParts, storeWith, WalRig } from "../../support/wal_rig.ts";
import { makeSegment, type SegmentOptions } from "../../support/wal_segments.ts";

/** A store that holds these segments. */
async function archive(...segments: readonly SegmentOptions[]): Promise<MemoryStore> {
  const store = new MemoryStore();
  for (const options of segments) {
    await using rig = await WalRig.make(options.systemIdentifier);
    const { name, bytes } = makeSegment({ filled: 0.1, ...options });
    await pushWal(pushParts({ store }), await rig.file(name, bytes));
  }
  return store;
}

/** What came; where nothing did, or it was refused, the folder has stayed empty. */
async function fetched(store: ObjectStore, name: string): Promise<Bytes | undefined> {
  const folder = await Deno.makeTempDir();
  const destination = `${folder}/RECOVERYXLOG`;
  try {
    const found = await fetchWal({ store, place: PLACE }, parseWalName(name)!, { destination });
    const bytes = found && await Deno.readFile(destination);
    assert.equal(bytes?.length, found?.rawBytes);
    await Deno.remove(destination).catch(() => {});
    return bytes;
  } finally {
    assert.deepEqual([...Deno.readDirSync(folder)], [], "nothing of what was not handed out stays");
    await Deno.remove(folder, { recursive: true });
  }
}

/** Delivers all of it. */
async function deliver(destination: string, bytes: Bytes): Promise<void> {
  const delivery = new WalDelivery(destination);
  delivery.write(bytes.subarray(0, 1));
  delivery.write(bytes.subarray(1));
  await delivery.end();
}

Deno.test("fetchWal() gives back what was pushed", async () => {
  const store = await archive({ number: 1 }, { number: 2, segmentBytes: 4 * MiB, filled: 1 });
  const one = makeSegment({ number: 1, filled: 0.1 });
  const two = makeSegment({ number: 2, segmentBytes: 4 * MiB });
  assert.ok(Buffer.compare((await fetched(store, one.name))!, one.bytes) === 0);
  assert.ok(Buffer.compare((await fetched(store, two.name))!, two.bytes) === 0);
});

Deno.test("fetchWal() takes what lies behind the last segment for absent", async () => {
  const store = await archive({ number: 1 }, { number: 2 }, { timeline: 2, number: 5 });
  assert.equal(await fetched(store, makeSegment({ number: 3 }).name), undefined);
  assert.equal(await fetched(store, makeSegment({ timeline: 2, number: 6 }).name), undefined);
  assert.equal(await fetched(store, "00000002.history"), undefined);
});

Deno.test("fetchWal() never serves a partial segment for a whole one", async () => {
  await using rig = await WalRig.make();
  const store = new MemoryStore();
  const { name, bytes } = makeSegment();
  await pushWal(pushParts({ store }), await rig.file(`${name}.partial`, bytes));
  assert.equal(await fetched(store, name), undefined);
});

Deno.test("fetchWal() refuses a gap instead of calling it the end", async () => {
  const store = await archive({ number: 1 }, { number: 4 });
  await assert.rejects(
    fetched(store, makeSegment({ number: 2 }).name),
    (error: Error) =>
      error instanceof IntegrityError && error.message.includes(makeSegment({ number: 4 }).name),
  );
});

Deno.test("fetchWal() knows that a timeline holds nothing from before it began", async () => {
  const store = await archive({ timeline: 2, number: 5 }, { timeline: 2, number: 7 });
  await store.put(walKey(PLACE, parseWalName("00000002.history")!), text("1\t0/500100\tx\n"));
  assert.equal(await fetched(store, makeSegment({ timeline: 2, number: 4 }).name), undefined);
  await assert.rejects(
    fetched(store, makeSegment({ timeline: 2, number: 6 }).name),
    IntegrityError,
  );
});

Deno.test("fetchWal() does not take a store that cannot be asked for one without the object", async () => {
  const store = await archive({ number: 1 });
  const broken = () => Promise.reject(new StorageError("no answer"));
  const { name } = makeSegment({ number: 2 });
  await assert.rejects(fetched(storeWith(store, { get: broken }), name), StorageError);
  const unlisted = storeWith(store, {
    // deno-lint-ignore require-yield
    list: async function* () {
      await broken();
    },
  });
  await assert.rejects(fetched(unlisted, name), StorageError);
});

Deno.test("fetchWal() reads again what broke off", async () => {
  const store = await archive({ number: 1, filled: 1 });
  let failures = 2;
  const flaky = storeWith(store, {
    get: async (key, options) => {
      if (failures-- > 0) throw new StorageError("reading broke off");
      return await store.get(key, options);
    },
  });
  assert.ok(await fetched(flaky, makeSegment().name));
});

/** One way to damage stored bytes. */
type Damage = (bytes: Bytes, random: () => number) => Bytes;
const DAMAGES: Readonly<Record<string, Damage>> = {
  "one byte": (bytes, random) => {
    const at = Math.floor(random() * bytes.length);
    const copy = bytes.slice();
    copy[at] = copy[at]! ^ (1 + Math.floor(random() * 255));
    return copy;
  },
  "one page": (bytes, random) => {
    const copy = bytes.slice();
    const at = Math.floor(random() * bytes.length);
    copy.fill(Math.floor(random() * 256), at, at + 8192);
    return copy;
  },
  "the end missing": (bytes, random) => bytes.slice(0, Math.floor(random() * bytes.length)),
  "something behind": (bytes, random) =>
    new Uint8Array([...bytes, ...new Uint8Array(1 + Math.floor(random() * 100))]),
  zeros: (bytes) => new Uint8Array(bytes.length),
};

const CORRUPTIONS = trials({ full: 5_000, usual: 500 });
Deno.test(`fetchWal() hands out none of ${CORRUPTIONS} damaged objects`, async () => {
  const seed = campaignSeed();
  const random = seededRandom(seed);
  const { name, bytes } = makeSegment({ filled: 0.3 });
  const store = await archive({ filled: 0.3 }, { number: 2 }, { seed: 7, timeline: 2 });
  const key = walKey(PLACE, parseWalName(name)!);
  const good = await bytesOf(await store.get(key));
  const { metadata } = (await store.head(key))!;
  for (let trial = 0; trial < CORRUPTIONS; trial++) {
    const [what, damage] = Object.entries(DAMAGES)[trial % 5]!;
    const damaged = damage(good, random);
    if (Buffer.compare(damaged, good) === 0) continue;
    // A copy by another tool may have lost the metadata: then the frames and the header decide.
    const lost = trial % 10 >= 5;
    await store.put(key, damaged, lost ? {} : { metadata: metadata! });
    const got = await fetched(store, name).catch((error) => {
      assert.ok(error instanceof IntegrityError, `${error}`);
    });
    const same = got !== undefined && Buffer.compare(got, bytes) === 0;
    assert.ok(got === undefined || same, `seed ${seed}, trial ${trial}: ${what}`);
    assert.ok(!same || (what === "one byte" && lost), `seed ${seed}, trial ${trial}: ${what}`);
  }
  reportCampaign({
    ...{ what: "damaged WAL objects: none is handed out", n: CORRUPTIONS, seed },
    outcome: "0 handed out",
  });
});

Deno.test("fetchWal() refuses another segment's object, an older one and another system's", async () => {
  const { name, bytes } = makeSegment({ filled: 0.1 });
  const key = walKey(PLACE, parseWalName(name)!);
  const store = await archive({ number: 1 }, { number: 2 });
  const swapped = walKey(PLACE, parseWalName(makeSegment({ number: 2 }).name)!);
  const info = await store.head(swapped);
  await store.put(key, await bytesOf(await store.get(swapped)), { metadata: info!.metadata! });
  await assert.rejects(fetched(store, name), IntegrityError);
  const foreign = await archive({ systemIdentifier: "1" });
  await assert.rejects(fetched(foreign, name), IntegrityError);
  const stale = await archive({ seed: 3 });
  const { metadata } = (await (await archive({ number: 1 })).head(key))!;
  await stale.put(key, await bytesOf(await stale.get(key)), { metadata: metadata! });
  await assert.rejects(fetched(stale, name), IntegrityError);
  assert.equal(bytes.length, MiB);
});

Deno.test("WalDelivery puts the whole file in place and leaves nothing else", async () => {
  await using rig = await WalRig.make();
  const { bytes } = makeSegment();
  const destination = `${rig.folder}/pg_wal/RECOVERYXLOG`;
  await Deno.writeTextFile(destination, "old");
  await deliver(destination, bytes);
  assert.deepEqual(await Deno.readFile(destination), bytes);
  const left = [...Deno.readDirSync(`${rig.folder}/pg_wal`)].filter(({ isFile }) => isFile);
  assert.deepEqual(left.map(({ name }) => name), ["RECOVERYXLOG"]);
  assert.equal((await Deno.stat(destination)).mode! & 0o777, 0o600);
});

Deno.test("WalDelivery leaves what was there when it cannot write, or is given up", async () => {
  await using rig = await WalRig.make();
  const { bytes } = makeSegment();
  await assert.rejects(deliver(`${rig.folder}/absent/RECOVERYXLOG`, bytes), RunFailedError);
  await Deno.mkdir(`${rig.folder}/pg_wal/RECOVERYXLOG`);
  await assert.rejects(deliver(`${rig.folder}/pg_wal/RECOVERYXLOG`, bytes), RunFailedError);
  const given = new WalDelivery(`${rig.folder}/pg_wal/RECOVERYHISTORY`);
  given.write(bytes);
  given.discard();
  const left = [...Deno.readDirSync(`${rig.folder}/pg_wal`)].filter(({ isFile }) => isFile);
  assert.deepEqual(left, []);
});

/** Whoever can write to the bucket tries to have a backup of theirs restored, or one of ours not. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import fc from "fast-check";
import type { BackupManifest, ManifestObject } from "../../../../src/catalog/catalog.ts";
import { manifestKey, signatureKey } from "../../../../src/catalog/layout.ts";
import { stableJson } from "../../../../src/catalog/stable_json.ts";
import { verifyBackups } from "../../../../src/engine/verify/verify_backups.ts";
import { silentProgress } from "../../../../src/domain/progress.ts";
import { MemoryStore } from "../../../../src/storage/memory.ts";
import { campaignSeed, reportCampaign, trials } from "../../../support/campaign.ts";
import { sampleManifest } from "../../../support/manifests.ts";
import {
  newMemory,
  newSigningKey,
  type SigningHost,
  signingHost,
} from "../../../support/signing.ts";

type Bytes = Uint8Array<ArrayBuffer>;

const utf8 = new TextEncoder();
const key = newSigningKey();
const stranger = newSigningKey();
const OTHER_SYSTEM = "7400000000000000001";
const BACKUPS = 5;

/** An object that differs from backup to backup, and not in its length. */
const contentOf = (day: number, name: string): Bytes => utf8.encode(`${name} of day ${day}`);

function ofDay(day: number, cluster = "main"): BackupManifest {
  const objects = ["globals.sql.gz", "app.dump.gz"].map((name): ManifestObject => {
    const bytes = contentOf(day, name);
    const sizes = { rawBytes: 100, storedBytes: bytes.length };
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    return name.startsWith("globals")
      ? { key: name, role: "globals", ...sizes, sha256 }
      : { key: name, role: "dump", database: "app", ...sizes, sha256 };
  });
  const times = { startedAt: `2026-11-0${day}T02:00:00Z`, stoppedAt: `2026-11-0${day}T02:10:00Z` };
  return sampleManifest({ id: `2026110${day}T020000Z-L`, cluster, objects, ...times });
}

const originals = Array.from({ length: BACKUPS }, (_, at) => ofDay(at + 1));

/** Five backups of ours, and one of another cluster that the same key signs. */
async function world() {
  const store = new MemoryStore();
  const memory = newMemory();
  const ours = signingHost(store, { key, trusted: [key], memory });
  const other = signingHost(store, { cluster: "other", key, trusted: [key] });
  for (const backup of originals) await take(ours, { store, backup });
  await take(other, { store, backup: ofDay(1, "other") });
  return { store, host: signingHost(store, { trusted: [key], memory }) };
}

async function take(
  { repository }: SigningHost,
  { store, backup }: { readonly store: MemoryStore; readonly backup: BackupManifest },
): Promise<void> {
  const day = Number(backup.id.slice(6, 8));
  for (const object of backup.objects) {
    await store.put(repository.folder(backup) + object.key, contentOf(day, object.key));
  }
  await repository.commit(backup);
}

const manifestOf = (at: number) => manifestKey("main", originals[at]!);
const signatureOf = (at: number) => signatureKey("main", originals[at]!);
const folderOf = (at: number) => manifestOf(at).replace(/backup\.json$/, "");
const objectOf = (at: number, which: number) => folderOf(at) + originals[at]!.objects[which]!.key;

async function read(store: MemoryStore, from: string): Promise<Bytes> {
  return new Uint8Array(await new Response(await store.get(from)).arrayBuffer());
}

async function copy(store: MemoryStore, from: string, to: string): Promise<void> {
  await store.put(to, await read(store, from));
}

async function copyFolder(store: MemoryStore, from: string, to: string): Promise<void> {
  const keys = (await Array.fromAsync(store.list(from))).map((info) => info.key);
  for (const one of keys) await copy(store, one, to + one.slice(from.length));
}

async function swap(store: MemoryStore, a: string, b: string): Promise<void> {
  const [first, second] = [await read(store, a), await read(store, b)];
  await store.put(a, second);
  await store.put(b, first);
}

async function hide(store: MemoryStore, at: number): Promise<void> {
  await store.delete((await Array.fromAsync(store.list(folderOf(at)))).map((info) => info.key));
}

/** What chance decides of an attack. */
interface Draw {
  /** A backup, and another one. */
  readonly at: number;
  readonly to: number;
  /** Where in an object, from 0 up to 1, and which bits of the byte. */
  readonly where: number;
  readonly bits: number;
  /** One of two objects. */
  readonly which: number;
}

/** Which backups must be refused (by name), missed (by number), or found damaged (by place). */
interface Expected {
  readonly refused?: readonly string[];
  readonly missing?: readonly number[];
  readonly damaged?: readonly number[];
}

type Attack = (store: MemoryStore, draw: Draw) => Promise<Expected>;

const ids = (...places: readonly number[]) => places.map((at) => originals[at]!.id);

function change(bytes: Bytes, { where, bits }: Draw): Bytes {
  const changed = bytes.slice();
  changed[Math.floor(where * bytes.length)]! ^= bits;
  return changed;
}

/** A backup as the attacker would like it, under a name that is later than all of ours. */
async function forge(store: MemoryStore): Promise<BackupManifest> {
  const forged = { ...ofDay(9), label: "mine" };
  const { repository } = signingHost(store, {});
  for (const object of forged.objects) {
    await store.put(repository.folder(forged) + object.key, contentOf(9, object.key));
  }
  return forged;
}

const ATTACKS: Readonly<Record<string, Attack>> = {
  "a changed byte of a manifest": async (store, draw) => {
    await store.put(manifestOf(draw.at), change(await read(store, manifestOf(draw.at)), draw));
    return { refused: ids(draw.at) };
  },
  "a manifest that says something else": async (store, { at, to }) => {
    // Valid in itself: the objects of another backup under this one's name.
    const changed = { ...originals[to]!, id: originals[at]!.id };
    await store.put(manifestOf(at), utf8.encode(stableJson(changed)));
    await copyFolder(store, `${folderOf(to)}app`, `${folderOf(at)}app`);
    await copyFolder(store, `${folderOf(to)}globals`, `${folderOf(at)}globals`);
    return { refused: ids(at) };
  },
  "a changed byte of a signature": async (store, draw) => {
    await store.put(signatureOf(draw.at), change(await read(store, signatureOf(draw.at)), draw));
    return { refused: ids(draw.at) };
  },
  "another form of the same base64": async (store, { at, bits }) => {
    const bytes = await read(store, signatureOf(at));
    const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const last = bytes.length - 4; // before "==" and the newline: four bits of it count for nothing
    const value = alphabet.indexOf(String.fromCharCode(bytes[last]!));
    bytes[last] = alphabet.charCodeAt(value ^ (1 + bits % 15));
    await store.put(signatureOf(at), bytes);
    return { refused: ids(at) };
  },
  "bytes cut off or added": async (store, { at, where, which }) => {
    const target = which === 0 ? manifestOf(at) : signatureOf(at);
    const bytes = await read(store, target);
    const length = Math.floor(where * bytes.length);
    const changed = where < 0.5 ? bytes.slice(0, length) : utf8.encode(
      new TextDecoder().decode(bytes) + "\n \u{feff}x".slice(0, 1 + length % 4),
    );
    await store.put(target, changed);
    return { refused: ids(at) };
  },
  "a byte order mark in front": async (store, { at, which }) => {
    const target = which === 0 ? manifestOf(at) : signatureOf(at);
    await store.put(target, new Uint8Array([0xef, 0xbb, 0xbf, ...await read(store, target)]));
    return { refused: ids(at) };
  },
  "a manifest without its signature": async (store, { at }) => {
    await store.delete([signatureOf(at)]);
    return { refused: ids(at) };
  },
  "two manifests swapped": async (store, { at, to }) => {
    await swap(store, manifestOf(at), manifestOf(to));
    return { refused: ids(at, to) };
  },
  "two signatures swapped": async (store, { at, to }) => {
    await swap(store, signatureOf(at), signatureOf(to));
    return { refused: ids(at, to) };
  },
  "two backups swapped": async (store, { at, to }) => {
    await swap(store, manifestOf(at), manifestOf(to));
    await swap(store, signatureOf(at), signatureOf(to));
    return { refused: ids(at, to) };
  },
  "an old backup under a new name": async (store, { at }) => {
    await copyFolder(
      store,
      folderOf(at),
      `main/${originals[at]!.systemIdentifier}/backups/${ofDay(8).id}/`,
    );
    return { refused: [ofDay(8).id] };
  },
  "a backup of another cluster in the place of ours": async (store, { at }) => {
    const from = manifestKey("other", ofDay(1, "other")).replace(/backup\.json$/, "");
    await hide(store, at);
    await copyFolder(store, from, folderOf(at));
    return { refused: ids(at) };
  },
  "a backup under another system": async (store, { at }) => {
    const to = { systemIdentifier: OTHER_SYSTEM, id: ofDay(7).id };
    await copyFolder(store, folderOf(at), manifestKey("main", to).replace(/backup\.json$/, ""));
    return { refused: [ofDay(7).id] };
  },
  "a new backup that nobody signed": async (store) => {
    const forged = await forge(store);
    await store.put(manifestKey("main", forged), utf8.encode(stableJson(forged)));
    return { refused: [forged.id] };
  },
  "a new backup with an old signature": async (store, { at }) => {
    const forged = await forge(store);
    await store.put(manifestKey("main", forged), utf8.encode(stableJson(forged)));
    await copy(store, signatureOf(at), signatureKey("main", forged));
    return { refused: [forged.id] };
  },
  "a new backup that a stranger signed": async (store) => {
    const forged = await forge(store);
    await signingHost(store, { key: stranger }).repository.commit(forged);
    return { refused: [forged.id] };
  },
  "a backup that a stranger signed anew": async (store, { at }) => {
    const changed = { ...originals[at]!, label: "mine" };
    await store.delete([manifestOf(at), signatureOf(at)]);
    await signingHost(store, { key: stranger }).repository.commit(changed);
    return { refused: ids(at) };
  },
  "an object changed, of the same length": async (store, draw) => {
    const target = objectOf(draw.at, draw.which);
    await store.put(target, change(await read(store, target), draw));
    return { damaged: [draw.at] };
  },
  "an object of another backup": async (store, { at, to, which }) => {
    await swap(store, objectOf(at, which), objectOf(to, which));
    return { damaged: [at, to] };
  },
  "one backup hidden": async (store, { at }) => {
    await hide(store, at);
    return { missing: [at + 1] };
  },
  "the repository rolled back": async (store, { at }) => {
    const gone = originals.map((_, place) => place).filter((place) => place >= Math.max(at, 1));
    for (const place of gone) await hide(store, place);
    return { missing: gone.map((place) => place + 1) };
  },
};

/** Everything that a machine with trusted keys says of the repository. */
async function judge({ repository, signatures }: SigningHost, store: MemoryStore) {
  const refused: string[] = [];
  const accepted = await repository.backups({
    onUnreadable: ({ key }) => void refused.push(key.split("/").at(-2)!),
  });
  const parts = { store, repository, progress: silentProgress };
  const read = await verifyBackups(parts, { targets: accepted, backups: accepted });
  const damaged = read.filter(({ faults }) => faults.length > 0).map(({ backup }) => backup.id);
  const audits = await signatures.audit();
  const missed = new Set<number>();
  for (const { missing, rolledBack, highest, systemIdentifier } of audits) {
    if (systemIdentifier === OTHER_SYSTEM) continue;
    for (const number of missing) missed.add(number);
    for (let number = highest + 1; number <= (rolledBack?.sequence ?? 0); number++) {
      missed.add(number);
    }
  }
  return { accepted, refused, damaged, missed };
}

const names = Object.keys(ATTACKS);
const draws = fc.record({
  name: fc.nat(names.length - 1),
  at: fc.nat(BACKUPS - 1),
  step: fc.integer({ min: 1, max: BACKUPS - 1 }),
  where: fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
  bits: fc.integer({ min: 1, max: 255 }),
  which: fc.nat(1),
}).map(({ step, at, ...rest }) => ({ ...rest, at, to: (at + step) % BACKUPS }));

async function attempt(name: string, draw: Draw): Promise<void> {
  const { store, host } = await world();
  const expected = await ATTACKS[name]!(store, draw);
  const found = await judge(host, store);
  const wanted = expected.refused ?? [];
  assert.deepEqual(found.refused.toSorted(), wanted.toSorted(), name);
  for (const id of wanted) await assert.rejects(host.repository.backup(id), { code: "INTEGRITY" });
  assert.deepEqual(found.damaged, ids(...(expected.damaged ?? []).toSorted()), name);
  for (const number of expected.missing ?? []) assert.ok(found.missed.has(number), name);
  // Whatever is accepted is ours to the last byte.
  for (const backup of found.accepted) {
    assert.deepEqual(backup, originals.find(({ id }) => id === backup.id), name);
  }
}

Deno.test("nothing is wrong with a repository that nobody touched", async () => {
  const { store, host } = await world();
  const { accepted, refused, damaged, missed } = await judge(host, store);
  assert.deepEqual(accepted, originals);
  assert.deepEqual([refused, damaged, [...missed]], [[], [], []]);
});

for (const name of names) {
  Deno.test(`a signed repository refuses or misses it: ${name}`, async () => {
    await attempt(name, { at: 3, to: 1, where: 0.5, bits: 1, which: 1 });
  });
}

Deno.test("forged, mixed, renamed and rolled-back objects are refused or reported", async () => {
  const seed = campaignSeed();
  const n = trials({ full: 1000, usual: 100 });
  const tried = new Map<string, number>();
  await fc.assert(
    fc.asyncProperty(draws, async ({ name, ...draw }) => {
      await attempt(names[name]!, draw);
      tried.set(names[name]!, (tried.get(names[name]!) ?? 0) + 1);
    }),
    { seed, numRuns: n },
  );
  reportCampaign({
    what: "forged, mixed, renamed and rolled-back objects of signed backups",
    ...{ n, seed },
    outcome: `all refused or reported, of ${tried.size} kinds; 0 accepted`,
  });
});

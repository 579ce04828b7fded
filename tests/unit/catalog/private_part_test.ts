/** What an encrypted backup keeps to itself, in its manifest and in notes on it. */
import assert from "node:assert/strict";
import { NoteBook } from "../../../src/catalog/backup_notes.ts";
import type { BackupManifest } from "../../../src/catalog/catalog.ts";
import { parseManifest } from "../../../src/catalog/parse_manifest.ts";
import { withOpenedPart, withSealedPart } from "../../../src/catalog/private_part.ts";
import { stableJson } from "../../../src/catalog/stable_json.ts";
import {
  generateIdentity,
  KeyRing,
  newDataKey,
  ObjectOpener,
  ObjectSealer,
} from "../../../src/crypto/crypto.ts";
import { IntegrityError } from "../../../src/domain/errors.ts";
import { MemoryStore } from "../../../src/storage/memory.ts";
import { sampleManifest } from "../../support/manifests.ts";

const KEY = "main/7345678901234567890/backups/20261123T022415Z-L/backup.json";
const { identity, recipient } = await generateIdentity();
const stranger = await generateIdentity();
const dataKey = await newDataKey([recipient]);
const sealer = new ObjectSealer(() => Promise.resolve(dataKey));
const openerOf = (one: string) =>
  new ObjectOpener(new KeyRing({ identities: () => Promise.resolve([one]) }));
const opener = openerOf(identity);

/** A backup before it is committed, with a canary in every private place. */
function secretBackup(): BackupManifest {
  const sample = sampleManifest();
  return {
    ...sample,
    label: "canary",
    annotations: { why: "canary" },
    databases: [{ name: "canary", sizeBytes: 5 }],
    objects: sample.objects.map((object) =>
      object.role === "dump" ? { ...object, key: "0a1b.dump.gz", database: "canary" } : object
    ).filter(({ role }, index, all) => all.findIndex((other) => other.role === role) === index),
    encryption: { scheme: "backupctl.seal/1" },
  };
}

function summed(backup: BackupManifest): BackupManifest {
  const total = (field: "rawBytes" | "storedBytes") =>
    backup.objects.reduce((sum, object) => sum + object[field], 0);
  return { ...backup, rawBytes: total("rawBytes"), storedBytes: total("storedBytes") };
}

Deno.test("withSealedPart() shows no name, and withOpenedPart() gives all of them back", async () => {
  const backup = summed(secretBackup());
  const stored = await withSealedPart(backup, { key: KEY, sealer });
  const text = stableJson(stored);
  assert.ok(!text.includes("canary"));
  const read = parseManifest(text, { where: KEY });
  assert.equal(read.label, null);
  const opened = await withOpenedPart(read, { key: KEY, opener });
  assert.deepEqual(
    { ...opened, encryption: null },
    { ...JSON.parse(JSON.stringify(backup)), encryption: null },
  );
  assert.equal(opened.encryption?.sealed, undefined);
});

Deno.test("withOpenedPart() leaves it closed without an identity, or with another one's", async () => {
  const stored = await withSealedPart(summed(secretBackup()), { key: KEY, sealer });
  for (const other of [undefined, openerOf(stranger.identity)]) {
    assert.deepEqual(await withOpenedPart(stored, { key: KEY, opener: other }), stored);
  }
});

Deno.test("withSealedPart() never writes the names of an encrypted backup in the clear", async () => {
  const backup = summed(secretBackup());
  await assert.rejects(withSealedPart(backup, { key: KEY, sealer: undefined }), TypeError);
  const clear = { ...backup, encryption: null };
  assert.equal(await withSealedPart(clear, { key: KEY, sealer }), clear);
});

Deno.test("withOpenedPart() refuses another backup's part, and what no backup has", async () => {
  const stored = await withSealedPart(summed(secretBackup()), { key: KEY, sealer });
  const other = KEY.replace("022415", "022416");
  await assert.rejects(withOpenedPart(stored, { key: other, opener }), IntegrityError);
  // Recipients are public: who can write into the bucket can encrypt, too.
  for (
    const forged of [
      "not json",
      "null",
      "{}",
      `{"label":5,"annotations":{},"tablespaces":[],"databases":[],"dumps":{}}`,
      `{"label":"a\\u0000","annotations":{},"tablespaces":[],"databases":[],"dumps":{}}`,
      `{"label":null,"annotations":{},"tablespaces":[{"oid":-1,"location":"/"}],"databases":[],"dumps":{}}`,
      `{"label":null,"annotations":{},"tablespaces":[],"databases":[],"dumps":{}}`,
    ]
  ) {
    const sealed = await sealer.seal(KEY, new TextEncoder().encode(forged));
    const encryption = { ...stored.encryption!, sealed: Buffer.from(sealed).toString("base64") };
    const manifest = { ...stored, encryption };
    await assert.rejects(withOpenedPart(manifest, { key: KEY, opener }), IntegrityError, forged);
  }
});

Deno.test("NoteBook encrypts annotations and leaves pins readable", async () => {
  const store = new MemoryStore();
  const place = { systemIdentifier: "7345678901234567890", id: "20261123T022415Z-F" };
  const options = { cluster: "main", host: "h" };
  const book = new NoteBook(store, { ...options, sealer, opener });
  await book.add(place, { keep: { until: null }, annotations: { why: "canary", gone: null } });
  for await (const { key } of store.list("")) {
    const text = await new Response(await store.get(key)).text();
    assert.ok(!text.includes("canary"), text);
  }
  const annotations = { why: "canary", gone: null };
  assert.deepEqual(await book.of(place), { pin: { until: null }, annotations });
  for (const other of [undefined, openerOf(stranger.identity)]) {
    const blind = new NoteBook(store, { ...options, ...(other && { opener: other }) });
    assert.deepEqual(await blind.of(place), { pin: { until: null }, annotations: {} });
  }
});

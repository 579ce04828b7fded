import assert from "node:assert/strict";
import { openRepository } from "../../../../../src/catalog/repository.ts";
import { stableJson } from "../../../../../src/catalog/stable_json.ts";
import type { BackupManifest } from "../../../../../src/catalog/catalog.ts";
import { chooseParent } from "../../../../../src/engine/physical/incremental/choose_parent.ts";
import type { ServerIdentity } from "../../../../../src/postgres/postgres.ts";
import { MemoryStore } from "../../../../../src/storage/memory.ts";
import { sampleManifest, samplePhysical } from "../../../../support/manifests.ts";

const utf8 = new TextEncoder();
const full = samplePhysical({
  id: "20261122T020000Z-F",
  startLsn: "0/1000028",
  startedAt: "2026-11-22T02:00:00Z",
  stoppedAt: "2026-11-22T02:01:00Z",
});
const increment = samplePhysical({
  id: "20261122T030000Z-I",
  kind: "incremental",
  parentId: full.id,
  startedAt: "2026-11-22T03:00:00Z",
  stoppedAt: "2026-11-22T03:01:00Z",
});
const identity: ServerIdentity = {
  systemIdentifier: full.systemIdentifier,
  version: full.postgresVersion,
  versionText: "15.18",
  timeline: 3,
  walSegmentBytes: 16 * 1024 * 1024,
  dataChecksums: true,
  inRecovery: false,
  dataDirectory: undefined,
};

/** A repository with these backups, whole. */
async function repositoryOf(...backups: readonly BackupManifest[]) {
  const store = new MemoryStore();
  const repository = openRepository(store, { cluster: "main" });
  await repository.prepare();
  for (const backup of backups) {
    const folder = repository.folder(backup);
    await store.put(`${folder}backup.json`, utf8.encode(stableJson(backup)));
    for (const { key, storedBytes } of backup.objects) {
      await store.put(`${folder}${key}`, new Uint8Array(storedBytes));
    }
  }
  const choose = (changes: Partial<ServerIdentity> = {}, maxChain = 6) =>
    chooseParent({ store, repository, maxChain, identity: { ...identity, ...changes } });
  return { store, repository, choose };
}

Deno.test("chooseParent() takes the newest physical backup, full or incremental", async () => {
  const logical = sampleManifest({ id: "20261122T050000Z-L" });
  for (
    const [backups, parent] of [[[full, logical], full], [[full, increment], increment]] as const
  ) {
    const { choose } = await repositoryOf(...backups);
    assert.deepEqual(await choose(), { parent });
  }
});

Deno.test("chooseParent() finds nothing among logical backups and those of other systems", async () => {
  const other = { ...full, systemIdentifier: "7400000000000000001" };
  for (const backups of [[], [sampleManifest()], [other]]) {
    const { choose } = await repositoryOf(...backups);
    const choice = await choose();
    assert.ok("because" in choice);
  }
});

const changed: readonly (readonly [string, Partial<ServerIdentity>, RegExp])[] = [
  ["on another timeline", { timeline: 4 }, /on timeline 4, and .*-I, the newest backup, on 3/],
  ["without checksums by now", { dataChecksums: false }, /checksums were switched off since/],
  ["of another version", { version: 160_004 }, /is of PostgreSQL 15, and the server is 16/],
];
for (const [what, changes, reason] of changed) {
  Deno.test(`chooseParent() wants a full backup of a server that is ${what}`, async () => {
    const { choose } = await repositoryOf(full, increment);
    const choice = await choose(changes);
    assert.ok("because" in choice);
    assert.match(choice.because, reason);
  });
}

Deno.test("chooseParent() lets no chain grow longer than it may", async () => {
  const { choose } = await repositoryOf(full, increment);
  assert.ok("parent" in await choose({}, 2));
  const choice = await choose({}, 1);
  assert.ok("because" in choice);
  assert.match(choice.because, /1 increments stand on .*-F, and backup\.max_chain allows 1/);
});

Deno.test("chooseParent() wants a full backup when any of the chain is missing or cut", async () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    [`${full.id}/chunks/0001.tar.zst`, /-F is damaged: object chunks\/0001\.tar\.zst is missing/],
    [
      `${increment.id}/backup_manifest.zst`,
      /-I is damaged: object backup_manifest\.zst is missing/,
    ],
    [`${full.id}/backup.json`, /which .*-I is on top of, is missing/],
  ];
  for (const [key, reason] of cases) {
    const { store, choose } = await repositoryOf(full, increment);
    const whole = `main/${full.systemIdentifier}/backups/${key}`;
    await store.delete([whole]);
    const choice = await choose();
    assert.ok("because" in choice);
    assert.match(choice.because, reason);
    if (key.endsWith(".json")) continue;
    await store.put(whole, new Uint8Array(3));
    const cut = await choose();
    assert.ok("because" in cut);
    assert.match(cut.because, /has 3 bytes, \d+ were stored/);
  }
});

Deno.test("chooseParent() wants a full backup when the newest one cannot be read", async () => {
  const { store, choose } = await repositoryOf(full, increment);
  const folder = `main/${full.systemIdentifier}/backups`;
  await store.put(`${folder}/20261122T090000Z-L/backup.json`, utf8.encode("{"));
  assert.ok("parent" in await choose(), "a logical one does not matter");
  await store.put(`${folder}/20261122T090000Z-I/backup.json`, utf8.encode("{"));
  const choice = await choose();
  assert.ok("because" in choice);
  assert.match(choice.because, /20261122T090000Z-I, cannot be read/);
});

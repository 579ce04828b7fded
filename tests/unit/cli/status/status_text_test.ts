import assert from "node:assert/strict";
import { backupPageDocument, backupPageText } from "../../../../src/cli/status/backup_page.ts";
import type { StatusFound } from "../../../../src/cli/status/collect_status.ts";
import { statusDocument } from "../../../../src/cli/status/status_document.ts";
import { statusText } from "../../../../src/cli/status/status_text.ts";
import { checkGolden } from "../../../support/golden.ts";
import { SAMPLE_NOW, sampleStatus } from "../../../support/status_samples.ts";

for (const width of [80, 140, undefined]) {
  Deno.test(`statusText() on ${width ?? "any number of"} columns is what is kept`, async () => {
    const text = statusText(await sampleStatus(), {
      last: undefined,
      look: { width, unicode: true },
    });
    await checkGolden(`status/text-${width ?? "wide"}.txt`, text);
  });
}

Deno.test("statusText() keeps to the width of the terminal from 66 columns on", async () => {
  const found = await sampleStatus();
  for (let width = 66; width <= 200; width++) {
    for (const line of statusText(found, { last: 3, look: { width, unicode: true } }).split("\n")) {
      assert.ok(line.length <= width, `${width}: ${line}`);
    }
  }
});

Deno.test("statusText() says what there is when there is no backup yet", async () => {
  const nothing = { backups: [], archive: undefined, storage: [], figures: undefined };
  const found = await sampleStatus(nothing);
  const text = statusText(found, { last: undefined, look: {} });
  assert.match(text, /^no backups of cluster main in s3:\/\/my-bucket\/backupctl\/main yet\n/);
  assert.match(text, /^unfinished: 20261123T050000Z-F, 3 h old, /m);
});

Deno.test("statusText() names who is at work", async () => {
  const holder = { host: "db1\u001b[2J", pid: 4711, what: "prune of cluster main" };
  const lease = {
    ...{ format: "backupctl.lease", version: 1, kind: "prune", run: "x", holder } as const,
    ...{ takenAt: "2026-11-23T07:50:00Z", durationMs: 600_000, released: false },
    ...{ needs: null, removes: null, name: "prune", number: 1, storedAt: new Date() },
  };
  const text = statusText(await sampleStatus({ leases: [lease] }), { last: 1, look: {} });
  assert.match(
    text,
    /^at work for 10 min: prune of cluster main on host db1\\u001b\[2J \(process 4711\)$/m,
  );
});

Deno.test("statusText() says until when the WAL of a restore that has ended stays", async () => {
  const holder = { host: "db1", pid: 1, what: "restore of 20261123T050000Z-F" };
  const lease = {
    ...{ format: "backupctl.lease", version: 1, kind: "restore", run: "x", holder } as const,
    ...{ takenAt: "2026-11-23T07:50:00Z", durationMs: 24 * 3_600_000, released: false },
    ...{ needs: null, removes: null, name: "restore-1", number: 2 },
    storedAt: new Date("2026-11-23T07:51:30Z"),
  };
  const text = statusText(await sampleStatus({ leases: [lease] }), { last: 1, look: {} });
  assert.match(
    text,
    /^what it may still fetch stays until 2026-11-24 07:51 UTC: restore of \S+ on host db1$/m,
  );
});

Deno.test("statusText() tells of WAL that waits and of an archiver that fails", async () => {
  const archiving = {
    ...{ mode: "on", command: "backupctl wal-push %p", byBackupctl: true, failedCount: 7 },
    ...{ lastArchived: "000000010000000000000001", lastFailed: "000000010000000000000002" },
    lastArchivedAt: new Date("2026-11-23T07:00:00Z"),
    lastFailedAt: new Date("2026-11-23T07:59:00Z"),
  };
  const backlog = { files: 12, bytes: 12 * 2 ** 24, oldestAt: new Date("2026-11-23T07:30:00Z") };
  const text = async (server: StatusFound["server"]) =>
    statusText(await sampleStatus({ server }), { last: 1, look: {} });
  const bad = await text({ archiving, backlog });
  assert.match(bad, /^12 files of WAL \(192 MB\) wait to be archived, the oldest for 30 min$/m);
  assert.match(bad, /^archiving fails: the last archived is .*, 7 attempts failed, /m);
  const later = { ...archiving, lastArchivedAt: SAMPLE_NOW };
  const good = await text({ archiving: later, backlog: { ...backlog, files: 1 } });
  assert.doesNotMatch(good, /archiv/);
  assert.doesNotMatch(await text({ archiving: later, backlog: undefined }), /archiv/);
});

Deno.test("statusDocument() is what is kept, and has every field that was promised", async () => {
  const document = statusDocument(await sampleStatus(), undefined) as Record<string, unknown>;
  await checkGolden("status/document.json", `${JSON.stringify(document, null, 2)}\n`);
  const promised = [
    "schema",
    "cluster",
    "windows",
    "gaps",
    "backups",
    "wal",
    "runs",
    "storage_bytes",
  ];
  assert.deepEqual(promised.filter((name) => !(name in document)), []);
  const inner: readonly (readonly [string, string])[] = [
    ["cluster", "name system_identifier postgres_version"],
    ["windows", "from to timeline lag_seconds open"],
    ["gaps", "from_wal to_wal"],
    [
      "backups",
      "id method kind label parent_id state started_at stopped_at start_lsn stop_lsn timeline " +
      "size_bytes stored_bytes duration_seconds page_checksum_errors verified_at drilled_at keep_until",
    ],
    ["wal", "last_archived backlog_files backlog_bytes failed_count"],
    ["runs", "succeeded failed"],
  ];
  for (const [name, fields] of inner) {
    const value = document[name];
    const one = (Array.isArray(value) ? value[0] : value) as object;
    assert.deepEqual(fields.split(" ").filter((field) => !(field in one)), [], name);
  }
});

Deno.test("statusDocument() says null for what nobody answered", async () => {
  const figures = "the index did not answer";
  const document = statusDocument(await sampleStatus({ figures }), 1) as Record<string, unknown>;
  assert.equal(document["runs"], null);
  assert.deepEqual(document["storage_history"], []);
  assert.equal((document["backups"] as unknown[]).length, 1);
});

Deno.test("backupPageText() shows everything about one backup", async () => {
  const { backups, factsOf } = await sampleStatus();
  for (const at of [3, 2, 4, 6]) {
    const backup = backups[at]!;
    const chain = [...backups.filter(({ id }) => id === backup.parentId), backup];
    const page = { backup, facts: factsOf(backup), chain };
    const text = backupPageText(page, { width: 80, unicode: true });
    await checkGolden(`status/page-${at}.txt`, text);
    for (const line of text.split("\n")) assert.ok(line.length <= 80, line);
    const json = JSON.stringify(backupPageDocument(page));
    assert.ok(json.includes(`"chain":${JSON.stringify(chain.map(({ id }) => id))}`));
  }
});

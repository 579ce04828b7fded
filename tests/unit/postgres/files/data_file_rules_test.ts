import assert from "node:assert/strict";
import {
  isDatabaseFolder,
  isKeptEmpty,
  isLeftOut,
  relationFile,
} from "../../../../src/postgres/files/data_file_rules.ts";

const relations = [
  ["base/5/16384", { number: 16384, fork: "main", segment: 0 }],
  ["base/5/16384.17", { number: 16384, fork: "main", segment: 17 }],
  ["base/5/16384_fsm", { number: 16384, fork: "fsm", segment: 0 }],
  ["base/5/16384_vm.1", { number: 16384, fork: "vm", segment: 1 }],
  ["base/5/16384_init", { number: 16384, fork: "init", segment: 0 }],
  ["global/1262", { number: 1262, fork: "main", segment: 0 }],
  ["pg_tblspc/16385/PG_15_202209061/5/1", { number: 1, fork: "main", segment: 0 }],
] as const;
for (const [path, expected] of relations) {
  Deno.test(`relationFile() knows ${path}`, () => assert.deepEqual(relationFile(path), expected));
}

const others = [
  "global/pg_control",
  "global/pg_filenode.map",
  "base/5/PG_VERSION",
  "base/5/t3_16384",
  "base/5/16384_new",
  "base/5/16384.",
  "pg_xact/0000",
  "pg_multixact/members/0000",
  "base/16384",
  "16384",
  "pg_tblspc/16385/16384",
] as const;
for (const path of others) {
  Deno.test(`relationFile() does not take ${path} for a relation`, () => {
    assert.equal(relationFile(path), undefined);
  });
}

Deno.test("isLeftOut() names what belongs to the running server, wherever it lies", () => {
  const out = [
    ["", "postmaster.pid"],
    ["", "standby.signal"],
    ["", "backup_label"],
    ["", "current_logfiles.tmp"],
    ["base", "pgsql_tmp"],
    ["base/pgsql_tmp", "pgsql_tmp123.0"],
    ["base/5", "pg_internal.init"],
    ["global", "pg_internal.init.4711"],
    ["base/5", "t3_16400"],
    ["base/5", "t3_16400_vm.2"],
    ["pg_tblspc/1/PG_15_202209061/5", "t12_1"],
  ] as const;
  for (const [folder, name] of out) assert.ok(isLeftOut(folder, name), `${folder}/${name}`);
  const kept = [
    ["", "postgresql.auto.conf"],
    ["", "backup_label.old"],
    ["log", "standby.signal"],
    ["log", "t3_16400"],
    ["base/5", "16384"],
    ["", "pg_hba.conf"],
  ] as const;
  for (const [folder, name] of kept) assert.ok(!isLeftOut(folder, name), `${folder}/${name}`);
});

Deno.test("isKeptEmpty() and isDatabaseFolder() look at whole paths", () => {
  assert.ok(isKeptEmpty("pg_replslot") && isKeptEmpty("pg_stat_tmp"));
  assert.ok(!isKeptEmpty("log/pg_replslot") && !isKeptEmpty("pg_stat"));
  assert.ok(isDatabaseFolder("base/5") && !isDatabaseFolder("base") && !isDatabaseFolder("global"));
});

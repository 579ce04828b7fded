import assert from "node:assert/strict";
import { IntegrityError, PostgresError } from "../../src/domain/errors.ts";
import { silentProgress } from "../../src/domain/progress.ts";
import { FileSource } from "../../src/postgres/files/file_source.ts";
import { fileTree } from "../support/file_tree.ts";
import { FilesRig } from "../support/files_rig.ts";
import {
  type Cluster,
  clusterMajors,
  giveToServer,
  makeServerFolder,
  startCluster,
} from "../support/postgres_cluster.ts";
import { runCli } from "../support/run_cli.ts";
import { addDocuments, SHOP, startShop, tableStates, writeMore } from "../support/shop_cluster.ts";

for (const { major, binDir } of clusterMajors()) {
  Deno.test(`files of PostgreSQL ${major} with two tablespaces are backed up, verify and start`, async () => {
    await using cluster = await startShop({ megabytes: 20, binDir, tablespaces: ["fast", "big"] });
    await cluster.query("alter table documents set tablespace fast", { database: SHOP });
    await cluster.query("alter index orders_pkey set tablespace big", { database: SHOP });
    await using rig = await FilesRig.open(cluster);
    const before = await tableStates(cluster);
    const { id, tablespaces, source } = await rig.backup();
    assert.equal(source, "files");
    assert.equal(tablespaces.length, 2);
    await writeMore(cluster);
    const map = tablespaces.map(({ oid, location }) => [location, `${rig.folder}/${oid}`] as const);
    const destination = await rig.restore(id, "restored", { tablespaceMap: new Map(map) });
    // Not its WAL: some builds of 14 have a pg_waldump that refuses any. The next test parses it.
    await cluster.run("pg_verifybackup", ["-n", destination]);
    const restored = await cluster.startFrom(destination);
    assert.deepEqual(await tableStates(restored), before);
  });
}

Deno.test("a backup of files under load starts consistent, and its tree passes amcheck", async () => {
  await using cluster = await startShop({ megabytes: 30 });
  await using rig = await FilesRig.open(cluster);
  let done = false;
  const load = (async () => {
    for (let round = 1; !done; round++) {
      await addDocuments(cluster, { bytes: 5e5, seed: round, firstId: round * 1_000_000_000 });
      await cluster.query("update orders set total = total + 1 where id % 7 = 0", {
        database: SHOP,
      });
      await cluster.query("create table passing as select * from orders; drop table passing", {
        database: SHOP,
      });
    }
  })();
  const { id, damagedPages } = await rig.backup({ maxRateKb: 40_000 }).finally(() => done = true);
  await load;
  assert.equal(damagedPages, undefined);
  const destination = await rig.restore(id, "restored");
  await cluster.run("pg_verifybackup", [destination]);
  const restored = await cluster.startFrom(destination);
  await restored.query("create extension amcheck", { database: SHOP });
  await restored.run("pg_amcheck", ["--heapallindexed", SHOP]);
  assert.equal((await tableStates(restored)).length, 4);
});

/** What both sources must agree on: paths, with the lengths where the server rests. */
async function storedPaths(folder: string): Promise<string[]> {
  const changing =
    /^(backup_label|backup_manifest|postgresql\.auto\.conf|pg_wal\/.*|global\/pg_control|pg_stat\/.*|.*pg_internal\.init)$/;
  return [...await fileTree(folder)].map(([path]) => path).filter((path) => !changing.test(path))
    .sort();
}

Deno.test("both sources store the same files, whatever lies in the data directory", async () => {
  await using cluster = await startShop({ megabytes: 5, tablespaces: ["fast"] });
  const { dataDir } = cluster;
  const run = (text: string) => cluster.query(text, { database: SHOP });
  await run("create unlogged table passing as select generate_series(1, 1000) as id");
  await run("create unlogged table elsewhere (id int) tablespace fast");
  await run("create index on passing (id)");
  await strewRubbish(dataDir);
  await movePgWal(cluster);
  await run("checkpoint");
  await using rig = await FilesRig.open(cluster);
  const location = (await rig.backup()).tablespaces[0]!.location;
  const moved = (name: string) => ({
    tablespaceMap: new Map([[location, `${rig.folder}/${name}`]]),
  });
  const [files, stream] = [await rig.backup(), await rig.backup({ source: "stream" })];
  const fromFiles = await rig.restore(files.id, "files", moved("a"));
  const fromStream = await rig.restore(stream.id, "stream", moved("b"));
  const paths = await storedPaths(fromFiles);
  assert.deepEqual(paths, await storedPaths(fromStream));
  assert.deepEqual(await storedPaths(`${rig.folder}/a`), await storedPaths(`${rig.folder}/b`));
  assert.ok(paths.includes("log/größe ✓ 'q' \n.log"), "odd names are there");
  assert.ok(!paths.some((path) => /pgsql_tmp|rubbish|t3_16400|postmaster|\.signal/.test(path)));
  await cluster.run("pg_verifybackup", [fromFiles]);
  const restored = await cluster.startFrom(fromFiles);
  const [row] = await restored.query("select count(*)::int as n from passing", { database: SHOP });
  assert.equal(row?.["n"], 0, "an unlogged relation begins empty");
});

/** What PostgreSQL and its administrators leave behind. */
async function strewRubbish(dataDir: string): Promise<void> {
  const [database] = [...Deno.readDirSync(`${dataDir}/base`)].map(({ name }) => name);
  const texts: Record<string, string> = {
    "log/größe ✓ 'q' \n.log": "a file of the administrator's",
    "pg_replslot/rubbish": "x",
    "pg_stat_tmp/rubbish": "x",
    "pg_dynshmem/rubbish": "x",
    "base/pgsql_tmp/pgsql_tmp1.1": "x",
    [`base/${database}/t3_16400`]: "x",
    [`base/${database}/t3_16400_fsm`]: "x",
    "opts.saved": "kept",
    "tablespace_map": "rubbish",
    "current_logfiles.tmp": "x",
  };
  for (const [path, text] of Object.entries(texts)) {
    await Deno.mkdir(`${dataDir}/${path}`.replace(/\/[^/]*$/, ""), { recursive: true });
    await Deno.writeTextFile(`${dataDir}/${path}`, text);
  }
  await Deno.symlink("postgresql.conf", `${dataDir}/rubbish-link`);
  await giveToServer(dataDir);
}

/** The usual way to give WAL a disk of its own. */
async function movePgWal(cluster: Cluster): Promise<void> {
  await cluster.stop("fast");
  const moved = `${cluster.folder}/wal`;
  await Deno.rename(`${cluster.dataDir}/pg_wal`, moved);
  await Deno.symlink(moved, `${cluster.dataDir}/pg_wal`);
  await cluster.start();
}

Deno.test("names that fit no tar header of PostgreSQL's are stored, and sockets are not", async () => {
  await using cluster = await startCluster();
  const long = `${"ü".repeat(127)}x`; // 255 bytes
  const path = `${cluster.dataDir}/log/${long}`;
  await Deno.mkdir(`${cluster.dataDir}/log`);
  await Deno.writeTextFile(path, "long");
  await Deno.mkdir(`${cluster.dataDir}/log/${"d".repeat(200)}`);
  using _socket = Deno.listen({ transport: "unix", path: `${cluster.dataDir}/.s.socket` });
  await giveToServer(cluster.dataDir);
  await using rig = await FilesRig.open(cluster);
  const { id } = await rig.backup();
  const destination = await rig.restore(id, "restored");
  assert.equal(await Deno.readTextFile(`${destination}/log/${long}`), "long");
  assert.ok((await Deno.stat(`${destination}/log/${"d".repeat(200)}`)).isDirectory);
  await cluster.run("pg_verifybackup", [destination]);
  await assert.rejects(Deno.lstat(`${destination}/.s.socket`), Deno.errors.NotFound);
});

Deno.test("a name that is no UTF-8 fails the backup and is named", async () => {
  await using cluster = await startCluster();
  const made = await new Deno.Command("sh", {
    args: ["-c", String.raw`: > "$0/$(printf 'bad\377')"`, cluster.dataDir],
  }).output();
  assert.ok(made.success);
  await using rig = await FilesRig.open(cluster);
  await assert.rejects(rig.backup(), (error) => {
    assert.ok(error instanceof PostgresError);
    assert.match(error.message, /not UTF-8.*bad/);
    return true;
  });
  assert.deepEqual(await rig.keys(), ["main/repository.json"]);
});

/** A page of a table, damaged on disk behind the server's back. */
async function damage(cluster: Cluster, { table, block }: { table: string; block: number }) {
  await cluster.query("checkpoint");
  const [row] = await cluster.query(`select pg_relation_filepath('${table}') as path`, {
    database: SHOP,
  });
  const path = String(row?.["path"]);
  await cluster.stop("fast");
  const file = await Deno.open(`${cluster.dataDir}/${path}`, { read: true, write: true });
  const byte = new Uint8Array(1);
  await file.seek(block * 8192 + 5000, Deno.SeekMode.Start);
  await file.read(byte);
  byte[0]! ^= 0x10;
  await file.seek(block * 8192 + 5000, Deno.SeekMode.Start);
  await file.write(byte);
  file.close();
  await cluster.start();
  return path;
}

Deno.test("a damaged page is named in the manifest, and fails the backup when asked to", async () => {
  await using cluster = await startShop({ megabytes: 10 });
  const path = await damage(cluster, { table: "orders", block: 3 });
  await using rig = await FilesRig.open(cluster);
  const backup = await rig.backup();
  const expected = { count: 1, files: [{ path, blocks: [3] }] };
  assert.deepEqual(backup.damagedPages, expected);
  assert.deepEqual((await rig.parts.repository.backup(backup.id)).damagedPages, expected);
  assert.deepEqual((await rig.backup({ source: "stream" })).damagedPages, expected);
  const kept = await rig.keys();
  for (const source of ["files", "stream"] as const) {
    await assert.rejects(rig.backup({ failOnCorruption: true, source }), (error) => {
      assert.ok(error instanceof IntegrityError);
      assert.match(error.message, new RegExp(`block 3 of ${path}`));
      return true;
    });
  }
  assert.deepEqual(await rig.keys(), kept);
});

Deno.test("--source and --fail-on-corruption do what they say, and --source stays with physical backups", async () => {
  await using cluster = await startShop({ megabytes: 5 });
  await using rig = await FilesRig.open(cluster);
  await rig.parts.repository.prepare();
  const { host, port } = cluster.connection();
  const env = {
    BACKUPCTL_REPOSITORY_PATH: `${rig.folder}/repository`,
    BACKUPCTL_METADATA_URL: "off",
    ...{ PG_HOST: host, PG_PORT: String(port), PG_USER: "postgres", HOME: rig.folder },
  };
  const physical = ["backup", "full", "--method", "physical", "--fast-checkpoint"];
  const sourceOf = async (...args: string[]) => {
    const { status, stdout, stderr } = await runCli([...physical, ...args], { env });
    assert.equal(status, 0, stderr);
    const id = /backup (\S+) is complete/.exec(stdout)?.[1] ?? "";
    return { source: (await rig.parts.repository.backup(id)).source, stdout, stderr };
  };
  const chosen = await sourceOf();
  assert.equal(chosen.source, "files");
  assert.match(chosen.stderr, /source files: /);
  assert.equal((await sourceOf("--source", "stream")).source, "stream");
  const logical = ["backup", "full", "--method", "logical", "--source", "files"];
  assert.equal((await runCli(logical, { env })).status, 2);
  const path = await damage(cluster, { table: "orders", block: 2 });
  const damaged = await sourceOf("--source", "files");
  assert.match(damaged.stdout, new RegExp(`with damage: .*1, ${path} block 2`));
  const failed = await runCli([...physical, "--fail-on-corruption"], { env });
  assert.equal(failed.status, 8, failed.stderr);
});

Deno.test("a backup whose session is ended fails and leaves nothing", async () => {
  await using cluster = await startShop({ megabytes: 20 });
  let ended: Promise<unknown> | undefined;
  let copied = 0;
  const advance = (bytes: number) => {
    copied += bytes;
    ended ??= cluster.query(
      "select pg_terminate_backend(pid) from pg_stat_activity " +
        "where application_name = 'backupctl' and query like '%backup%' and pid <> pg_backend_pid()",
    );
  };
  await using rig = await FilesRig.open(cluster, { progress: { ...silentProgress, advance } });
  await assert.rejects(rig.backup({ maxRateKb: 10_000 }), (error) => {
    assert.ok(error instanceof PostgresError, String(error));
    assert.match(error.message, /session .* was lost/);
    return true;
  });
  assert.equal((await ended as unknown[]).length, 1);
  assert.ok(copied < 25e6, `it goes on for ${copied} bytes`);
  assert.deepEqual(await rig.keys(), ["main/repository.json"]);
  assert.deepEqual(await cluster.query("select 1 from pg_replication_slots"), []);
});

Deno.test("a backup of files that is aborted leaves nothing in the repository or on the server", async () => {
  await using cluster = await startShop({ megabytes: 40 });
  const stop = new AbortController();
  const reason = new Error("stop");
  let copied = 0;
  const advance = (bytes: number) => {
    copied += bytes;
    if (copied > 20e6) stop.abort(reason);
  };
  await using rig = await FilesRig.open(cluster, { progress: { ...silentProgress, advance } });
  await assert.rejects(rig.backup({ signal: stop.signal }), (error) => error === reason);
  assert.deepEqual(await rig.keys(), ["main/repository.json"]);
  await cluster.query(NO_SLOT);
});

/** Waits, ten seconds at most, until the server has noticed that the session is gone. */
const NO_SLOT = `do $$ begin
  for turn in 1..1000 loop
    if not exists (select from pg_replication_slots) then return; end if;
    perform pg_sleep(0.01);
  end loop;
  raise 'a slot stays';
end $$`;

Deno.test("files that vanish between listing and reading are no error", async () => {
  await using cluster = await startCluster();
  const path = `${cluster.dataDir}/base/1/987654`;
  await Deno.writeTextFile(path, "gone soon");
  const begin = (step: string) => {
    if (step === "copying the cluster") Deno.removeSync(path);
  };
  await using rig = await FilesRig.open(cluster, { progress: { ...silentProgress, begin } });
  const { id } = await rig.backup();
  await assert.rejects(Deno.lstat(path), Deno.errors.NotFound);
  const destination = await rig.restore(id, "restored");
  await cluster.run("pg_verifybackup", [destination]);
});

Deno.test("FileSource.obstacle() tells a copy, another system and a missing right from the real thing", async () => {
  await using cluster = await startCluster();
  const connection = cluster.connection();
  assert.equal(await new FileSource(connection).obstacle(), undefined);
  const folder = await makeServerFolder("backupctl-copy-");
  try {
    const copied = await new Deno.Command("cp", {
      args: ["-a", `${cluster.dataDir}/.`, `${folder}/copy`],
    }).output();
    assert.ok(copied.success);
    const obstacle = async (dataDirectory: string) =>
      await new FileSource(connection, { dataDirectory }).obstacle();
    assert.match(await obstacle(`${folder}/copy`) ?? "", /not the folder that the server works in/);
    assert.match(await obstacle(`${folder}/nowhere`) ?? "", /is not on this machine/);
    await using other = await startCluster();
    assert.match(await obstacle(other.dataDir) ?? "", /is of system \d+/);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
  await cluster.query("create role visitor login; grant pg_monitor to visitor");
  const visitor = new FileSource(cluster.connection({ user: "visitor" }));
  assert.match(await visitor.obstacle() ?? "", /role visitor may not execute/);
});

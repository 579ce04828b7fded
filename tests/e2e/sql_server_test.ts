/** What servers say of themselves, to roles with more and fewer rights. */
import assert from "node:assert/strict";
import { PostgresError } from "../../src/domain/errors.ts";
import { SqlServer } from "../../src/postgres/sql_server.ts";
import {
  dataDirectoryMajor,
  runningServer,
  systemIdentifierOf,
} from "../../src/postgres/data_directory.ts";
import { StreamSource } from "../../src/postgres/replication/stream_base_backup.ts";
import { clusterMajors, makeServerFolder, startCluster } from "../support/postgres_cluster.ts";
import { unpackBaseBackup } from "../support/unpack_base_backup.ts";

for (const { major, binDir } of clusterMajors()) {
  Deno.test(`SqlServer tells who a server of ${major} is, whatever the role may see`, async () => {
    await using cluster = await startCluster({ binDir, walSegmentMb: 1, checksums: false });
    await cluster.query("create role low login");
    await using server = new SqlServer(cluster.connection());
    const identity = await server.identity();
    assert.deepEqual(identity, {
      systemIdentifier: await systemIdentifierOf(cluster.dataDir),
      version: identity.version,
      versionText: identity.versionText,
      timeline: 1,
      walSegmentBytes: 2 ** 20,
      dataChecksums: false,
      inRecovery: false,
      dataDirectory: cluster.dataDir,
    });
    assert.equal(Math.floor(identity.version / 10000), major);
    assert.ok(identity.versionText.startsWith(`${major}.`));
    assert.equal(server.address, `127.0.0.1:${cluster.port}`);

    await using low = new SqlServer(cluster.connection({ user: "low", host: cluster.socketDir }));
    assert.deepEqual(await low.identity(), { ...identity, dataDirectory: undefined });
    assert.equal(low.address, `${cluster.socketDir}/.s.PGSQL.${cluster.port}`);
  });

  Deno.test(`SqlServer of ${major} lists databases, and sizes where it may connect`, async () => {
    await using cluster = await startCluster({ binDir });
    await cluster.query("create role low login");
    for (const name of ["hidden", "Odd \"näme'", "closed"]) {
      await cluster.query(`create database "${name.replaceAll('"', '""')}"`);
    }
    await cluster.query("revoke connect on database hidden from public");
    await cluster.query("alter database closed allow_connections false");
    await using low = new SqlServer(cluster.connection({ user: "low" }));
    const databases = await low.databases();
    assert.deepEqual(databases.map(({ name }) => name), ["Odd \"näme'", "hidden", "postgres"]);
    assert.equal(databases[1]?.sizeBytes, undefined);
    assert.ok(databases[2]!.sizeBytes! > 5_000_000);
  });
}

Deno.test("SqlServer knows standbys, and the timeline after a promotion", async () => {
  await using cluster = await startCluster();
  const folder = await makeServerFolder();
  try {
    await using backup = await new StreamSource(cluster.connection())
      .start({ label: "x", fastCheckpoint: true, includeWal: true });
    const { dataDir } = await unpackBaseBackup(backup, folder);
    await Deno.writeTextFile(`${dataDir}/standby.signal`, "");
    const standby = await cluster.startFrom(dataDir);
    await using server = new SqlServer(standby.connection());
    const before = await server.identity();
    assert.deepEqual([before.inRecovery, before.timeline], [true, 1]);
    await standby.query("select pg_promote()");
    const after = await server.identity();
    assert.deepEqual([after.inRecovery, after.timeline], [false, 2]);
    assert.equal(after.systemIdentifier, before.systemIdentifier);
    await standby.stop();
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("SqlServer asks by replication for what SQL does not tell the role", async () => {
  await using cluster = await startCluster();
  await cluster.query("revoke execute on function pg_control_system() from public");
  await cluster.query("create role low login; create role replicator login replication");
  await using replicator = new SqlServer(cluster.connection({ user: "replicator" }));
  const { systemIdentifier } = await replicator.identity();
  assert.equal(systemIdentifier, await systemIdentifierOf(cluster.dataDir));
  await using low = new SqlServer(cluster.connection({ user: "low" }));
  await assert.rejects(low.identity(), (error) => {
    assert.ok(error instanceof PostgresError);
    assert.match(error.hint ?? "", /GRANT EXECUTE ON FUNCTION pg_control_system\(\) TO low/);
    return true;
  });
});

Deno.test("SqlServer gives settings by name, without those that are hidden or unknown", async () => {
  await using cluster = await startCluster({ settings: { archive_timeout: "5min" } });
  await cluster.query("create role low login");
  await using server = new SqlServer(cluster.connection({ user: "low" }));
  const names = ["archive_timeout", "data_directory", "no_such_setting", "wal_level"];
  const found = await server.settings(names);
  assert.deepEqual([...found].sort(), [["archive_timeout", "300"], ["wal_level", "replica"]]);
  assert.equal((await server.settings([])).size, 0);
});

Deno.test("SqlServer hands parameters to the server as they are", async () => {
  await using cluster = await startCluster();
  await using server = new SqlServer(cluster.connection());
  const time = "2024-01-15 12:30:00.123456+00";
  const json = '{"a": [1, "x"]}';
  const [row] = await server.query(
    `select $1::jsonb::text as j, $2::timestamptz::text as t, $3::bool as b, $4::bool as f,
            $5::text as n, $6::bigint::text as i, $7::pg_lsn::text as l`,
    [json, time, "t", false, null, 2 ** 53, "16/B374D848"],
  );
  assert.equal(row?.j, json);
  assert.match(String(row?.t), /\.123456/);
  assert.deepEqual([row?.b, row?.f, row?.n], [true, false, null]);
  assert.deepEqual([row?.i, row?.l], ["9007199254740992", "16/B374D848"]);
});

Deno.test("SqlServer runs several statements, and goes on after an error of the server", async () => {
  await using cluster = await startCluster();
  await using server = new SqlServer(cluster.connection());
  assert.deepEqual(await server.query("create table t(i int); select 7 as seven"), [{ seven: 7 }]);
  assert.deepEqual(await server.query("insert into t values (1)"), []);
  await assert.rejects(server.query("select * from nowhere"), /"nowhere" does not exist.*42P01/);
  await assert.rejects(server.query("select $1::int", ["x"]), /22P02/);
  assert.deepEqual(await server.query("select i from t"), [{ i: 1 }]);
});

Deno.test("SqlServer answers again after the server was restarted", async () => {
  await using cluster = await startCluster();
  await using server = new SqlServer(cluster.connection({ host: cluster.socketDir }));
  const name = "select current_setting('application_name') as name";
  assert.deepEqual(await server.query(name), [{ name: "backupctl" }]);
  await cluster.stop("fast");
  for (let times = 0; times < 4; times++) await assert.rejects(server.query(name), PostgresError);
  await cluster.start();
  assert.deepEqual(await server.query(name), [{ name: "backupctl" }]);
});

Deno.test("runningServer() and dataDirectoryMajor() tell of a data directory", async () => {
  await using cluster = await startCluster();
  assert.equal(await dataDirectoryMajor(cluster.dataDir), cluster.major);
  assert.equal(await runningServer(cluster.dataDir), cluster.pid);
  await cluster.stop("crash");
  assert.equal(await runningServer(cluster.dataDir), undefined);
  await Deno.remove(`${cluster.dataDir}/postmaster.pid`);
  assert.equal(await runningServer(cluster.dataDir), undefined);
  await assert.rejects(dataDirectoryMajor("/"), PostgresError);
  await assert.rejects(systemIdentifierOf("/"), PostgresError);
});

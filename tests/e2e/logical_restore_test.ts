import assert from "node:assert/strict";
import { DestinationError, NothingMatchesError, PartialError } from "../../src/domain/errors.ts";
import { dumpName } from "../../src/engine/logical/object_names.ts";
import { describeDatabase, describeGlobals, LogicalRig } from "../support/logical_rig.ts";
import { type Cluster, clusterMajors, startCluster } from "../support/postgres_cluster.ts";
import { ODD_DATABASES, ZOO_ROLES, zooSchema } from "../support/schema_zoo.ts";

const quote = (name: string) => `"${name.replaceAll('"', '""')}"`;

const CREATE_ZOO = `CREATE DATABASE zoo OWNER zoo_owner
  ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0`;

/** A cluster with the zoo, oddly named databases and an empty one. */
async function startZoo(binDir: string, rows: number): Promise<Cluster> {
  const cluster = await startCluster({ binDir });
  await cluster.psql(ZOO_ROLES);
  await cluster.query(CREATE_ZOO);
  await cluster.query("ALTER DATABASE zoo SET work_mem = '7MB'");
  await cluster.psql(zooSchema({ rows }), { database: "zoo" });
  for (const name of ODD_DATABASES) await cluster.query(`CREATE DATABASE ${quote(name)}`);
  await cluster.query("CREATE TABLE here (name text)", { database: ODD_DATABASES[0]! });
  return cluster;
}

for (const { major, binDir } of clusterMajors()) {
  Deno.test(`logical backups of PostgreSQL ${major} come back as they were`, async (t) => {
    await using source = await startZoo(binDir, 5000);
    await using rig = new LogicalRig(source);
    const backup = await rig.backup();
    const names = ["postgres", "zoo", ...ODD_DATABASES].sort();
    const wanted = new Map<string, string[]>();
    for (const name of names) wanted.set(name, await describeDatabase(source, name));

    await t.step("the manifest names every database and the sizes", () => {
      assert.deepEqual(backup.databases.map(({ name }) => name).toSorted(), names);
      const dumps = backup.objects.filter(({ role }) => role === "dump");
      assert.deepEqual(dumps.map(({ database }) => database!).toSorted(), names);
      assert.equal(backup.objects[0]?.key, "globals.sql.zst");
      for (const { key } of backup.objects) assert.match(key, /^[A-Za-z0-9_~][A-Za-z0-9._~-]*$/);
    });

    for (const jobs of [1, 2]) {
      await t.step(`into an empty server with ${jobs} at a time: dumps are equal`, async () => {
        await using target = await startCluster({ binDir });
        await rig.restore(backup, { into: target.connection(), jobs });
        assert.deepEqual(await describeGlobals(target), await describeGlobals(source));
        for (const name of names) {
          assert.deepEqual(await describeDatabase(target, name), wanted.get(name), name);
        }
      });
    }

    await t.step("as files: psql and pg_restore bring them back without backupctl", async () => {
      await using target = await startCluster({ binDir });
      const folder = await Deno.makeTempDir();
      try {
        const destination = `${folder}/new/dumps`;
        const report = await rig.restore(backup, { destination, jobs: 3 });
        assert.equal(report.files, backup.objects.length);
        const mode = (path: string) => Deno.statSync(path).mode! & 0o777;
        assert.equal(mode(destination), 0o700);
        const files = [...Deno.readDirSync(destination)].map(({ name }) => name).sort();
        const dumps = backup.databases.map(({ name }) => dumpName(name));
        assert.deepEqual(files, ["globals.sql", ...dumps].sort());
        for (const name of files) assert.equal(mode(`${destination}/${name}`), 0o600, name);
        const globals = await Deno.readTextFile(`${destination}/globals.sql`);
        await target.run("psql", ["-Xq", "-f", "-", "postgres"], { input: globals });
        const dump = await Deno.readFile(`${destination}/zoo.dump`);
        await Deno.writeFile(`${target.folder}/zoo.dump`, dump);
        // Not by --create: a newer pg_dump writes a CREATE DATABASE that older servers refuse.
        await target.query(CREATE_ZOO);
        await target.query("ALTER DATABASE zoo SET work_mem = '7MB'");
        await target.run("pg_restore", ["-d", "zoo", `${target.folder}/zoo.dump`]);
        assert.deepEqual(await describeDatabase(target, "zoo"), wanted.get("zoo"));
      } finally {
        await Deno.remove(folder, { recursive: true });
      }
    });

    await t.step("one database into a server where it is there and empty", async () => {
      await using target = await startCluster({ binDir });
      await target.query(
        "CREATE DATABASE zoo TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'",
      );
      await installIntoTools(target);
      await rig.restore(backup, { into: target.connection(), databases: ["zoo"], jobs: 2 });
      const [row] = await target.query("SELECT count(*)::int AS n FROM people", {
        database: "zoo",
      });
      assert.equal(row?.["n"], 5002);
      const others = await target.query("SELECT FROM pg_database WHERE datname = '..'");
      assert.equal(others.length, 0);
    });

    await t.step("a database that holds anything is refused before anything changes", async () => {
      await using target = await startCluster({ binDir });
      await target.query("CREATE DATABASE zoo");
      await target.query("CREATE TABLE mine ()", { database: "zoo" });
      await assert.rejects(rig.restore(backup, { into: target.connection() }), (error) => {
        assert.ok(error instanceof DestinationError);
        assert.match(error.message, /database "zoo" on .* is not empty: it holds mine$/);
        assert.match(error.hint!, /^drop or rename .*, or restore only the others, naming them/);
        return true;
      });
      const roles = await target.query("SELECT FROM pg_roles WHERE rolname = 'zoo_owner'");
      assert.equal(roles.length, 0);
    });

    await t.step("an index of backupctl in the way is named as such, and how it goes", async () => {
      await using target = await startCluster({ binDir });
      const connection = target.connection();
      await target.query("CREATE SCHEMA backupctl; CREATE TABLE backupctl.runs ()");
      await target.query("COMMENT ON TABLE backupctl.runs IS 'Every run of backupctl, too'");
      const options = { into: connection, databases: ["postgres"] };
      const beside = { into: connection, databases: ["postgres", "zoo"] };
      await assert.rejects(rig.restore(backup, options), (error) => {
        assert.ok(error instanceof DestinationError);
        assert.match(error.message, /it holds schema backupctl \(backupctl's index\)$/);
        assert.match(error.hint!, /^DROP SCHEMA backupctl CASCADE in database postgres: /);
        return true;
      });
      await target.query(
        "CREATE SCHEMA mine; CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
      );
      await assert.rejects(rig.restore(backup, options), (error) => {
        assert.ok(error instanceof DestinationError);
        assert.match(error.message, /schema mine, function f\(\)$/);
        assert.equal(error.hint, "drop or rename what is in the way first");
        return true;
      });
      await assert.rejects(rig.restore(backup, beside), (error) => {
        assert.ok(error instanceof DestinationError);
        assert.match(error.hint!, /^drop or .*, or restore only the others: --database "zoo"$/);
        return true;
      });
    });

    await t.step("roles that are there keep their passwords", async () => {
      await using target = await startCluster({ binDir });
      await target.query("CREATE ROLE zoo_owner LOGIN PASSWORD 'other' CREATEDB");
      const secret = "SELECT rolpassword, rolcreatedb FROM pg_authid WHERE rolname = 'zoo_owner'";
      const before = await target.query(secret);
      await rig.restore(backup, { into: target.connection(), databases: ["zoo"] });
      assert.deepEqual(await target.query(secret), before);
    });

    await t.step("a folder that is not empty, and an unknown database, are refused", async () => {
      const folder = await Deno.makeTempDir();
      await Deno.writeTextFile(`${folder}/mine`, "");
      await assert.rejects(rig.restore(backup, { destination: folder }), DestinationError);
      await Deno.remove(folder, { recursive: true });
      const unknown = { destination: `${folder}-new`, databases: ["zoö"] };
      await assert.rejects(rig.restore(backup, unknown), (error) => {
        assert.ok(error instanceof NothingMatchesError);
        assert.match(error.message, /"zoö"/);
        assert.match(error.hint!, /"zoo"/);
        return true;
      });
      await assert.rejects(rig.backup({ databases: ["zoö"] }), NothingMatchesError);
    });

    await t.step("a tablespace that cannot be made costs nothing but a complaint", async () => {
      await using spread = await startCluster({ binDir, tablespaces: ["fast"] });
      await spread.query("CREATE DATABASE spread TABLESPACE fast");
      await spread.query("CREATE TABLE t TABLESPACE pg_default AS SELECT 7 AS seven", {
        database: "spread",
      });
      await using other = new LogicalRig(spread);
      const taken = await other.backup({ databases: ["spread"] });
      for (const jobs of [1, 2]) {
        await using target = await startCluster({ binDir });
        await assert.rejects(other.restore(taken, { into: target.connection(), jobs }), (error) => {
          assert.ok(error instanceof PartialError, String(error));
          assert.match(error.message, /with 1 error: .*directory/); // still the source's
          return true;
        });
        const [row] = await target.query("SELECT seven FROM t", { database: "spread" });
        assert.equal(row?.["seven"], 7);
      }
    });

    await t.step("what the target refuses is counted and quoted; the rest is there", async () => {
      await using target = await startCluster({ binDir });
      await target.query("CREATE ROLE limited LOGIN CREATEDB");
      const into = target.connection({ user: "limited" });
      for (const jobs of [1, 2]) {
        const restore = rig.restore(backup, { into, databases: ["zoo"], jobs });
        await assert.rejects(restore, (error) => {
          assert.ok(error instanceof PartialError, String(error));
          assert.match(error.message, /with \d+ errors: .*; .*; and \d+ more/);
          assert.match(error.message, /permission denied/);
          return true;
        });
        const [row] = await target.query("SELECT count(*)::int AS n FROM people", {
          database: "zoo",
        });
        assert.equal(row?.["n"], 5002);
        await target.query("DROP DATABASE zoo");
      }
    });
  });
}

/** Puts an extension into a schema of its own, as providers of servers do in every database. */
async function installIntoTools(target: Cluster): Promise<void> {
  const [contrib] = await target.query(
    "SELECT FROM pg_available_extensions WHERE name = 'pg_trgm'",
  );
  // Without the contrib modules there is only the one that is in every database as it is.
  const install = contrib
    ? "CREATE EXTENSION pg_trgm SCHEMA tools"
    : `SET allow_system_table_mods = on;
       UPDATE pg_extension SET extnamespace = 'tools'::regnamespace WHERE extname = 'plpgsql'`;
  await target.query(`CREATE SCHEMA tools; ${install}`, { database: "zoo" });
}

/** Dumps in parts: several pg_dumps of one moment make the same database as one does. */
import assert from "node:assert/strict";
import type { BackupManifest } from "../../src/catalog/catalog.ts";
import { IntegrityError, NothingMatchesError } from "../../src/domain/errors.ts";
import type { FullBackupOptions } from "../../src/engine/parts.ts";
import { describeDatabase, describeGlobals, LogicalRig } from "../support/logical_rig.ts";
import { type Cluster, clusterMajors, startCluster } from "../support/postgres_cluster.ts";
import { ZOO_ROLES, zooSchema } from "../support/schema_zoo.ts";

/** Every database in parts, of some pages each. */
const SPLIT = { streams: 3, fromBytes: 0, leastBytes: 16_384 } as const;
const ODD = `odd "'$name*. {1,2}|\\\\ `;

/** What makes parts hard: names alike, names for regular expressions, keys, triggers, cycles. */
const MORE = `
  CREATE SCHEMA one; CREATE SCHEMA "One"; CREATE SCHEMA "o*e";
  CREATE TABLE one.same AS SELECT g AS a, repeat('1', 100) AS t FROM generate_series(1, 2000) g;
  CREATE TABLE "One".same AS SELECT g AS a, repeat('2', 100) AS t FROM generate_series(1, 2100) g;
  CREATE TABLE "o*e".same AS SELECT g AS a, repeat('3', 100) AS t FROM generate_series(1, 2200) g;
  CREATE TABLE one."Same" AS SELECT g AS a, repeat('4', 100) AS t FROM generate_series(1, 2300) g;
  CREATE TABLE one."same.same" AS SELECT g AS a FROM generate_series(1, 3000) g;
  CREATE TABLE "One"."${ODD.replaceAll('"', '""')}" AS
    SELECT g AS a, repeat('5', 100) AS t FROM generate_series(1, 2400) g;
  CREATE TABLE "One"."two
lines" AS SELECT g AS a, repeat('6', 50) AS t FROM generate_series(1, 2500) g;
  CREATE TABLE chicken (id int PRIMARY KEY, egg int, filler text);
  CREATE TABLE egg (id int PRIMARY KEY, chicken int REFERENCES chicken, filler text);
  INSERT INTO chicken SELECT g, g, repeat('c', 60) FROM generate_series(1, 1500) g;
  INSERT INTO egg SELECT g, g, repeat('e', 60) FROM generate_series(1, 1500) g;
  ALTER TABLE chicken ADD FOREIGN KEY (egg) REFERENCES egg;
  DO $$ BEGIN FOR i IN 1..20 LOOP
    EXECUTE format('CREATE TABLE pair_%s_a (id int PRIMARY KEY, r int);
      CREATE TABLE pair_%s_b (id int PRIMARY KEY, l int REFERENCES pair_%s_a);
      ALTER TABLE pair_%s_a ADD FOREIGN KEY (r) REFERENCES pair_%s_b', i, i, i, i, i);
  END LOOP; END $$;
  CREATE TABLE numbered (id serial PRIMARY KEY, t text);
  INSERT INTO numbered (t) SELECT repeat('n', 80) FROM generate_series(1, 1700);
  CREATE FUNCTION forbid() RETURNS trigger LANGUAGE plpgsql AS
    $f$ BEGIN RAISE EXCEPTION 'a trigger ran during the restore'; END $f$;
  CREATE TRIGGER forbidden BEFORE INSERT ON numbered FOR EACH ROW EXECUTE FUNCTION forbid();
  CREATE TABLE hashed (k int, t text) PARTITION BY HASH (k);
  CREATE TABLE hashed_0 PARTITION OF hashed FOR VALUES WITH (MODULUS 2, REMAINDER 0);
  CREATE TABLE hashed_1 PARTITION OF hashed FOR VALUES WITH (MODULUS 2, REMAINDER 1);
  INSERT INTO hashed SELECT g, repeat('h', 90) FROM generate_series(1, 3000) g;`;

async function startZoo(binDir: string): Promise<Cluster> {
  const cluster = await startCluster({ binDir });
  await cluster.psql(ZOO_ROLES);
  await cluster.query(
    `CREATE DATABASE zoo OWNER zoo_owner ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'
       TEMPLATE template0`,
  );
  await cluster.query("ALTER DATABASE zoo SET work_mem = '7MB'");
  await cluster.psql(zooSchema({ rows: 3000 }) + MORE, { database: "zoo" });
  return cluster;
}

function partsOf({ objects }: BackupManifest, database: string) {
  return objects.filter((object) => object.database === database);
}

const options: Partial<FullBackupOptions> = { split: SPLIT, databases: ["zoo"] };

for (const { major, binDir } of clusterMajors()) {
  Deno.test(`dumps in parts of PostgreSQL ${major} come back as they were`, async (t) => {
    await using source = await startZoo(binDir);
    await using rig = new LogicalRig(source);
    const backup = await rig.backup(options);
    const wanted = await describeDatabase(source, "zoo");

    await t.step("the manifest tells the parts in the order of their restore", () => {
      const parts = partsOf(backup, "zoo");
      assert.ok(parts.length >= 6, `${parts.length} parts`);
      assert.deepEqual(parts.map(({ key }) => key), parts.map(({ key }) => key).toSorted());
      assert.deepEqual([parts[0]?.section, parts.at(-1)?.section], ["pre-data", "post-data"]);
      const data = parts.slice(1, -1);
      assert.ok(data.every(({ section, part }, index) => section === "data" && part === index + 1));
      assert.match(parts[1]!.key, /^zoo\/2-data-0001\.dump\.zst$/);
    });

    await t.step("into an empty server, three at a time: dumps are equal", async () => {
      await using target = await startCluster({ binDir });
      await rig.restore(backup, { into: target.connection(), jobs: 3 });
      assert.deepEqual(await describeGlobals(target), await describeGlobals(source));
      assert.deepEqual(await describeDatabase(target, "zoo"), wanted);
    });

    await t.step("as files: pg_restore brings them back in order", async () => {
      await using target = await startCluster({ binDir });
      const folder = await Deno.makeTempDir();
      try {
        await rig.restore(backup, { destination: `${folder}/new`, jobs: 3 });
        const globals = await Deno.readTextFile(`${folder}/new/globals.sql`);
        await target.run("psql", ["-Xq", "-f", "-", "postgres"], { input: globals });
        await target.query(
          `CREATE DATABASE zoo OWNER zoo_owner ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'
             TEMPLATE template0`,
        );
        await target.query("ALTER DATABASE zoo SET work_mem = '7MB'");
        const names = [...Deno.readDirSync(`${folder}/new/zoo`)].map(({ name }) => name).sort();
        assert.equal(names.length, partsOf(backup, "zoo").length);
        for (const name of names) {
          const path = `${target.folder}/${name}`;
          await Deno.writeFile(path, await Deno.readFile(`${folder}/new/zoo/${name}`));
          const section = name.startsWith("3-") ? ["--section=post-data"] : [];
          if (name.startsWith("3-")) {
            // By them pg_restore's jobs know which foreign keys would wait for each other.
            const { output } = await target.run("pg_restore", ["--list", path]);
            assert.match(output, / TABLE public chicken /);
          }
          await target.run("pg_restore", ["-e", ...section, "-d", "zoo", path]);
        }
        assert.deepEqual(await describeDatabase(target, "zoo"), wanted);
      } finally {
        await Deno.remove(folder, { recursive: true });
      }
    });

    await t.step("single tables, from a dump in parts and from a whole one", async () => {
      await using target = await startCluster({ binDir });
      const whole = await rig.backup({ databases: ["zoo"] });
      const hash = `SELECT md5(string_agg(s::text, '' ORDER BY a)) AS h FROM one."Same" s`;
      const [wanted] = await source.query(hash, { database: "zoo" });
      for (const chosen of [backup, whole]) {
        await target.query("CREATE DATABASE zoo TEMPLATE template0 ENCODING 'UTF8'");
        const own = "CREATE SCHEMA one; CREATE TABLE mine AS SELECT 1 AS a";
        await target.query(own, { database: "zoo" });
        const options = { into: target.connection(), jobs: 2, tables: ["one.Same"] };
        await rig.restore(chosen, options);
        assert.deepEqual(await target.query(hash, { database: "zoo" }), [wanted]);
        const made = await target.query(
          "SELECT relname FROM pg_class WHERE relkind = 'r' AND oid >= 16384 ORDER BY relname",
          { database: "zoo" },
        );
        assert.deepEqual(made.map(({ relname }) => relname), ["Same", "mine"]);
        await assert.rejects(rig.restore(chosen, options), /table one."Same" is there already/);
        const absent = rig.restore(chosen, { ...options, tables: ["one.absent"] });
        await assert.rejects(absent, (error) => {
          assert.ok(error instanceof NothingMatchesError);
          assert.match(error.message, /absent/);
          return true;
        });
        await target.query("DROP DATABASE zoo");
      }
    });

    await t.step(
      "a part that is missing or damaged is found before or while it is read",
      async () => {
        await using target = await startCluster({ binDir });
        const objects = backup.objects.filter(({ part }) => part !== 2);
        const short = { ...backup, objects };
        await assert.rejects(rig.restore(short, { into: target.connection() }), (error) => {
          assert.ok(error instanceof IntegrityError);
          assert.match(error.message, /dump of database "zoo" .* is not whole/);
          return true;
        });
        const { length } = await target.query("SELECT FROM pg_database WHERE datname = 'zoo'");
        assert.equal(length, 0);
      },
    );
  });
}

Deno.test("dumps in parts are of one moment, whatever is committed meanwhile", async () => {
  await using source = await startCluster();
  await source.psql(
    `CREATE TABLE a AS SELECT g AS id, 0 AS moved, repeat('a', 200) AS filler
       FROM generate_series(1, 20000) g;
     CREATE TABLE b AS SELECT g AS id, 0 AS moved, repeat('b', 200) AS filler
       FROM generate_series(1, 20000) g;
     CREATE TABLE c AS SELECT g AS id, repeat('c', 200) AS filler FROM generate_series(1, 9000) g;`,
  );
  await using rig = new LogicalRig(source);
  await source.psql(
    `CREATE TABLE over (yes bool);
     CREATE PROCEDURE move() LANGUAGE plpgsql AS $$ BEGIN LOOP
       UPDATE a SET moved = moved - 1 WHERE id = 1;
       UPDATE b SET moved = moved + 1 WHERE id = 1;
       COMMIT; EXIT WHEN EXISTS (SELECT FROM over); END LOOP; END $$`,
  );
  let [isOver, truncations, refusals] = [false, 0, 0];
  const mover = source.query("CALL move()");
  // A snapshot does not protect from it: who looks later finds the table empty.
  const truncater = (async () => {
    while (!isOver) {
      const refill = "INSERT INTO c SELECT g, 'again' FROM generate_series(1, 9000) g";
      await source.query(`BEGIN; SET LOCAL lock_timeout = '5ms'; TRUNCATE c; ${refill}; COMMIT`)
        .then(() => truncations += 1, () => refusals += 1);
    }
  })();
  try {
    for (let turn = 0; turn < 2; turn++) {
      const backup = await rig.backup({ split: SPLIT, databases: ["postgres"] });
      assert.ok(partsOf(backup, "postgres").length > 3);
      await using target = await startCluster();
      await rig.restore(backup, { into: target.connection(), jobs: 2 });
      const [row] = await target.query(
        `SELECT (SELECT sum(moved)::int FROM a) + (SELECT sum(moved)::int FROM b) AS balance,
                (SELECT count(*)::int FROM c) AS rows`,
      );
      assert.deepEqual({ ...row }, { balance: 0, rows: 9000 });
    }
  } finally {
    isOver = true;
    await source.query("INSERT INTO over VALUES (true)");
    await Promise.all([mover, truncater]);
  }
  const [{ moves } = {}] = await source.query("SELECT max(moved) AS moves FROM b");
  assert.ok(Number(moves) > 100, `${moves} moves`);
  assert.ok(truncations > 3 && refusals > 3, `${truncations} truncations, ${refusals} refusals`);
});

Deno.test("a table that somebody waits to change makes the dump one stream", async () => {
  await using source = await startCluster();
  await source.psql(
    `CREATE TABLE a AS SELECT g AS id, repeat('a', 200) AS t FROM generate_series(1, 9000) g;
     CREATE TABLE b AS SELECT g AS id, repeat('b', 200) AS t FROM generate_series(1, 8000) g;`,
  );
  const notes: string[] = [];
  let waiting: Promise<unknown> | undefined;
  await using rig = new LogicalRig(source, {
    progress: { begin: () => {}, advance: () => {}, note: (text) => void notes.push(text) },
  });
  const { snapshots } = rig.parts;
  let checks = 0;
  const startWaiting = async () => {
    waiting = source.query("ALTER TABLE b ADD COLUMN more int DEFAULT 7");
    const waits = "SELECT FROM pg_locks WHERE NOT granted AND relation = 'b'::regclass";
    while ((await source.query(waits)).length === 0);
  };
  const parts = {
    ...rig.parts,
    snapshots: {
      async hold(database: string) {
        const held = await snapshots!.hold(database);
        const check = async () => {
          checks += 1;
          if (checks === 2) await startWaiting(); // one part is stored by then
          await held.check();
        };
        return { ...held, check };
      },
    },
  };
  const { BackupEngine } = await import("../../src/engine/engine.ts");
  const backup = await new BackupEngine(parts).full({
    method: "logical",
    codec: { algorithm: "zstd", level: 1 },
    split: SPLIT,
  });
  await waiting;
  assert.match(notes.join("\n"), /^database "postgres" is dumped again, in one stream: /m);
  assert.deepEqual(partsOf(backup, "postgres").map(({ key }) => key), ["postgres.dump.zst"]);
  const kept = backup.objects.map(({ key }) => key);
  const keys = (await rig.keys()).filter((key) => key.includes(`/${backup.id}/`));
  assert.deepEqual(
    keys.map((key) => key.split(`/${backup.id}/`)[1]).sort(),
    [...kept, "backup.json"].sort(),
  );
});

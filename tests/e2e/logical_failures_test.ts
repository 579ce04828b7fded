import assert from "node:assert/strict";
import { kill } from "node:process";
import fc from "fast-check";
import type { BackupManifest } from "../../src/catalog/catalog.ts";
import type { Bytes } from "../../src/domain/bytes.ts";
import {
  IntegrityError,
  PostgresError,
  StorageError,
  VersionError,
} from "../../src/domain/errors.ts";
import { silentProgress } from "../../src/domain/progress.ts";
import { storeEncoded } from "../../src/engine/logical/store_encoded.ts";
import type { ProgramName } from "../../src/postgres/postgres.ts";
import { fakePrograms } from "../support/fake_programs.ts";
import { LogicalRig, type LogicalRigOptions } from "../support/logical_rig.ts";
import { type Cluster, startCluster } from "../support/postgres_cluster.ts";

const ONLY_HEAD = ["main/repository.json"];

/** Fails at the second piece of the first dump. */
function breakStore(rig: LogicalRig): void {
  const put = rig.store.put.bind(rig.store);
  rig.store.put = async (key, body, options) => {
    if (!key.includes(".dump") || body instanceof Uint8Array) return await put(key, body, options);
    const reader = body.getReader();
    await reader.read();
    const error = new StorageError("the store is full");
    await reader.cancel(error);
    throw error;
  };
}

async function withFake(
  cluster: Cluster,
  scripts: Partial<Record<ProgramName, string>>,
  work: (rig: LogicalRig) => Promise<void>,
  options: LogicalRigOptions & { readonly major?: number } = {},
): Promise<void> {
  const { major = cluster.major, ...rest } = options;
  await using programs = await fakePrograms({ binDir: cluster.binDir, major, scripts });
  await using rig = new LogicalRig(cluster, { bin: programs.folder, ...rest });
  await work(rig);
}

/** Replaces an object's content, as somebody who may write into the bucket could. */
async function forge(rig: LogicalRig, backup: BackupManifest, key: string, raw: Bytes) {
  const folder = rig.parts.repository.folder(backup);
  await rig.store.delete([folder + key]);
  const old = backup.objects.find((object) => object.key === key)!;
  const made = await storeEncoded({ ...rig.parts, progress: silentProgress }, {
    slot: { id: backup.id, folder },
    options: { codec: backup.codec },
    object: { ...old, name: key.replace(/\.zst$/, ""), raw: ReadableStream.from([raw]) },
  });
  return { ...backup, objects: backup.objects.map((object) => object === old ? made : object) };
}

Deno.test("what goes wrong with logical backups", async (t) => {
  await using cluster = await startCluster();

  await t.step("a server that cannot be reached is told with why and what to do", async () => {
    await using rig = new LogicalRig(cluster);
    const backup = await rig.backup({ databases: ["postgres"] });
    // Where nobody listens: a socket that is not there.
    const into = { ...cluster.connection(), host: cluster.folder, port: 1 };
    await assert.rejects(rig.restore(backup, { into }), (error) => {
      assert.ok(error instanceof PostgresError);
      assert.match(error.message, /^cannot reach PostgreSQL at .*:1: .*No such file/);
      assert.match(error.hint!, /^is PostgreSQL running, and is this its unix_socket/);
      return true;
    });
  });
  await cluster.query("CREATE DATABASE app");
  const fill =
    `CREATE TABLE filled AS SELECT i, md5(i::text) AS text FROM generate_series(1, 30000) AS i;
    CREATE TABLE other AS SELECT 1 AS one`;
  await cluster.psql(fill, { database: "app" });
  const good = `${cluster.folder}/good.dump`;
  await cluster.run("pg_dump", ["-Fc", "--compress=0", "-f", good, "app"]);
  const { size } = await Deno.stat(good);

  const LIES: readonly { readonly what: string; readonly script: string }[] = [
    { what: "writes nothing", script: "exit 0" },
    { what: "writes an error to standard output", script: "echo 'pg_dump: error: no'; exit 0" },
    { what: "stops in the table of contents", script: `head -c 700 '${good}'; exit 0` },
    { what: "stops before the last byte", script: `head -c ${size - 1} '${good}'; exit 0` },
    { what: "goes on behind the end", script: `cat '${good}'; echo; exit 0` },
    { what: "dumps another database", script: `"$REAL" --format=custom --compress=0 postgres` },
    { what: "writes plain SQL", script: `"$REAL" app; exit 0` },
  ];
  for (const { what, script } of LIES) {
    await t.step(`a pg_dump that ${what} and ends with 0 is refused`, async () => {
      await withFake(cluster, { pg_dump: script }, async (rig) => {
        await assert.rejects(rig.backup({ databases: ["app"] }), (error) => {
          assert.ok(error instanceof IntegrityError, String(error));
          assert.match(error.message, /^pg_dump of database "app" left an incomplete archive: /);
          return true;
        });
        assert.deepEqual(await rig.keys(), ONLY_HEAD);
      });
    });
  }

  await t.step("a pg_dump that stops anywhere and ends with 0 is refused", async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(size - 1), async (length) => {
        await withFake(cluster, { pg_dump: `head -c ${length} '${good}'` }, async (rig) => {
          await assert.rejects(rig.backup({ databases: ["app"] }), IntegrityError);
          assert.deepEqual(await rig.keys(), ONLY_HEAD);
        });
      }),
      { numRuns: 15 },
    );
  });

  const DEATHS: readonly {
    readonly what: string;
    readonly script: string;
    readonly says: RegExp;
  }[] = [
    {
      what: "ends with 1 after everything was written",
      script: `cat '${good}'; echo 'pg_dump: error: lost the server' >&2; exit 1`,
      says: /cannot dump database "app": pg_dump ended with status 1: .*lost the server/,
    },
    {
      what: "is killed half-way",
      script: `head -c ${size >> 1} '${good}'; kill -9 $$`,
      says: /cannot dump database "app": pg_dump was ended by SIGKILL/,
    },
  ];
  for (const { what, script, says } of DEATHS) {
    await t.step(`a pg_dump that ${what} fails the backup with its last words`, async () => {
      await withFake(cluster, { pg_dump: script }, async (rig) => {
        await assert.rejects(rig.backup({ databases: ["app"] }), (error) => {
          assert.ok(error instanceof PostgresError, String(error));
          assert.match(error.message, says);
          return true;
        });
        assert.deepEqual(await rig.keys(), ONLY_HEAD);
      });
    });
  }

  await t.step("one failing dump ends the others", async () => {
    const script = `case "$PGDATABASE" in app) exit 3;; *) exec sleep 600;; esac`;
    await withFake(cluster, { pg_dump: script }, async (rig) => {
      await assert.rejects(rig.backup(), /database "app": pg_dump ended with status 3/);
      assert.deepEqual(await rig.keys(), ONLY_HEAD);
    });
  });

  await t.step("a pg_restore that cannot read the contents fails the backup", async () => {
    const script = `cat > /dev/null; echo 'pg_restore: error: unsupported' >&2; exit 1`;
    for (const pg_restore of [script, "exit 1", "echo ';     TOC Entries: 4'; exit 0"]) {
      await withFake(cluster, { pg_restore }, async (rig) => {
        await assert.rejects(rig.backup({ databases: ["app"] }), IntegrityError);
        assert.deepEqual(await rig.keys(), ONLY_HEAD);
      });
    }
  });

  await t.step("a pg_dumpall that stops early and ends with 0 is refused", async () => {
    const pg_dumpall = `"$REAL" "$@" | head -n 8`;
    await withFake(cluster, { pg_dumpall }, async (rig) => {
      await assert.rejects(rig.backup(), (error) => {
        assert.ok(error instanceof IntegrityError);
        assert.match(error.message, /pg_dumpall --globals-only ended with 0/);
        return true;
      });
      assert.deepEqual(await rig.keys(), ONLY_HEAD);
    });
  });

  await t.step("a pg_dump older than the server is refused before anything is stored", async () => {
    await withFake(cluster, {}, async (rig) => {
      await assert.rejects(rig.backup(), VersionError);
      assert.deepEqual(await rig.keys(), ONLY_HEAD);
    }, { major: cluster.major - 1 });
  });

  await t.step("a store that fails ends pg_dump and says so itself", async () => {
    await using rig = new LogicalRig(cluster);
    breakStore(rig);
    await assert.rejects(rig.backup({ databases: ["app"] }), (error) => {
      assert.ok(error instanceof StorageError);
      assert.match(error.message, /the store is full/);
      return true;
    });
    assert.deepEqual(await rig.keys(), ONLY_HEAD);
  });

  await t.step("a store that fails does not leave pg_dump running", async () => {
    const fifo = `${cluster.folder}/pid`;
    await new Deno.Command("mkfifo", { args: [fifo] }).output();
    const pg_dump = `echo $$ > '${fifo}'; cat '${good}'; exec sleep 600`;
    await withFake(cluster, { pg_dump }, async (rig) => {
      let pid = 0;
      const put = rig.store.put.bind(rig.store);
      rig.store.put = async (key, body, options) => {
        if (!key.includes(".dump")) return await put(key, body, options);
        pid = Number(await Deno.readTextFile(fifo));
        throw new StorageError("the store is full");
      };
      await assert.rejects(rig.backup({ databases: ["app"] }), /the store is full/);
      assert.throws(() => kill(pid, 0), { code: "ESRCH" });
    });
  });

  await t.step("an interrupted backup ends pg_dump and leaves nothing", async () => {
    const controller = new AbortController();
    const reason = new Error("interrupted");
    let seen = 0;
    const advance = (bytes: number) => {
      seen += bytes;
      if (seen > size / 2) controller.abort(reason);
    };
    const progress = { ...silentProgress, advance };
    await using rig = new LogicalRig(cluster, { progress });
    const backup = rig.backup({ databases: ["app"], signal: controller.signal });
    await assert.rejects(backup, (error) => error === reason);
    assert.deepEqual(await rig.keys(), ONLY_HEAD);
  });

  await t.step("a role without rights is told which one it needs", async () => {
    await cluster.query(
      "CREATE ROLE weak LOGIN; GRANT EXECUTE ON FUNCTION pg_control_system TO weak",
    );
    const connection = cluster.connection({ user: "weak" });
    const notes: string[] = [];
    const progress = { ...silentProgress, note: (text: string) => void notes.push(text) };
    await using rig = new LogicalRig(cluster, { connection, progress });
    await assert.rejects(rig.backup({ databases: ["app"] }), (error) => {
      assert.ok(error instanceof PostgresError);
      assert.match(error.message, /permission denied for table/);
      assert.match(error.hint!, /pg_read_all_data/);
      return true;
    });
    assert.match(notes.join(), /without their passwords/);
    await cluster.query("GRANT pg_read_all_data TO weak");
    const backup = await rig.backup({ databases: ["app"] });
    assert.equal(backup.objects.length, 2);
    await cluster.query("ALTER TABLE other ENABLE ROW LEVEL SECURITY", { database: "app" });
    await assert.rejects(rig.backup({ databases: ["app"] }), (error) => {
      assert.ok(error instanceof PostgresError);
      assert.match(error.hint!, /BYPASSRLS/);
      return true;
    });
    await cluster.query("ALTER TABLE other DISABLE ROW LEVEL SECURITY", { database: "app" });
  });

  await using rig = new LogicalRig(cluster);
  const backup = await rig.backup();
  const dump = backup.objects.find(({ database }) => database === "app")!;
  const folder = rig.parts.repository.folder(backup);
  const stored = await new Response(await rig.store.get(folder + dump.key)).bytes();
  const put = async (bytes: Bytes) => {
    await rig.store.delete([folder + dump.key]);
    await rig.store.put(folder + dump.key, bytes);
  };

  await t.step("a damaged object restores into nothing, and its name is said", async () => {
    const flipped = stored.slice();
    flipped[flipped.length >> 1]! ^= 1;
    const globals = await new Response(await rig.store.get(`${folder}globals.sql.zst`)).bytes();
    const cuts = [stored.slice(0, -1), stored.slice(0, stored.length >> 1)];
    const damages = [flipped, ...cuts, globals];
    for (const damaged of damages) {
      await put(damaged);
      await using target = await startCluster();
      const destination = `${target.folder}/out`;
      const options = [{ destination }, { into: target.connection(), jobs: 2 }];
      for (const option of options) {
        await assert.rejects(rig.restore(backup, { ...option, databases: ["app"] }), (error) => {
          assert.ok(error instanceof IntegrityError, String(error));
          assert.match(error.message, /app\.dump\.zst/);
          return true;
        });
      }
      await assert.rejects(Deno.stat(destination), Deno.errors.NotFound);
      const databases = await target.query("SELECT FROM pg_database WHERE datname = 'app'");
      assert.equal(databases.length, 0);
    }
    await rig.store.delete([folder + dump.key]);
    const missing = rig.restore(backup, { destination: `${cluster.folder}/out` });
    await assert.rejects(missing, /app\.dump\.zst is missing/);
    await put(stored);
  });

  await t.step("the dump of another database is refused", async () => {
    const other = `${cluster.folder}/other.dump`;
    await cluster.run("pg_dump", ["-Fc", "--compress=0", "-f", other, "postgres"]);
    const forged = await forge(rig, backup, dump.key, await Deno.readFile(other));
    await using target = await startCluster();
    for (const jobs of [1, 2]) {
      const into = { into: target.connection(), databases: ["app"], jobs };
      await assert.rejects(rig.restore(forged, into), /a dump of database "postgres"/);
    }
    await put(stored);
  });

  await t.step("commands of psql in the globals are not run", async () => {
    const proof = `${cluster.folder}/proof`;
    const sql =
      `CREATE ROLE made;\n\\! touch ${proof}\nSELECT 1 \\! touch ${proof}\nCREATE ROLE later;\n`;
    const forged = await forge(rig, backup, "globals.sql.zst", new TextEncoder().encode(sql));
    await using target = await startCluster();
    await rig.restore(forged, { into: target.connection(), databases: ["app"] }).catch(() => {});
    await assert.rejects(Deno.stat(proof), Deno.errors.NotFound);
    const roles = await target.query("SELECT FROM pg_roles WHERE rolname = 'made'");
    assert.equal(roles.length, 1);
  });
});

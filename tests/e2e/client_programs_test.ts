/** PostgreSQL's own programs, run against real servers. */
import assert from "node:assert/strict";
import { PostgresError } from "../../src/domain/errors.ts";
import { LocalPrograms } from "../../src/postgres/client_programs.ts";
import { clusterMajors, startCluster } from "../support/postgres_cluster.ts";

/** A folder for password files, and the names of those that are there. */
async function passwordFolder() {
  const temporary = await Deno.makeTempDir({ prefix: "backupctl-passwords-" });
  return {
    temporary,
    names: () => [...Deno.readDirSync(temporary)].map(({ name }) => name),
    [Symbol.asyncDispose]: () => Deno.remove(temporary, { recursive: true }),
  };
}

for (const { major, binDir } of clusterMajors()) {
  Deno.test(`LocalPrograms dumps and restores with the programs of ${major}`, async () => {
    await using cluster = await startCluster({ binDir, auth: "scram-sha-256" });
    await cluster.query(
      "create table t as select i, md5(i::text) from generate_series(1, 50000) i",
    );
    await cluster.query("create database copy");
    const programs = new LocalPrograms({ bin: binDir, env: Deno.env.toObject() });
    const dump = programs.run(await programs.find("pg_dump", major), ["-Fc", "-Z0"], {
      connection: cluster.connection(),
    });
    const restore = programs.run(await programs.find("pg_restore", major), ["-d", "copy"], {
      connection: cluster.connection({ database: "copy" }),
      stdin: "piped",
    });
    const [, dumped] = await Promise.all([dump.stdout.pipeTo(restore.stdin), dump.finished()]);
    await restore.stdout.cancel();
    await restore.finished();
    assert.equal(dumped.stderr, "");
    const [row] = await cluster.query("select count(*)::int as n from t", { database: "copy" });
    assert.equal(row?.n, 50000);
  });
}

Deno.test("LocalPrograms shows the password to nobody, and leaves none behind", async () => {
  await using cluster = await startCluster({ auth: "scram-sha-256" });
  const password = cluster.password!;
  const env = { ...Deno.env.toObject(), PGPASSWORD: "given", PGSERVICE: "x", SECRET: "canary" };
  await using folder = await passwordFolder();
  const { temporary } = folder;
  Deno.env.set("BACKUPCTL_TEST_CANARY", "inherited");
  const programs = new LocalPrograms({ bin: cluster.binDir, env, temporary });
  const psql = programs.run(await programs.find("psql", 13), ["-XAtq", "-f", "-"], {
    connection: cluster.connection(),
    stdin: "piped",
  });
  Deno.env.delete("BACKUPCTL_TEST_CANARY");
  const [file, ...others] = folder.names();
  assert.deepEqual(others, []);
  const mode = (await Deno.stat(`${temporary}/${file}`)).mode!;
  assert.equal(mode & 0o777, 0o600);
  const writer = psql.stdin.getWriter();
  await writer.write(new TextEncoder().encode("\\! tr '\\0' ' ' < /proc/$PPID/cmdline\n\\! env\n"));
  await writer.write(new TextEncoder().encode("select 'in'\n;"));
  await writer.close();
  const output = await new Response(psql.stdout).text();
  await psql.finished();
  assert.match(output, /psql --no-password -XAtq/);
  assert.match(output, /PGPASSFILE=/);
  assert.match(output, /^in$/m);
  for (const secret of [password, "given", "inherited", "canary", "PGSERVICE"]) {
    assert.ok(!output.includes(secret), secret);
  }
  assert.deepEqual(folder.names(), []);
});

Deno.test("LocalPrograms reports what a program said when it failed, and tidies up", async () => {
  await using cluster = await startCluster({ auth: "scram-sha-256" });
  await using folder = await passwordFolder();
  const { temporary } = folder;
  const programs = new LocalPrograms({ bin: cluster.binDir, env: {}, temporary });
  const connection = cluster.connection({ password: "wrong" });
  const dump = programs.run(await programs.find("pg_dump", 13), [], { connection });
  await dump.stdout.cancel();
  await assert.rejects(dump.finished(), (error) => {
    assert.ok(error instanceof PostgresError);
    assert.match(error.message, /pg_dump ended with status 1: .*authentication failed/);
    return true;
  });
  assert.deepEqual(folder.names(), []);
});

Deno.test("LocalPrograms ends a program by its signal, and tidies up", async () => {
  await using cluster = await startCluster({ auth: "scram-sha-256" });
  await using folder = await passwordFolder();
  const { temporary } = folder;
  const programs = new LocalPrograms({ bin: cluster.binDir, env: {}, temporary });
  const controller = new AbortController();
  const args = ["-XAtq", "-c", "select 'begun'", "-c", "select pg_sleep(600)"];
  const psql = programs.run(await programs.find("psql", 13), args, {
    connection: cluster.connection(),
    signal: controller.signal,
  });
  const reader = psql.stdout.getReader();
  assert.equal(new TextDecoder().decode((await reader.read()).value), "begun\n");
  controller.abort(new Error("enough"));
  await assert.rejects(psql.finished(), /^Error: enough$/);
  await reader.cancel();
  assert.deepEqual(folder.names(), []);
});

Deno.test("LocalPrograms dumps over TLS with the same trust as SQL", async () => {
  await using cluster = await startCluster({ tls: true, auth: "scram-sha-256" });
  const programs = new LocalPrograms({ bin: cluster.binDir, env: {} });
  const psql = await programs.find("psql", 13);
  const run = async (sslrootcert: string) => {
    const connection = cluster.connection({ sslmode: "verify-full", sslrootcert });
    const query = "select ssl from pg_stat_ssl where pid = pg_backend_pid()";
    const program = programs.run(psql, ["-XAtc", query], { connection });
    const text = await new Response(program.stdout).text();
    await program.finished();
    return text;
  };
  assert.equal(await run(cluster.certificates!.ca), "t\n");
  await assert.rejects(run(cluster.certificates!.otherCa), /certificate verify failed/);
});

/** Backups of single databases beside those of all of them, from the server to the removal. */
import assert from "node:assert/strict";
import { type Cluster, startCluster } from "../support/postgres_cluster.ts";
import { runCli } from "../support/run_cli.ts";

type Environment = Readonly<Record<string, string>>;

async function document(line: string, env: Environment) {
  const result = await runCli([...line.split(" "), "--output", "json"], { env });
  assert.equal(result.status, 0, `${line}: ${result.stderr}${result.stdout}`);
  return JSON.parse(result.stdout);
}

async function shops(): Promise<Cluster> {
  const cluster = await startCluster();
  for (const name of ["shop", "crm"]) await cluster.query(`create database ${name}`);
  return cluster;
}

/** One of all, two of one, one of another, in this order. */
async function takeFour(env: Environment): Promise<readonly string[]> {
  const ids: string[] = [];
  for (const choice of ["", " --database shop", " --database shop", " --database crm"]) {
    ids.push((await document(`backup full --method logical${choice}`, env)).backup.id);
  }
  return ids;
}

async function keptOf(line: string, env: Environment): Promise<readonly string[]> {
  const { keep } = await document(`prune --dry-run --policy ${line}`, env);
  return keep.map(({ id }: { id: string }) => id);
}

Deno.test("prune keeps the backup of all databases beside later ones of single ones", async (t) => {
  await using cluster = await shops();
  const folder = await Deno.makeTempDir({ prefix: "backupctl-chosen-" });
  const place = async (name: string): Promise<Environment> => {
    await Deno.mkdir(`${folder}/${name}`);
    return {
      PG_HOST: "127.0.0.1",
      PG_PORT: String(cluster.port),
      PG_USER: cluster.user,
      PGSSLMODE: "disable",
      BACKUPCTL_REPOSITORY_PATH: `${folder}/${name}`,
      BACKUPCTL_METADATA_URL: "off",
      HOME: folder,
    };
  };

  await t.step("in the clear", async () => {
    const env = await place("clear");
    const [whole, , shop, crm] = await takeFour(env);
    for (const policy of ["daily-retain=30", "last-retain=1"]) {
      assert.deepEqual(await keptOf(policy, env), [whole, shop, crm], policy);
    }
    const plan = ["restore", "--destination", `${folder}/out`, "--plan"];
    const { stdout, stderr } = await runCli(plan, { env });
    assert.match(stdout, /^ +databases +crm \(chosen with --database\)$/m);
    assert.match(stderr, new RegExp(`the newest backup, ${crm}, holds only 1 database`));
    const named = await runCli([...plan, "--backup-id", whole!], { env });
    assert.ok(!named.stderr.includes("holds only"), named.stderr);
    const status = await runCli(["status"], { env: { ...env, COLUMNS: "200" } });
    assert.match(status.stdout, new RegExp(`^${whole} +logical +full  `, "m"));
    assert.match(status.stdout, new RegExp(`^${crm} +logical +full, 1 database  `, "m"));
    const { backups } = await document("status", env);
    assert.deepEqual(
      backups.map((backup: { all_databases: boolean }) => backup.all_databases),
      [true, false, false, false],
    );
    const again = (await document("backup full --method logical", env)).backup.id;
    assert.deepEqual(await keptOf("last-retain=1", env), [again], "it holds all that they hold");
  });

  await t.step("encrypted, with an identity and without one", async () => {
    const identity = `${folder}/identity.txt`;
    const { recipient } = await document(`key generate ${identity}`, { HOME: folder });
    const env = { ...await place("sealed"), BACKUPCTL_ENCRYPTION_RECIPIENTS: recipient };
    const ids = await takeFour(env);
    const [whole, , shop, crm] = ids;
    assert.deepEqual(await keptOf("daily-retain=30", env), ids);
    const told = /3 logical backups of chosen databases stay only because/;
    const { stdout, stderr, status } = await runCli(
      ["prune", "--policy", "daily-retain=30", "--output", "text"],
      { env },
    );
    assert.equal(status, 0, stderr);
    assert.match(stdout.replaceAll(/\s+/g, " "), told);
    assert.match(stderr, /"message":"3 logical backups of chosen.*"event":"prune\.note"/);
    const opened = await keptOf(`daily-retain=30 --identity ${identity}`, env);
    assert.deepEqual(opened, [whole, shop, crm]);
  });

  await Deno.remove(folder, { recursive: true });
});

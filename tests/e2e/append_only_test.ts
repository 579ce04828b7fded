/**
 * Credentials that can only add: everything but removing works with the policies of config/iam, and
 * what cannot be cleaned up is said once.
 */
import assert from "node:assert/strict";
import { PROJECT_ROOT } from "../support/paths.ts";
import { startCluster } from "../support/postgres_cluster.ts";
import { type CliResult, runCli } from "../support/run_cli.ts";
import { actionOf, IamPolicy } from "../support/s3_server/iam_policy.ts";
import { S3Server } from "../support/s3_server/s3_server.ts";
import { makeSegment } from "../support/wal_segments.ts";
import { WalRig } from "../support/wal_rig.ts";

type Role = "database-host" | "prune-host" | "restore";

/** What an operator may want to do by hand, although backupctl never does. */
const BY_HAND: readonly string[] = ["s3:ListMultipartUploadParts"];

async function policyOf(role: Role): Promise<IamPolicy> {
  return new IamPolicy(await Deno.readTextFile(`${PROJECT_ROOT}config/iam/${role}.json`));
}

Deno.test("with the policies of config/iam everything but removing works", async (t) => {
  await using server = S3Server.start({ buckets: ["my-bucket"] });
  await using cluster = await startCluster({ settings: { wal_level: "replica" } });
  await using wal = await WalRig.make();
  // More than one part of an upload, however it is compressed.
  await cluster.query(
    "create table big as select md5(random()::text) || md5(random()::text) as t from generate_series(1, 700000)",
  );
  const home = await Deno.makeTempDir({ prefix: "backupctl-append-only-" });
  const used = new Map<Role, Set<string>>();
  const env = {
    ...{ HOME: home, S3_BUCKET: "my-bucket", AWS_REGION: "us-east-1" },
    ...{ AWS_ENDPOINT_URL_S3: server.endpoint, BACKUPCTL_REPOSITORY_PREFIX: "backupctl" },
    ...{ AWS_ACCESS_KEY_ID: "testkey", AWS_SECRET_ACCESS_KEY: "testsecretkey123" },
    ...{ PG_HOST: "127.0.0.1", PG_PORT: String(cluster.port), PG_USER: cluster.user },
    ...{ PGSSLMODE: "disable", BACKUPCTL_WAL_LOOK_AHEAD: "0" },
  };
  const run = async (
    role: Role,
    line: string,
    { status = 0, cwd = "/" }: { readonly status?: number; readonly cwd?: string } = {},
  ): Promise<CliResult> => {
    server.options = { ...server.options, policy: await policyOf(role) };
    const before = server.requests.length;
    const result = await runCli(line.split(" "), { env, cwd });
    assert.equal(result.status, status, `${role}: ${line}: ${result.stderr}${result.stdout}`);
    const actions = used.get(role) ?? new Set();
    used.set(role, actions);
    for (const request of server.requests.slice(before)) actions.add(actionOf(request));
    return result;
  };
  const refusals = ({ stderr }: CliResult) =>
    stderr.split("\n").filter((line) => line.includes('"storage.delete_refused"')).length;

  try {
    await t.step(
      "test says that nothing can be removed, and leaves one object for ever",
      async () => {
        for (let times = 0; times < 2; times++) {
          const { stdout } = await run("database-host", "test");
          assert.match(stdout, /^ok +repository .*append-only/m);
          const { objects } = server.bucket("my-bucket");
          const modified = new Date(Date.now() - 7_200_000);
          for (const [key, object] of objects) objects.set(key, { ...object, modified });
        }
        const keys = [...server.bucket("my-bucket").objects.keys()];
        assert.deepEqual(keys.map((key) => key.replace(/probe-.*/, "probe")), [
          "backupctl/conditional-put-probe",
        ]);
      },
    );

    await t.step("backup full works, and says once what stays", async () => {
      for (const method of ["logical", "physical"]) {
        const result = await run(
          "database-host",
          `backup full --method ${method}${method === "physical" ? " --fast-checkpoint" : ""}`,
        );
        assert.match(result.stdout, /is complete/);
        assert.equal(refusals(result), 1, result.stderr);
      }
    });

    await t.step("a backup that fails gives its uploads up", async () => {
      server.fail({ method: "PUT", query: "partNumber", first: 1 }, {
        ...{ kind: "error", status: 403, code: "AccessDenied" },
      });
      const failed = await run("database-host", "backup full --method physical --fast-checkpoint", {
        status: 6,
      });
      server.heal();
      assert.equal(refusals(failed), 1, failed.stderr);
      assert.equal(server.bucket("my-bucket").uploads.size, 0);
    });

    await t.step("wal-push works, and says nothing", async () => {
      const { name, bytes } = makeSegment({ number: 1, seed: 1, filled: 0.1 });
      await wal.write(name, bytes);
      for (let times = 0; times < 2; times++) {
        const line = `wal-push pg_wal/${name} --cluster walonly`;
        const pushed = await run("database-host", line, { cwd: wal.folder });
        assert.doesNotMatch(pushed.stderr, /"level":"(?:WARNING|ERROR)"/);
      }
      const fetch = `wal-fetch ${name} ${home}/fetched --cluster walonly`;
      await run("restore", fetch, { cwd: wal.folder });
      assert.deepEqual(await Deno.readFile(`${home}/fetched`), bytes);
    });

    await t.step("status and verify work", async () => {
      for (const role of ["database-host", "restore"] as const) {
        const { stdout } = await run(role, "status");
        assert.match(stdout, /2 backups/);
        assert.match(stdout, /^unfinished: /m);
      }
      await run("database-host", "verify");
    });

    await t.step("restore works where nothing can be written", async () => {
      for (const role of ["database-host", "restore"] as const) {
        await run(role, `restore --destination ${home}/${role}`);
        await Deno.stat(`${home}/${role}`);
      }
    });

    await t.step("prune is refused there, and works with its own credentials", async () => {
      await run("database-host", "backup full --method logical");
      const policy = "prune --policy last-retain=1 --yes";
      const refused = await run("database-host", policy, { status: 6 });
      assert.match(refused.stderr, /AccessDenied/);
      const initiated = new Date(Date.now() - 30 * 86_400_000);
      const upload = { id: "1", key: "backupctl/main/x", parts: new Map(), headers: {}, initiated };
      server.bucket("my-bucket").uploads.set("1", { ...upload, algorithm: undefined });
      await run("prune-host", `${policy} --force --orphans --multiparts`);
      assert.equal(server.bucket("my-bucket").uploads.size, 0);
      const { stdout } = await run("restore", "status --output json");
      const { backups } = JSON.parse(stdout);
      assert.ok(backups.length >= 1 && backups.length <= 2, stdout);
    });

    await t.step("the policies allow what was asked for, and nothing beyond", async () => {
      for (const [role, actions] of used) {
        const { actions: allowed } = await policyOf(role);
        const needed = [...allowed].filter((action) => !BY_HAND.includes(action));
        const asked = [...actions].filter((action) =>
          action !== "s3:DeleteObject" || role === "prune-host"
        ).filter((action) => action !== "s3:PutObject" || role !== "restore");
        assert.deepEqual(asked.sort(), needed.sort(), role);
      }
    });
  } finally {
    await Deno.remove(home, { recursive: true });
  }
});

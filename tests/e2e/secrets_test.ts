/**
 * Twelve secrets in every place that takes one, and a search for them in everything that the
 * program writes or shows, whatever goes wrong. Files are private under the laxest umask.
 */
import assert from "node:assert/strict";
import { generateIdentity } from "../../src/crypto/crypto.ts";
import { startCluster } from "../support/postgres_cluster.ts";
import { cleanEnvironment, type CliResult, programWords } from "../support/run_cli.ts";
import { S3Server } from "../support/s3_server/s3_server.ts";

/** A made-up secret of a kind; no other text of the program holds it. */
const canary = (kind: string) => `canary-${kind}-5d1f0c`;
const SECRET_KEY = canary("bucket");

/** Everything that a run printed, with what stood in the arguments of all processes meanwhile. */
interface Watched extends CliResult {
  readonly processes: string;
}

/** Arguments of every process of this machine that may be seen. */
async function commandLines(): Promise<string> {
  const found: string[] = [];
  for await (const { name } of Deno.readDir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    found.push(await Deno.readTextFile(`/proc/${name}/cmdline`).catch(() => ""));
  }
  return found.join("\n");
}

/** Runs it under umask 000, and looks at the processes as often as it can. */
async function watched(
  args: readonly string[],
  { env, cwd }: { readonly env: Readonly<Record<string, string>>; readonly cwd: string },
): Promise<Watched> {
  const child = new Deno.Command("sh", {
    args: ["-c", 'umask 000; exec "$@"', "sh", ...programWords(), ...args],
    cwd,
    clearEnv: true,
    env: { ...cleanEnvironment(), HOME: cwd, ...env },
    ...{ stdin: "null", stdout: "piped", stderr: "piped" },
  }).spawn();
  let processes = "";
  let running = true;
  const watch = (async () => {
    while (running) {
      processes += await commandLines();
      await new Promise((next) => setTimeout(next, 15));
    }
  })();
  const { code, stdout, stderr } = await child.output();
  running = false;
  await watch;
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { status: code, stdout: text(stdout), stderr: text(stderr), processes };
}

/** Files below a folder, with their modes. */
async function filesBelow(
  folder: string,
): Promise<readonly { readonly path: string; readonly mode: number; readonly isFile: boolean }[]> {
  const found = [];
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    const path = `${folder}/${name}`;
    const { mode, isFile } = await Deno.lstat(path);
    found.push({ path, mode: mode! & 0o777, isFile });
    if (isDirectory) found.push(...await filesBelow(path));
  }
  return found;
}

Deno.test("no secret is ever shown or written down, and no file is anybody else's", async (t) => {
  await using cluster = await startCluster({ auth: "scram-sha-256" });
  await using s3 = S3Server.start({
    credentials: { accessKeyId: "AKIACANARY", secretAccessKey: SECRET_KEY },
  });
  const cwd = await Deno.makeTempDir({ prefix: "backupctl-secrets-" });
  const { identity, recipient } = await generateIdentity();
  const identityFile = `${cwd}/identity.txt`;
  await Deno.writeTextFile(identityFile, `${identity}\n`, { mode: 0o600 });
  const secrets = [
    ...[cluster.password!, SECRET_KEY, identity, identity.slice(16)],
    ...["token", "webhook", "smtp", "metadata", "wrong", "user"].map(canary),
    ...["file", "hook-path"].map(canary),
  ];
  const good: Record<string, string> = {
    ...{ PG_HOST: "127.0.0.1", PG_PORT: `${cluster.port}`, PG_USER: "postgres" },
    PG_PASSWORD: cluster.password!,
    ...{ S3_BUCKET: "bucket", AWS_REGION: "us-east-1", AWS_ENDPOINT_URL_S3: s3.endpoint },
    ...{ AWS_ACCESS_KEY_ID: "AKIACANARY", AWS_SECRET_ACCESS_KEY: SECRET_KEY },
    ...{ BACKUPCTL_ENCRYPTION_RECIPIENTS: recipient, BACKUPCTL_LOG_FILE: `${cwd}/log/run.log` },
    BACKUPCTL_ENCRYPTION_IDENTITY_FILE: identityFile,
    TMPDIR: `${cwd}/tmp`,
  };
  await Deno.mkdir(`${cwd}/tmp`, { mode: 0o700 });
  await Deno.mkdir(`${cwd}/log`, { mode: 0o700 });
  const seen: string[] = [];
  const run = async (args: readonly string[], changes: Record<string, string> = {}) => {
    const result = await watched([...args, "--verbose"], { env: { ...good, ...changes }, cwd });
    const all = result.stdout + result.stderr + result.processes;
    for (const secret of secrets) {
      assert.ok(!all.includes(secret), `${args.join(" ")} shows ${secret}\n${result.stderr}`);
      assert.ok(!all.includes(JSON.stringify(secret).slice(1, -1)), `${args.join(" ")}`);
    }
    seen.push(args.join(" "));
    return result;
  };
  try {
    await t.step("while everything works", async () => {
      for (
        const args of [
          ["backup", "full", "--method", "logical", "--label", "one"],
          ["backup", "full", "--method", "physical", "--fast-checkpoint", "--wait-wal", "1s"],
          ["status", "--output", "json"],
          ["status"],
          ["test"],
          ["config", "show"],
          ["config", "show", "--output", "json"],
          ["config", "check"],
          ["key", "check"],
          ["catalog", "export"],
          ["repo", "ls"],
          ["verify"],
          ["restore", "--destination", `${cwd}/restored`],
        ]
      ) {
        const { status, stderr } = await run(args);
        assert.ok([0, 14].includes(status), `${args.join(" ")} ended with ${status}\n${stderr}`);
      }
    });

    await t.step("while it does not", async () => {
      const yaml = `${cwd}/c.yaml`;
      await Deno.writeTextFile(
        yaml,
        [
          `postgres: { password: ${canary("file")}, prot: 1 }`,
          `alerts: { email: { host: x, from: a@b.c, to: [a@b.c], password: ${canary("smtp")} },`,
          `  webhooks: [{ url: "https://h/${canary("hook-path")}", secret: ${
            canary("webhook")
          }, kind: 1 }] }`,
          `metadata: { url: "postgres://u:${canary("metadata")}@h/x", schema: "1" }`,
        ].join("\n"),
        { mode: 0o600 },
      );
      const faults: readonly (readonly [args: readonly string[], env: Record<string, string>])[] = [
        [["backup", "full"], { PG_PASSWORD: canary("wrong") }],
        [["backup", "full"], { AWS_SECRET_ACCESS_KEY: canary("wrong") }],
        [["backup", "full"], { AWS_SESSION_TOKEN: canary("token"), S3_BUCKET: "absent" }],
        [["backup", "full"], { PG_PORT: "1" }],
        [["backup", "full"], { AWS_ENDPOINT_URL_S3: "http://127.0.0.1:1" }],
        [["test"], { PG_PASSWORD: canary("wrong"), AWS_SECRET_ACCESS_KEY: canary("wrong") }],
        [["status"], {
          BACKUPCTL_METADATA_URL: `postgres://u:${canary("metadata")}@127.0.0.1:1/x`,
        }],
        [["config", "check", "--config", yaml], {}],
        [["config", "show", "--config", yaml], {}],
        [["restore", "--into", "postgres://u@127.0.0.1:1/"], { PGPASSWORD: canary("wrong") }],
        [["key", "check", "--identity", yaml], {}],
        [["wal-push", "pg_wal/000000010000000000000001"], {}],
        [["wal-fetch", "000000010000000000000001", "x"], {}],
      ];
      for (const [args, env] of faults) {
        const { status } = await run(args, env);
        assert.notEqual(status, 70, args.join(" "));
      }
      await Deno.remove(yaml);
    });

    await t.step("in nothing that was written", async () => {
      await Deno.remove(identityFile);
      const files = (await filesBelow(cwd)).filter(({ path, isFile }) =>
        isFile && !path.startsWith(`${cwd}/restored/`)
      );
      assert.ok(files.some(({ path }) => path.endsWith("run.log")), "there is a log");
      for (const { path } of files) {
        const text = new TextDecoder("latin1").decode(await Deno.readFile(path));
        for (const secret of secrets) assert.ok(!text.includes(secret), `${path} has ${secret}`);
      }
      const objects = [...s3.bucket().objects.entries()];
      assert.ok(objects.length > 5);
      const shown = objects.map(([key, object]) => key + JSON.stringify(object)).join("\n");
      for (const secret of secrets) assert.ok(!shown.includes(secret), `an object has ${secret}`);
    });

    await t.step("files are 0600 and folders 0700, whatever the umask", async () => {
      const lax = (await filesBelow(cwd)).filter(({ mode }) => (mode & 0o077) !== 0);
      assert.deepEqual(lax, []);
      assert.ok(seen.length > 20);
    });
  } finally {
    await Deno.remove(cwd, { recursive: true });
  }
});

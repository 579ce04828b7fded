/** wal-push and wal-fetch as PostgreSQL calls them: exit statuses, and what they leave behind. */
import assert from "node:assert/strict";
import type { Bytes } from "../../src/domain/bytes.ts";
import { fetchCommand } from "../../src/engine/recovery/recovery_settings.ts";
import { AHEAD_LINK } from "../../src/engine/wal/ahead_link.ts";
import { DirectoryStore } from "../../src/storage/directory.ts";
import { text } from "../support/bodies.ts";
import { type CliResult, runCli } from "../support/run_cli.ts";
import { storeOn } from "../support/light_stores.ts";
import { S3Server } from "../support/s3_server/s3_server.ts";
import { WalRig } from "../support/wal_rig.ts";
import { makeSegment, TEST_SYSTEM } from "../support/wal_segments.ts";

/** The compiled executable may start itself only where it is installed: found by its name. */
const EXECUTABLE = Deno.env.get("BACKUPCTL_TEST_EXECUTABLE");
const PATH = EXECUTABLE
  ? { PATH: `${EXECUTABLE.replace(/\/[^/]*$/, "")}:${Deno.env.get("PATH")}` }
  : {};

/** A data directory, a repository in a folder, and the environment for both. */
class Rig implements AsyncDisposable {
  readonly wal: WalRig;
  env: Record<string, string>;

  private constructor(wal: WalRig) {
    this.wal = wal;
    this.env = {
      HOME: `${wal.folder}/home`,
      BACKUPCTL_REPOSITORY_PATH: this.repository,
    };
  }

  static async make(systemIdentifier?: string): Promise<Rig> {
    const rig = new Rig(await WalRig.make(systemIdentifier));
    await Deno.mkdir(rig.repository);
    await Deno.mkdir(rig.env["HOME"]!);
    return rig;
  }

  get repository(): string {
    return `${this.wal.folder}/repository`;
  }

  async run(line: string, env: Record<string, string> = {}): Promise<CliResult> {
    const args = line.split(" ");
    return await runCli(args, { cwd: this.wal.folder, env: { ...PATH, ...this.env, ...env } });
  }

  async push(name: string, bytes: Bytes, flags = ""): Promise<CliResult> {
    await this.wal.write(name, bytes);
    return await this.run(`wal-push pg_wal/${name}${flags}`);
  }

  /** A server has been started in the data directory. */
  async started(at: number): Promise<void> {
    const { folder } = this.wal;
    const lines = [4711, folder, at, 5432, "/tmp", "localhost", "1234 5", "ready   "];
    await Deno.writeTextFile(`${folder}/postmaster.pid`, lines.join("\n"));
  }

  async signal(name: "recovery" | "standby"): Promise<void> {
    await Deno.writeTextFile(`${this.wal.folder}/${name}.signal`, "");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.wal[Symbol.asyncDispose]();
  }
}

Deno.test("wal-push stores, confirms and refuses; wal-fetch brings back", async () => {
  await using rig = await Rig.make();
  const { name, bytes } = makeSegment();
  const pushed = await rig.push(name, bytes);
  assert.equal(pushed.status, 0, pushed.stderr);
  assert.equal(JSON.parse(pushed.stderr).event, "wal.pushed");
  const again = await rig.run(`archive-push pg_wal/${name}`);
  assert.equal(JSON.parse(again.stderr).event, "wal.already_archived");
  const different = await rig.push(name, makeSegment({ seed: 2 }).bytes);
  assert.equal(different.status, 15);
  assert.equal(JSON.parse(different.stderr).level, "ERROR");
  assert.equal(JSON.parse(different.stderr).error.code, "ARCHIVE_CONFLICT");
  const fetched = await rig.run(`wal-fetch ${name} pg_wal/RECOVERYXLOG`);
  assert.equal(fetched.status, 0, fetched.stderr);
  assert.deepEqual(await Deno.readFile(`${rig.wal.folder}/pg_wal/RECOVERYXLOG`), bytes);
});

Deno.test("wal-push keeps a cluster's name for one system until it is told otherwise", async () => {
  await using first = await Rig.make();
  await using second = await Rig.make("42");
  second.env["BACKUPCTL_REPOSITORY_PATH"] = first.repository;
  const own = makeSegment();
  const other = makeSegment({ systemIdentifier: "42" });
  assert.equal((await first.push(own.name, own.bytes)).status, 0);
  const refused = await second.push(other.name, other.bytes);
  assert.equal(refused.status, 10, refused.stderr);
  assert.match(refused.stderr, new RegExp(TEST_SYSTEM));
  assert.equal((await second.push(other.name, other.bytes, " --new-system")).status, 0);
  const mixed = await second.push(own.name, own.bytes);
  assert.equal(mixed.status, 8, "a segment of another system than the data directory's");
});

Deno.test("wal-push does not take a history file for done when nothing can be stored", async () => {
  await using rig = await Rig.make();
  await Deno.remove(rig.repository);
  const pushed = await rig.push("00000002.history", text("1\t0/500000\tx\n"));
  assert.equal(pushed.status, 6, pushed.stderr);
});

Deno.test("wal-push begins no repository in the folder where another one was mounted", async () => {
  await using rig = await Rig.make();
  const [one, two] = [makeSegment({ number: 1 }), makeSegment({ number: 2 })];
  assert.equal((await rig.push(one.name, one.bytes)).status, 0);
  await Deno.rename(rig.repository, `${rig.repository}.elsewhere`);
  await Deno.mkdir(rig.repository);
  const refused = await rig.push(two.name, two.bytes);
  assert.equal(refused.status, 10, refused.stderr);
  assert.match(refused.stderr, /there is no repository at .* any more/);
  assert.deepEqual([...Deno.readDirSync(rig.repository)], []);
  await Deno.remove(rig.repository);
  await Deno.rename(`${rig.repository}.elsewhere`, rig.repository);
  assert.equal((await rig.push(two.name, two.bytes)).status, 0);
  await Deno.remove(rig.repository, { recursive: true });
  await Deno.mkdir(rig.repository);
  assert.equal((await rig.push(two.name, two.bytes, " --new-system")).status, 0);
});

Deno.test("what wal-push knows of a repository, backups know, and it outlives the spool", async () => {
  await using rig = await Rig.make();
  const [one, two] = [makeSegment({ number: 1 }), makeSegment({ number: 2 })];
  assert.equal((await rig.push(one.name, one.bytes)).status, 0);
  await Deno.remove(`${rig.env["HOME"]}/.local/state/backupctl/wal`, { recursive: true });
  await Deno.rename(rig.repository, `${rig.repository}.elsewhere`);
  await Deno.mkdir(rig.repository);
  for (const refused of [await rig.push(two.name, two.bytes), await rig.run("status")]) {
    assert.equal(refused.status, 10, refused.stderr);
    assert.match(refused.stderr, /there is no repository at .* any more/);
  }
  assert.deepEqual([...Deno.readDirSync(rig.repository)], []);
  assert.equal((await rig.push(two.name, two.bytes, " --new-system")).status, 0);
});

Deno.test("wal-push is refused when a configuration appears that cannot be read", async () => {
  await using rig = await Rig.make();
  const { name, bytes } = makeSegment();
  assert.equal((await rig.push(name, bytes)).status, 0);
  await Deno.mkdir(`${rig.wal.folder}/config/config.yaml`, { recursive: true });
  const pushed = await rig.push(name, bytes);
  assert.equal(pushed.status, 4, pushed.stderr);
  assert.match(pushed.stderr, /cannot be read/);
});

Deno.test("whoever pushes ahead ends when the spool changes together with other settings", async () => {
  await using rig = await Rig.make();
  const [asked, first, second] = [1, 2, 3].map((number) => makeSegment({ number, filled: 0.05 }));
  const file = `${rig.wal.folder}/config.yaml`;
  await Deno.writeTextFile(file, "");
  const pushed = await rig.push(asked!.name, asked!.bytes, ` --config ${file}`);
  assert.equal(pushed.status, 0, pushed.stderr);
  await rig.wal.write(first!.name, first!.bytes, { ready: true });
  const words = `wal-push --ahead ${rig.wal.folder}/pg_wal ${asked!.name} --config ${file}`;
  const running = rig.run(words);
  const stored = async () => {
    const store = new DirectoryStore(rig.repository);
    return (await Array.fromAsync(store.list("main/"))).map(({ key }) => key);
  };
  const deadline = Date.now() + 60_000;
  while (!(await stored()).some((key) => key.includes(first!.name))) {
    assert.ok(Date.now() < deadline, "the settings of both calls are the same");
    await new Promise((next) => setTimeout(next, 5));
  }
  await Deno.writeTextFile(file, `wal: {spool: ${rig.wal.folder}/other}\n`);
  await rig.wal.write(second!.name, second!.bytes, { ready: true });
  assert.equal((await running).status, 0);
  assert.ok(!(await stored()).some((key) => key.includes(second!.name)));
});

const WRONG = [
  { line: "wal-push", status: 2 },
  { line: "wal-push pg_wal/x", status: 2 },
  { line: `wal-push pg_wal/${makeSegment().name} --nonsense`, status: 2 },
  { line: `wal-push pg_wal/${makeSegment().name} --timeout soon`, status: 2 },
  { line: `wal-push pg_wal/${makeSegment().name}`, status: 1 },
  { line: `wal-push pg_wal/${makeSegment().name}`, status: 4, path: "" },
  { line: `wal-push pg_wal/${makeSegment().name}`, status: 4, path: "repository" },
  { line: "wal-fetch x y", status: 2 },
] as const;
for (const { line, status, ...more } of WRONG) {
  const place = "path" in more ? ` into "${more.path}"` : "";
  Deno.test(`"${line}"${place} ends with ${status}, without a stack trace`, async () => {
    await using rig = await Rig.make();
    const env = "path" in more ? { BACKUPCTL_REPOSITORY_PATH: more.path } : {};
    const result = await rig.run(line, env);
    assert.equal(result.status, status, result.stderr);
    assert.doesNotMatch(result.stderr, /\bat .*\.ts:/);
  });
}

Deno.test("wal-fetch ends with 1 only when the absence is proved", async () => {
  await using rig = await Rig.make();
  const { name, bytes } = makeSegment();
  await rig.push(name, bytes);
  const last = makeSegment({ number: 3, seed: 3 });
  await rig.push(last.name, last.bytes);
  const fetch = (name: string, env = {}) => rig.run(`wal-fetch ${name} pg_wal/RECOVERYXLOG`, env);
  const behind = makeSegment({ number: 4 }).name;
  const between = makeSegment({ number: 2 }).name;
  const gone = { BACKUPCTL_REPOSITORY_PATH: `${rig.wal.folder}/unmounted` };
  await rig.signal("recovery");
  assert.equal((await fetch(behind)).status, 1);
  assert.equal((await fetch("00000002.history")).status, 1);
  assert.equal((await fetch(between)).status, 255);
  assert.equal((await fetch(name, gone)).status, 255);
  assert.equal((await fetch(name, { BACKUPCTL_LOG_LEVEL: "LOUD" })).status, 255);
  assert.equal((await fetch("RECOVERYXLOG")).status, 255);
  await damage(`${rig.repository}/main/${TEST_SYSTEM}/wal/00000001/00000000/${name}.zst`);
  assert.equal((await fetch(name)).status, 255);
  await rig.signal("standby");
  assert.equal((await fetch(name)).status, 1, "a standby asks again");
  await Deno.remove(`${rig.wal.folder}/recovery.signal`);
  await Deno.remove(`${rig.wal.folder}/standby.signal`);
  assert.equal((await fetch(name)).status, 8);
  const files = [...Deno.readDirSync(`${rig.wal.folder}/pg_wal`)].map(({ name }) => name);
  assert.ok(!files.some((file) => file.startsWith("RECOVERYXLOG")), `${files}`);
});

async function damage(path: string): Promise<void> {
  const bytes = await Deno.readFile(path);
  bytes[bytes.length >> 1]! ^= 1;
  await Deno.writeFile(path, bytes);
}

Deno.test("one call pushes what waits, the next ones only confirm, without asking the store", async () => {
  await using server = S3Server.start();
  await using rig = await Rig.make();
  rig.env = {
    ...{ HOME: rig.env["HOME"]!, S3_BUCKET: "bucket", AWS_REGION: "us-east-1" },
    ...{ AWS_ENDPOINT_URL_S3: server.endpoint, AWS_ACCESS_KEY_ID: "testkey" },
    AWS_SECRET_ACCESS_KEY: "testsecretkey123",
  };
  const segments = [1, 2, 3].map((number) => makeSegment({ number, seed: number, filled: 0.1 }));
  for (const { name, bytes } of segments) await rig.wal.write(name, bytes, { ready: true });
  const [first, ...others] = segments.map(({ name }) => name);
  const marks = async () => {
    const files = await Array.fromAsync(walk(rig.env["HOME"]!));
    return others.filter((name) => files.some((file) => file.endsWith(`/${name}.mark`)));
  };
  // On a busy machine a call has no time left for others.
  for (const end = Date.now() + 60_000; Date.now() < end && (await marks()).length < 2;) {
    assert.equal((await rig.run(`wal-push pg_wal/${first}`)).status, 0);
  }
  for (const name of others) {
    const before = server.requests.length;
    const pushed = await rig.run(`wal-push pg_wal/${name}`);
    assert.equal(pushed.status, 0, pushed.stderr);
    assert.equal(server.requests.length, before, "no request");
  }
  const puts = server.requestsOf("PUT").filter(({ key }) => key.endsWith(".zst"));
  assert.deepEqual(
    puts.map(({ key }) => key.slice(-28, -4)).sort(),
    segments.map(({ name }) => name),
  );
  const once = server.requests.filter(({ key }) => key.endsWith(`${segments[1]!.name}.zst`));
  assert.deepEqual(once.map(({ method }) => method), ["PUT", "HEAD"]);
});

Deno.test("a process of our own pushes a backlog while PostgreSQL's calls confirm it", async () => {
  await using server = S3Server.start();
  await using rig = await Rig.make();
  rig.env = {
    ...{ HOME: rig.env["HOME"]!, S3_BUCKET: "bucket", AWS_REGION: "us-east-1" },
    ...{ AWS_ENDPOINT_URL_S3: server.endpoint, AWS_ACCESS_KEY_ID: "testkey" },
    AWS_SECRET_ACCESS_KEY: "testsecretkey123",
  };
  const numbers = Array.from({ length: 8 }, (_, index) => index + 1);
  const segments = numbers.map((number) => makeSegment({ number, seed: number, filled: 0.1 }));
  for (const { name, bytes } of segments) await rig.wal.write(name, bytes, { ready: true });
  let confirmed = 0;
  for (const { name } of segments) {
    if (name !== segments[0]!.name) await keptAhead(rig, `${name}.mark`);
    const pushed = await rig.run(`wal-push pg_wal/${name}`);
    assert.equal(pushed.status, 0, pushed.stderr);
    if (/was pushed ahead/.test(pushed.stderr)) confirmed += 1;
    await Deno.remove(`${rig.wal.folder}/pg_wal/archive_status/${name}.ready`);
  }
  assert.ok(confirmed >= 5, `${confirmed} of 8 were confirmed`);
  const stored = await Array.fromAsync(storeOn(server).list("backupctl/main/"));
  assert.equal(stored.filter(({ key }) => key.endsWith(".zst")).length, 8);
  const runner = async () => {
    for await (const file of walk(rig.env["HOME"]!)) if (file.endsWith("/runner")) return true;
    return false;
  };
  const deadline = Date.now() + 60_000;
  while (await runner()) {
    assert.ok(Date.now() < deadline, "the process ends by itself");
    await new Promise((next) => setTimeout(next, 50));
  }
});

Deno.test("wal-fetch has the next segments fetched meanwhile, outside of pg_wal", async () => {
  await using rig = await Rig.make();
  await rig.started(1_700_000_000);
  const numbers = Array.from({ length: 8 }, (_, index) => index + 1);
  const segments = numbers.map((number) => makeSegment({ number, seed: number, filled: 0.1 }));
  for (const { name, bytes } of segments) assert.equal((await rig.push(name, bytes)).status, 0);
  let ahead = 0;
  for (const { name, bytes } of segments) {
    if (name !== segments[0]!.name) await keptAhead(rig, name);
    const fetched = await rig.run(`wal-fetch ${name} pg_wal/RECOVERYXLOG`);
    assert.equal(fetched.status, 0, fetched.stderr);
    if (/was fetched ahead/.test(fetched.stderr)) ahead += 1;
    assert.deepEqual(await Deno.readFile(`${rig.wal.folder}/pg_wal/RECOVERYXLOG`), bytes);
  }
  assert.ok(ahead >= 4, `${ahead} of 8`);
  const behind = makeSegment({ number: 9 }).name;
  assert.equal((await rig.run(`wal-fetch ${behind} pg_wal/RECOVERYXLOG`)).status, 1);
  await rig.push(behind, makeSegment({ number: 9 }).bytes);
  const late = await rig.run(`wal-fetch ${behind} pg_wal/RECOVERYXLOG`);
  assert.equal(late.status, 0, "an absence is not remembered");
});

Deno.test("a restored server's shell moves what is fetched ahead while somebody sees to it", async () => {
  await using rig = await Rig.make();
  await rig.started(1_700_000_000);
  const numbers = Array.from({ length: 12 }, (_, index) => index + 1);
  const segments = numbers.map((number) => makeSegment({ number, seed: number, filled: 0.1 }));
  for (const { name, bytes } of segments) assert.equal((await rig.push(name, bytes)).status, 0);
  const { folder } = rig.wal;
  let moved = 0;
  for (const { name, bytes } of segments) {
    if (name !== segments[0]!.name) await keptAhead(rig, name);
    const command = fetchCommand(["false"]).replace("%f", name).replace(
      "%p",
      "pg_wal/RECOVERYXLOG",
    );
    const { success } = await new Deno.Command("sh", { args: ["-c", command], cwd: folder })
      .output();
    if (success) moved += 1;
    else assert.equal((await rig.run(`wal-fetch ${name} pg_wal/RECOVERYXLOG`)).status, 0);
    assert.deepEqual(await Deno.readFile(`${folder}/pg_wal/RECOVERYXLOG`), bytes);
  }
  assert.ok(moved >= 4, `${moved} of 11`);
  const link = () => Deno.lstat(`${folder}/${AHEAD_LINK}`).then(() => true, () => false);
  for (const deadline = Date.now() + 60_000; await link();) {
    assert.ok(Date.now() < deadline, "it goes with whoever laid it");
    await new Promise((next) => setTimeout(next, 50));
  }
});

Deno.test("what was fetched ahead for another run of the server is not handed out", async () => {
  await using rig = await Rig.make();
  await rig.started(1_700_000_000);
  const [first, second] = [1, 2].map((number) => makeSegment({ number, seed: number }));
  for (const { name, bytes } of [first!, second!]) await rig.push(name, bytes);
  await rig.run(`wal-fetch ${first!.name} pg_wal/RECOVERYXLOG`);
  await keptAhead(rig, second!.name);
  // The archive begins anew: other WAL under the same name.
  await Deno.remove(rig.repository, { recursive: true });
  await Deno.mkdir(rig.repository);
  const other = makeSegment({ number: 2, seed: 99 });
  const prepared = await rig.push(other.name, other.bytes, " --new-system");
  assert.equal(prepared.status, 0, prepared.stderr);
  await rig.started(1_700_000_100);
  const fetched = await rig.run(`wal-fetch ${other.name} pg_wal/RECOVERYXLOG`);
  assert.equal(fetched.status, 0, fetched.stderr);
  const delivered = await Deno.readFile(`${rig.wal.folder}/pg_wal/RECOVERYXLOG`);
  assert.equal(Buffer.compare(delivered, other.bytes), 0, "the archive's, not what was kept");
});

Deno.test("a store that never answers does not keep PostgreSQL waiting beyond the deadline", async () => {
  await using server = S3Server.start();
  await using rig = await Rig.make();
  rig.env = {
    ...{ HOME: rig.env["HOME"]!, S3_BUCKET: "bucket", AWS_REGION: "us-east-1" },
    ...{ AWS_ENDPOINT_URL_S3: server.endpoint, AWS_ACCESS_KEY_ID: "testkey" },
    AWS_SECRET_ACCESS_KEY: "testsecretkey123",
  };
  const { name, bytes } = makeSegment();
  server.fail({}, { kind: "hang" });
  await rig.signal("recovery");
  for (const [line, status] of [["wal-push pg_wal/", 1], ["wal-fetch ", 255]] as const) {
    await rig.wal.write(name, bytes);
    const start = performance.now();
    const target = status === 255 ? " pg_wal/RECOVERYXLOG" : "";
    const result = await rig.run(`${line}${name}${target} --timeout 1s`);
    assert.equal(result.status, status, result.stderr);
    assert.match(result.stderr, /gave up after 1 s/);
    assert.ok(performance.now() - start < 30_000, `${performance.now() - start} ms`);
  }
});

Deno.test("what is kept of the configuration holds no secret, and changes with it", async () => {
  await using server = S3Server.start();
  await using rig = await Rig.make();
  rig.env = { HOME: rig.env["HOME"]!, AWS_ACCESS_KEY_ID: "testkey", AWS_REGION: "us-east-1" };
  const config = `${rig.wal.folder}/config.yaml`;
  const write = async (lines: string) => {
    await Deno.writeTextFile(config, `repository: {bucket: bucket, endpoint: ${lines}}\n`);
    await Deno.chmod(config, 0o600);
  };
  const { name, bytes } = makeSegment();
  await rig.wal.write(name, bytes);
  const push = (env: Record<string, string>) =>
    rig.run(`wal-push pg_wal/${name} --config ${config}`, env);
  await write(server.endpoint);
  const secret = { AWS_SECRET_ACCESS_KEY: "testsecretkey123" };
  assert.equal((await push(secret)).status, 0);
  assert.equal((await push(secret)).status, 0);
  await Deno.writeTextFile(`${rig.wal.folder}/secret`, "testsecretkey123\n");
  assert.equal((await push({ AWS_SECRET_ACCESS_KEY_FILE: `${rig.wal.folder}/secret` })).status, 0);
  await write(`${server.endpoint}, secret_access_key: testsecretkey123, access_key_id: testkey`);
  assert.equal((await push({})).status, 0);
  for await (const file of walk(rig.env["HOME"]!)) {
    assert.doesNotMatch(await Deno.readTextFile(file), /testsecret/, file);
    assert.equal((await Deno.stat(file)).mode! & 0o077, 0, file);
  }
  await write("http://127.0.0.1:1, secret_access_key: testsecretkey123, access_key_id: testkey");
  const { status } = await rig.run(`wal-push pg_wal/${name} --config ${config} --timeout 1s`);
  assert.ok(status === 1 || status === 6, `nobody answers there: ${status}`);
});

/** Waits until a process beside has left something; not for ever, as its turn may be over. */
async function keptAhead(rig: Rig, file: string): Promise<void> {
  for (const end = Date.now() + 5_000; Date.now() < end;) {
    for await (const path of walk(rig.env["HOME"]!)) if (path.endsWith(`/${file}`)) return;
    await new Promise((next) => setTimeout(next, 20));
  }
}

async function* walk(folder: string): AsyncGenerator<string> {
  for await (const entry of Deno.readDir(folder)) {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory) yield* walk(path);
    else yield path;
  }
}

Deno.test("backup incremental in a data directory is refused unless the archiver calls", async () => {
  await using rig = await Rig.make();
  const { name, bytes } = makeSegment();
  await rig.wal.write(name, bytes, { ready: true });
  const result = await rig.run("backup incremental --label wal-archive");
  assert.equal(result.status, 1);
  assert.match(result.stderr, /wal-push %p/);
  const env = { ...rig.env, PG_HOST: "127.0.0.1", PG_PORT: "1", PG_USER: "nobody" };
  const elsewhere = await runCli(["backup", "incremental"], { cwd: rig.repository, env });
  assert.equal(elsewhere.status, 5, "a backup is asked for, and there is no server");
});

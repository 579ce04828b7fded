/** Encryption from the archiver to the restored server, and what a thief finds in between. */
import assert from "node:assert/strict";
import { InstalledProgram } from "../support/installed_program.ts";
import { type Cluster, startCluster } from "../support/postgres_cluster.ts";
import { archiveNow } from "../support/recoveries.ts";
import type { CliResult } from "../support/run_cli.ts";
import {
  DocumentedScript,
  findText,
  looksSealed,
  type StoredFile,
  storedFiles,
} from "../support/sealed_repository.ts";
import { giveToServer, serverUser } from "../support/server_user.ts";

/** In every place that people put names and data. */
const CANARY = "canary_7f3a9c";
const ROWS = 400;

/** A cluster that archives encrypted WAL, and everything that one does with it. */
class Rig implements AsyncDisposable {
  readonly program: InstalledProgram;
  readonly cluster: Cluster;
  readonly repository: string;
  readonly recipients: readonly string[];

  private constructor(
    program: InstalledProgram,
    cluster: Cluster,
    where: { readonly repository: string; readonly recipients: readonly string[] },
  ) {
    this.program = program;
    this.cluster = cluster;
    this.repository = where.repository;
    this.recipients = where.recipients;
  }

  static async make(): Promise<Rig> {
    const program = await InstalledProgram.install();
    const recipients: string[] = [];
    for (const name of ["one", "escrow", "stranger"]) {
      const file = `${program.folder}/${name}.txt`;
      const made = await program.run(["key", "generate", file, "--output", "json"], { env: {} });
      assert.equal(made.status, 0, made.stderr);
      assert.equal((await Deno.stat(file)).mode! & 0o777, 0o600);
      recipients.push(JSON.parse(made.stdout).recipient);
    }
    const repository = `${program.folder}/repository`;
    await Deno.mkdir(repository);
    await giveToServer(program.folder);
    const where = { repository, recipients };
    const cluster = await startCluster({
      walSegmentMb: 1,
      archive: `${program.path} wal-push %p`,
      tablespaces: [`${CANARY}_space`],
      env: environment(program, where),
    });
    return new Rig(program, cluster, where);
  }

  /** Runs backupctl, as configured on the database host unless `env` says otherwise. */
  async run(
    args: readonly string[],
    { env = {}, input }: {
      readonly env?: Readonly<Record<string, string>>;
      readonly input?: string;
    } = {},
  ): Promise<CliResult> {
    const child = new Deno.Command(this.program.path, {
      args: [...args],
      cwd: this.program.folder,
      clearEnv: true,
      env: {
        ...{ PATH: Deno.env.get("PATH")!, TZ: "UTC", ...environment(this.program, this) },
        ...{ PG_HOST: "127.0.0.1", PG_PORT: `${this.cluster.port}`, PG_USER: "postgres" },
        ...{ BACKUPCTL_METADATA_URL: "off" },
        ...env,
      },
      ...serverUser(),
      ...{ stdin: "piped", stdout: "piped", stderr: "piped" },
    }).spawn();
    const writer = child.stdin.getWriter();
    if (input !== undefined) await writer.write(new TextEncoder().encode(input));
    await writer.close().catch(() => {});
    const { code, stdout, stderr } = await child.output();
    const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
    return { status: code, stdout: text(stdout), stderr: text(stderr) };
  }

  /** Runs it and returns its JSON document. */
  async document(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
    const result = await this.run([...args, "--output", "json"], { env });
    assert.equal(result.status, 0, result.stderr);
    return JSON.parse(result.stdout);
  }

  identity(name: "one" | "escrow" | "stranger"): string {
    return `${this.program.folder}/${name}.txt`;
  }

  async files(): Promise<readonly StoredFile[]> {
    return await storedFiles(this.repository);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.cluster[Symbol.asyncDispose]();
    await this.program[Symbol.asyncDispose]();
  }
}

function environment(
  program: InstalledProgram,
  { repository, recipients }: Pick<Rig, "repository" | "recipients">,
): Readonly<Record<string, string>> {
  return {
    ...program.env,
    HOME: program.folder,
    BACKUPCTL_REPOSITORY_PATH: repository,
    BACKUPCTL_ENCRYPTION_RECIPIENTS: recipients.slice(0, 2).join(","),
  };
}

async function fill({ cluster }: Rig): Promise<void> {
  await cluster.query(`create database "${CANARY}_db"`);
  await cluster.query(`create role "${CANARY}_role" login password '${CANARY}_password'`);
  await cluster.query("create table steps (row int, filler text)");
  await cluster.query(
    `create table ${CANARY}_table tablespace "${CANARY}_space" as ` +
      `select row, '${CANARY}' || row as value from generate_series(1, ${ROWS}) row`,
  );
}

const PHYSICAL = ["backup", "full", "--method", "physical", "--fast-checkpoint"];

Deno.test("encrypted backups and WAL show nothing, and restore with an identity only", async (t) => {
  await using rig = await Rig.make();
  const { cluster, program } = rig;
  await fill(rig);
  const label = ["--label", CANARY, "--annotation", `note=${CANARY}`];
  await archiveNow(cluster);
  const physical = (await rig.document([...PHYSICAL, ...label])).backup;
  const logical = (await rig.document(["backup", "full", "--method", "logical", ...label])).backup;
  await cluster.query(`insert into ${CANARY}_table select row, '${CANARY}' from
    generate_series(${ROWS + 1}, ${2 * ROWS}) row`);
  await cluster.query(`select pg_create_restore_point('${CANARY}_point')`);
  await archiveNow(cluster);

  await t.step("no name and no content is readable", async () => {
    const files = await rig.files();
    assert.deepEqual(await findText(files, CANARY), []);
    const open = files.filter((file) => !looksSealed(file)).map(({ key }) => key)
      .filter((key) =>
        !/(^|\/)(repository|system|backup)\.json$|^main\/keys\/|^\.backupctl\//.test(key)
      );
    assert.deepEqual(open, []);
    assert.ok(files.filter(looksSealed).length > 8, `${files.length} files`);
  });

  await t.step("the same search finds the canary where nothing is encrypted", async () => {
    const clear = `${program.folder}/clear`;
    const env = { BACKUPCTL_REPOSITORY_PATH: clear, BACKUPCTL_ENCRYPTION_RECIPIENTS: "" };
    const refused = await rig.run(["backup", "full", "--method", "logical"], { env });
    assert.equal(refused.status, 4, "an empty list of recipients is no way to switch it off");
    await Deno.mkdir(clear);
    const config = `${program.folder}/clear.yaml`;
    await Deno.writeTextFile(config, `repository: { path: ${clear} }\nmetadata: { url: "off" }\n`);
    await giveToServer(program.folder);
    const child = await program.run(
      ["backup", "full", "--method", "logical", ...label, "--config", config],
      { env: { PG_HOST: "127.0.0.1", PG_PORT: `${cluster.port}`, PG_USER: "postgres" } },
    );
    assert.equal(child.status, 0, child.stderr);
    assert.ok((await findText(await storedFiles(clear), CANARY)).length >= 3);
  });

  await t.step("listing and verifying need no identity", async () => {
    const { backups } = await rig.document(["status"]);
    assert.deepEqual(backups.map((backup: { id: string }) => backup.id), [physical.id, logical.id]);
    assert.ok(!JSON.stringify(backups).includes(CANARY));
    const known = await rig.document(["status", "--identity", rig.identity("escrow")]);
    assert.ok(JSON.stringify(known.backups).includes(CANARY));
    assert.equal((await rig.document(["wal", "verify"])).ok, true);
    assert.equal(
      (await rig.document(["wal", "verify", "--identity", rig.identity("one")])).ok,
      true,
    );
    assert.equal((await rig.document(["verify"])).ok, true);
  });

  await t.step("a restore without an identity, or with a stranger's, exits with 12", async () => {
    const destination = ["--destination", `${program.folder}/never`];
    for (
      const identity of [[], ["--identity", rig.identity("stranger")], ["--identity", "/no/file"]]
    ) {
      for (const id of [physical.id, logical.id]) {
        const result = await rig.run(["restore", "--backup-id", id, ...destination, ...identity]);
        assert.equal(result.status, 12, `${identity}: ${result.stderr}`);
      }
    }
    await assert.rejects(Deno.stat(destination[1]!), Deno.errors.NotFound);
  });

  await t.step("the newest state comes back with one identity, from a file", async () => {
    const destination = `${program.folder}/latest`;
    const location = `${cluster.folder}/tablespace_${CANARY}_space`;
    const result = await rig.run([
      ...["restore", "--latest", "--backup-id", physical.id, "--destination", destination],
      ...["--tablespace-map", `${location}=${program.folder}/space`],
      ...["--identity", rig.identity("one")],
    ]);
    assert.equal(result.status, 0, result.stderr);
    const restored = await cluster.startFrom(destination);
    await restored.logged(/archive recovery complete/);
    const [row] = await restored.query(`select count(*) as rows from ${CANARY}_table`);
    assert.equal(Number(row!["rows"]), 2 * ROWS);
    await restored.stop();
  });

  await t.step("dumps come back with the other one, from standard input", async () => {
    const destination = `${program.folder}/dumps`;
    const input = await Deno.readTextFile(rig.identity("escrow"));
    const args = ["restore", "--backup-id", logical.id, "--destination", destination];
    const result = await rig.run([...args, "--identity", "-"], { input });
    assert.equal(result.status, 0, result.stderr);
    const names = Array.from(Deno.readDirSync(destination), ({ name }) => name).sort();
    assert.deepEqual(names, [`${CANARY}_db.dump`, "globals.sql", "postgres.dump"]);
    const globals = await Deno.readTextFile(`${destination}/globals.sql`);
    assert.ok(globals.includes(`${CANARY}_role`));
  });

  await t.step("standard input is refused where PostgreSQL fetches the WAL itself", async () => {
    const args = ["restore", "--latest", "--destination", `${program.folder}/never`];
    const result = await rig.run([...args, "--identity", "-"], { input: "" });
    assert.equal(result.status, 2, result.stderr);
  });

  await t.step("the documented script opens a chunk, a dump, a segment and the names", async () => {
    await using script = await DocumentedScript.extract();
    if (!script.realAge) console.log("age is not installed: its library stands in for it");
    const files = (await rig.files()).filter(({ key }) => key.startsWith("main/"));
    for (const pattern of [/0001\.tar\.zst$/, /\.dump\.gz$/, /\/[0-9A-F]{24}\.zst$/]) {
      const file = files.find(({ key }) => pattern.test(key));
      assert.ok(file, `${pattern}`);
      const bytes = await script.open(file, rig.identity("one"));
      const magic = file.key.endsWith(".gz") ? 0x1f : 0x50;
      assert.equal(bytes[0], magic, file.key);
      await assert.rejects(script.open({ ...file, key: `${file.key}x` }, rig.identity("one")));
    }
    const manifest = files.find(({ key }) => key.endsWith(`${physical.id}/backup.json`))!;
    const { encryption } = JSON.parse(new TextDecoder().decode(manifest.bytes));
    const sealed = new Uint8Array(Buffer.from(encryption.sealed, "base64"));
    const names = await script.open({ key: manifest.key, bytes: sealed }, rig.identity("one"));
    assert.equal(JSON.parse(new TextDecoder().decode(names)).label, CANARY);
  });

  await t.step("the same segment again is archived already, another is a conflict", async () => {
    const segment = (await rig.files()).map(({ key }) => /\/([0-9A-F]{24})\.zst$/.exec(key)?.[1])
      .filter((name) => name !== undefined).at(-1)!;
    const pgWal = `${cluster.dataDir}/pg_wal`;
    const fetched = `${cluster.dataDir}/fetched`;
    const flags = ["--identity", rig.identity("one")];
    await rig.run(["wal-fetch", segment, fetched, ...flags]);
    const again = `${pgWal}/${segment}`;
    const there = await Deno.stat(again).then(() => true, () => false);
    if (!there) await Deno.copyFile(fetched, again);
    await giveToServer(cluster.dataDir);
    const state = `${program.folder}/other-state`; // marks of the first push would answer
    const env = { XDG_STATE_HOME: state };
    assert.equal((await rig.run(["wal-push", again], { env })).status, 0);
    const changed = await Deno.readFile(again);
    changed[changed.length - 1]! ^= 1;
    await Deno.writeFile(again, changed);
    assert.equal((await rig.run(["wal-push", again], { env })).status, 15);
  });

  await t.step("new recipients open old backups after a rekey, and not before", async () => {
    const env = { BACKUPCTL_ENCRYPTION_RECIPIENTS: rig.recipients[2]! };
    const check = ["key", "check", "--identity", rig.identity("stranger")];
    assert.equal((await rig.run(check, { env })).status, 12);
    const before = await rig.files();
    const rekeyed = await rig.document(["key", "rekey", "--identity", rig.identity("one")], env);
    assert.ok(rekeyed.wrapped >= 3, JSON.stringify(rekeyed));
    const checked = await rig.document(check, env);
    assert.deepEqual(checked.closed_backups, []);
    assert.equal(checked.encrypted_backups, 2);
    const after = new Map((await rig.files()).map(({ key, bytes }) => [key, bytes]));
    for (const { key, bytes } of before) assert.deepEqual(after.get(key), bytes, key);
    const again = await rig.document(["key", "rekey", "--identity", rig.identity("one")], env);
    assert.equal(again.wrapped, 0);
  });
});

Deno.test("both sources, increments and later annotations are encrypted, and come back", async (t) => {
  await using rig = await Rig.make();
  const { cluster, program } = rig;
  await fill(rig);
  await archiveNow(cluster);
  const source = ["--source", "files", "--wait-wal", "60s"];
  const full = (await rig.document([...PHYSICAL, ...source])).backup;
  await cluster.query(`insert into ${CANARY}_table values (0, '${CANARY} later')`);
  const increment = (await rig.document(["backup", "incremental", ...source])).backup;
  assert.equal(increment.parent_id, full.id);
  await rig.document(["annotate", "--backup-id", full.id, `why=${CANARY}`]);
  await archiveNow(cluster);

  await t.step("no name and no content is readable", async () => {
    const files = await rig.files();
    assert.deepEqual(await findText(files, CANARY), []);
    const clear = files.filter((file) => /\/chunks\/|backup_manifest/.test(file.key))
      .filter((file) => !looksSealed(file) && !file.key.startsWith(".backupctl/"));
    assert.deepEqual(clear.map(({ key }) => key), []);
  });

  await t.step("annotations show with an identity", async () => {
    assert.ok(!JSON.stringify(await rig.document(["status"])).includes(CANARY));
    const known = await rig.document(["status", "--identity", rig.identity("one")]);
    assert.ok(JSON.stringify(known).includes(CANARY));
  });

  await t.step("the increment comes back on its parent", async () => {
    const destination = `${program.folder}/merged`;
    const location = `${cluster.folder}/tablespace_${CANARY}_space`;
    const result = await rig.run([
      ...["restore", "--backup-id", increment.id, "--destination", destination],
      ...["--tablespace-map", `${location}=${program.folder}/space2`],
      ...["--identity", rig.identity("escrow")],
    ]);
    assert.equal(result.status, 0, result.stderr);
    const restored = await cluster.startFrom(destination);
    const [row] = await restored.query(`select count(*) as rows from ${CANARY}_table`);
    assert.equal(Number(row!["rows"]), ROWS + 1);
    await restored.stop();
  });
});

/**
 * Signed backups of a real PostgreSQL, and somebody who can write to the repository: in a folder,
 * and on each real server that `BACKUPCTL_TEST_S3_ENDPOINT` names, or else on the small server.
 */
import assert from "node:assert/strict";
import { DirectoryStore } from "../../src/storage/directory.ts";
import { probeConditionalPut } from "../../src/storage/probe.ts";
import { S3Store } from "../../src/storage/s3.ts";
import type { ObjectStore } from "../../src/storage/storage.ts";
import { createBucket, realServers, SMALL_SERVER_KEYS } from "../support/light_stores.ts";
import { PROJECT_ROOT } from "../support/paths.ts";
import { type Cluster, startCluster } from "../support/postgres_cluster.ts";
import { type CliResult, runCli } from "../support/run_cli.ts";
import { S3Server } from "../support/s3_server/s3_server.ts";

type Env = Readonly<Record<string, string>>;

/** A repository, and how the program and an attacker get at it. */
interface Place extends AsyncDisposable {
  readonly env: Env;
  readonly attacker: ObjectStore;
}

async function folderPlace(folder: string): Promise<Place> {
  await Deno.mkdir(`${folder}/repository`);
  return {
    env: { BACKUPCTL_REPOSITORY_PATH: `${folder}/repository` },
    attacker: new DirectoryStore(`${folder}/repository`),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

function s3Place(
  { endpoint, bucket, keys, caFile, end }: {
    readonly endpoint: string;
    readonly bucket: string;
    readonly keys: { readonly accessKeyId: string; readonly secretAccessKey: string };
    readonly caFile?: string | undefined;
    readonly end: () => Promise<void>;
  },
): Place {
  const region = "us-east-1";
  const ca = caFile === undefined ? {} : { caFile };
  return {
    env: {
      ...{ S3_BUCKET: bucket, AWS_REGION: region, AWS_ENDPOINT_URL_S3: endpoint },
      ...{ AWS_ACCESS_KEY_ID: keys.accessKeyId, AWS_SECRET_ACCESS_KEY: keys.secretAccessKey },
      ...{ BACKUPCTL_REPOSITORY_PREFIX: "p", BACKUPCTL_REPOSITORY_ALLOW_HTTP: "true" },
      ...(caFile !== undefined && { BACKUPCTL_REPOSITORY_CA_FILE: caFile }),
    },
    attacker: new S3Store({
      ...{ bucket, endpoint, region, prefix: "p", allowHttp: true, credentials: keys, ...ca },
    }),
    [Symbol.asyncDispose]: end,
  };
}

function smallPlace(): Promise<Place> {
  const server = S3Server.start({ buckets: ["my-bucket"] });
  return Promise.resolve(s3Place({
    ...{ endpoint: server.endpoint, bucket: "my-bucket", keys: SMALL_SERVER_KEYS },
    end: () => server[Symbol.asyncDispose](),
  }));
}

const s3Places = realServers().map((server) => ({
  name: server.name,
  open: async () => {
    const bucket = `signing-${crypto.randomUUID()}`;
    await createBucket(server, bucket);
    const { endpoint, credentials, caFile } = server.options;
    const keys = credentials as { accessKeyId: string; secretAccessKey: string };
    const end = () => Promise.resolve();
    return s3Place({ endpoint: endpoint!, bucket, keys, caFile, end });
  },
}));
if (s3Places.length === 0) s3Places.push({ name: "the small S3 server", open: smallPlace });

/** A database host with a signing key, and another machine that only knows the public key. */
class Rig {
  readonly place: Place;
  readonly #folder: string;
  readonly #cluster: Cluster;
  publicKey = "";

  constructor(place: Place, world: { readonly folder: string; readonly cluster: Cluster }) {
    this.place = place;
    this.#folder = world.folder;
    this.#cluster = world.cluster;
  }

  get keyFile(): string {
    return `${this.#folder}/signing.pem`;
  }

  /** Without a word of signing unless `env` has it. */
  async run(args: readonly string[], env: Env = {}): Promise<CliResult> {
    const { port, user } = this.#cluster;
    return await runCli(args, {
      env: {
        ...{ HOME: `${this.#folder}/home`, ...this.place.env, BACKUPCTL_METADATA_URL: "off" },
        ...{ PG_HOST: "127.0.0.1", PG_PORT: `${port}`, PG_USER: user, PGSSLMODE: "disable" },
        ...env,
      },
      cwd: this.#folder,
    });
  }

  /** On the database host. */
  get signing(): Env {
    return { BACKUPCTL_SIGNING_KEY_FILE: this.keyFile, ...this.trusting };
  }

  /** On a machine that took nothing, remembers nothing, and can sign nothing. */
  get stranger(): Env {
    return { ...this.trusting, HOME: `${this.#folder}/stranger-${crypto.randomUUID()}` };
  }

  get trusting(): Env {
    return { BACKUPCTL_SIGNING_TRUSTED_KEYS: this.publicKey };
  }

  async makeKey(): Promise<void> {
    const made = await this.document(["key", "generate", "--signing", this.keyFile]);
    assert.equal((await Deno.stat(this.keyFile)).mode! & 0o777, 0o600);
    this.publicKey = made.public_key;
  }

  async document(args: readonly string[], env: Env = {}, status = 0) {
    const result = await this.run([...args, "--output", "json"], env);
    assert.equal(result.status, status, `${args.join(" ")}: ${result.stderr}${result.stdout}`);
    return JSON.parse(result.stdout);
  }

  /** With other content each time: dumps of one second are equal otherwise. */
  async backUp(env: Env = this.signing, method = "logical") {
    await this.#cluster.query("insert into t select max(n) + 1 from t");
    return (await this.document(["backup", "full", "--method", method], env)).backup;
  }

  async restore(args: readonly string[], env: Env, status = 0): Promise<string> {
    const folder = `${this.#folder}/restored-${crypto.randomUUID()}`;
    const result = await this.run(["restore", "--destination", folder, ...args], env);
    assert.equal(result.status, status, `restore ${args.join(" ")}: ${result.stderr}`);
    if (status !== 0) await assert.rejects(Deno.stat(folder), Deno.errors.NotFound);
    return result.stderr;
  }

  /** Every object of a backup, for putting it back. */
  async objectsOf(id: string): Promise<ReadonlyMap<string, Uint8Array<ArrayBuffer>>> {
    const found = new Map<string, Uint8Array<ArrayBuffer>>();
    for await (const { key } of this.place.attacker.list("main/")) {
      if (!key.includes(`/backups/${id}/`)) continue;
      found.set(key, await new Response(await this.place.attacker.get(key)).bytes());
    }
    assert.ok(found.size > 2);
    return found;
  }

  async put(objects: ReadonlyMap<string, Uint8Array<ArrayBuffer>>): Promise<void> {
    for (const [key, bytes] of objects) await this.place.attacker.put(key, bytes);
  }

  async hide(objects: ReadonlyMap<string, unknown>): Promise<void> {
    await this.place.attacker.delete([...objects.keys()]);
  }
}

/** A folder for everything, which PostgreSQL's user and ours can read. */
async function withRig(
  open: (folder: string) => Promise<Place>,
  work: (rig: Rig, folder: string) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "backupctl-signing-" });
  try {
    await using cluster = await startCluster({ settings: { wal_level: "replica" } });
    await cluster.query("create table t as select generate_series(1, 100) as n");
    await using place = await open(folder);
    const rig = new Rig(place, { folder, cluster });
    await rig.makeKey();
    await work(rig, folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** What an attacker does, as far as it is the same everywhere. */
async function attacks(rig: Rig, t: Deno.TestContext): Promise<void> {
  const ids = { first: "", second: "", third: "" };
  // Where nobody can be kept out, removals want to be told that there is nobody.
  const alone = (await probeConditionalPut(rig.place.attacker)).ifAbsent ? [] : ["--force"];
  await t.step("signed backups are listed, verified and restored with the public key", async () => {
    for (const name of ["first", "second", "third"] as const) ids[name] = (await rig.backUp()).id;
    const { signatures } = await rig.document(["verify"], rig.signing);
    assert.deepEqual([signatures[0].signed, signatures[0].highest_sequence], [3, 3]);
    assert.deepEqual(signatures[0].missing_sequences, []);
    assert.equal((await rig.document(["verify"], rig.stranger)).ok, true);
    const { backups, unreadable } = await rig.document(["status"], rig.stranger);
    assert.deepEqual([backups.length, unreadable.length], [3, 0]);
    await rig.restore([], rig.stranger);
  });

  await t.step("a forged newest backup is refused, and nothing older restored for it", async () => {
    const forged = "20991231T000000Z-L";
    const copied = new Map<string, Uint8Array<ArrayBuffer>>();
    for (const [key, bytes] of await rig.objectsOf(ids.third)) {
      const text = new TextDecoder().decode(bytes).replaceAll(ids.third, forged)
        .replace(/"stoppedAt": "[^"]*"/, '"stoppedAt": "2099-12-31T00:00:01.000Z"');
      const isManifest = key.endsWith("/backup.json");
      copied.set(
        key.replace(ids.third, forged),
        isManifest ? new TextEncoder().encode(text) : bytes,
      );
    }
    await rig.put(copied);
    await rig.restore(["--backup-id", forged], {}, 0); // who trusts everything is fooled
    await rig.restore(["--backup-id", forged], rig.stranger, 8);
    await rig.restore([], rig.stranger, 8);
    await rig.restore(["--backup-id", ids.third], rig.stranger);
    assert.equal((await rig.run(["drill"], rig.stranger)).status, 8);
    const { faults } = await rig.document(["verify"], rig.stranger, 8);
    assert.deepEqual(faults.map((fault: { backup_id: string }) => fault.backup_id), [forged]);
    const { backups, unreadable } = await rig.document(["status"], rig.stranger);
    assert.deepEqual([backups.length, unreadable.length], [3, 1]);
    const prune = await rig.run(
      ["prune", "--policy", "last-retain=2", "--yes", ...alone],
      rig.signing,
    );
    assert.equal(prune.status, 8, prune.stderr);
    await rig.document(["delete", "--backup-id", forged, "--force", "--yes"], rig.signing);
    assert.equal((await rig.document(["verify"], rig.stranger)).ok, true);
  });

  await t.step("the objects of another backup are refused", async () => {
    const [first, third] = [await rig.objectsOf(ids.first), await rig.objectsOf(ids.third)];
    const dump = [...third.keys()].find((key) => /\.dump\./.test(key))!;
    const other = [...first].find(([key]) => /\.dump\./.test(key))!;
    await rig.place.attacker.put(dump, other[1]);
    await rig.restore(["--backup-id", ids.third], rig.stranger, 8);
    const { lost } = await rig.document(["verify"], rig.stranger, 8);
    assert.deepEqual(lost, [ids.third]);
    await rig.put(third);
  });

  await t.step("a repository that was rolled back is found out by who saw it", async () => {
    const third = await rig.objectsOf(ids.third);
    await rig.hide(third);
    const { faults } = await rig.document(["verify"], rig.signing, 8);
    assert.match(faults[0].reason, /was seen here/);
    assert.match(await rig.restore([], rig.signing, 8), /signed as number 3/);
    await rig.restore(["--backup-id", ids.second], rig.signing);
    assert.equal((await rig.document(["verify"], rig.stranger)).ok, true, "it cannot know");
    await rig.document(["verify", "--expect-sequence", "3"], rig.stranger, 8);
    await rig.put(third);
    assert.equal((await rig.document(["verify"], rig.signing)).ok, true);
    await rig.document(["verify", "--expect-sequence", "3"], rig.stranger);
  });

  await t.step("a backup hidden in between is warned of, one that was pruned is not", async () => {
    const prune = ["prune", "--policy", "last-retain=2", "--yes", ...alone];
    const { remove } = await rig.document(prune, rig.signing);
    assert.equal(remove.length, 1);
    const pruned = await rig.document(["verify"], rig.stranger);
    assert.deepEqual(pruned.signatures[0].missing_sequences, []);
    const second = await rig.objectsOf(ids.second);
    await rig.hide(second);
    const hidden = await rig.document(["verify"], rig.stranger);
    assert.deepEqual(hidden.signatures[0].missing_sequences, [2]);
    assert.deepEqual(hidden.signatures[0].missing_ids, [ids.second]);
    assert.match(
      (await rig.run(["verify"], rig.stranger)).stdout,
      /nobody signed for their removal/,
    );
    await rig.put(second);
    // Who cannot sign says so; what it removes is missed.
    const removal = ["delete", "--backup-id", ids.second, "--yes", ...alone];
    const keyless = await rig.run(removal, rig.stranger);
    assert.equal(keyless.status, 0, keyless.stderr);
    assert.match(keyless.stderr, /signing\.key_file is not set here/);
    const missed = await rig.document(["verify"], rig.stranger);
    assert.deepEqual(missed.signatures[0].missing_sequences, [2]);
  });
}

Deno.test("signed backups in a folder, from the first key to the last attack", async (t) => {
  await withRig(folderPlace, async (rig, folder) => {
    let old = "";
    await t.step("backups from before are refused until somebody signs them", async () => {
      old = (await rig.backUp({})).id;
      const { unreadable } = await rig.document(["status"], rig.trusting);
      assert.match(unreadable[0].reason, /not signed/);
      await rig.restore([], rig.trusting, 8);
      const check = await rig.document(["key", "check"], rig.signing, 12);
      assert.deepEqual(check.signing.unsigned_backups, [old]);
      const onlySigning = { BACKUPCTL_SIGNING_KEY_FILE: rig.keyFile };
      assert.equal((await rig.document(["status"], onlySigning)).backups.length, 1);
      assert.deepEqual((await rig.document(["key", "sign"], rig.signing)).signed, [old]);
      assert.deepEqual((await rig.document(["key", "sign"], rig.signing)).signed, []);
      const after = await rig.document(["key", "check"], rig.signing);
      assert.equal(after.signing.public_key, rig.publicKey);
      await rig.restore([], rig.trusting);
    });

    await t.step("the check by hand of docs/repository-format.md", async () => {
      const page = await Deno.readTextFile(`${PROJECT_ROOT}docs/repository-format.md`);
      const script = /```sh\n(# verify_backup\.sh[\s\S]*?)```/.exec(page)![1]!;
      await Deno.writeTextFile(`${folder}/verify_backup.sh`, script);
      const key = [...(await rig.objectsOf(old)).keys()].find((one) =>
        one.endsWith("/backup.json")
      )!;
      const cwd = `${folder}/repository/${key.replace(/\/backup\.json$/, "")}`;
      const check = async (publicKey: string) =>
        await new Deno.Command("bash", {
          args: [`${folder}/verify_backup.sh`, publicKey],
          ...{ cwd, stdout: "piped", stderr: "piped" },
        }).output();
      assert.equal((await check(rig.publicKey)).code, 0);
      const stranger = await rig.document(["key", "generate", "--signing"]);
      assert.notEqual((await check(stranger.public_key)).code, 0);
      const text = await Deno.readTextFile(`${cwd}/backup.json`);
      await Deno.writeTextFile(`${cwd}/backup.json`, text.replace('"host"', '"h0st"'));
      assert.notEqual((await check(rig.publicKey)).code, 0);
      await Deno.writeTextFile(`${cwd}/backup.json`, text);
      const elsewhere = `${folder}/elsewhere`;
      await new Deno.Command("cp", { args: ["-r", cwd, elsewhere] }).output();
      const moved = await new Deno.Command("bash", {
        args: [`${folder}/verify_backup.sh`, rig.publicKey],
        ...{ cwd: elsewhere, stdout: "piped", stderr: "piped" },
      }).output();
      assert.notEqual(moved.code, 0, "it is not the backup of that name");
    });

    await t.step("a key that others may read, that is not trusted, or that is none", async () => {
      const status = async (env: Env) => (await rig.run(["backup", "full"], env)).status;
      await Deno.chmod(rig.keyFile, 0o644);
      assert.equal(await status(rig.signing), 12);
      await Deno.chmod(rig.keyFile, 0o600);
      const other = (await rig.document(["key", "generate", "--signing"])).public_key;
      assert.equal(await status({ ...rig.signing, BACKUPCTL_SIGNING_TRUSTED_KEYS: other }), 4);
      assert.equal(await status(rig.trusting), 4);
      assert.equal(await status({ ...rig.signing, BACKUPCTL_SIGNING_KEY_FILE: "/no/file" }), 12);
      await Deno.writeTextFile(`${folder}/none.pem`, "secret words\n", { mode: 0o600 });
      const none = { ...rig.signing, BACKUPCTL_SIGNING_KEY_FILE: `${folder}/none.pem` };
      const refused = await rig.run(["backup", "full"], none);
      assert.equal(refused.status, 12);
      assert.ok(!refused.stderr.includes("secret words"), refused.stderr);
      const again = await rig.run(["key", "generate", "--signing", rig.keyFile]);
      assert.equal(again.status, 9, "a key is never overwritten");
      assert.equal((await rig.document(["status"], rig.trusting)).backups.length, 1);
    });

    await t.step(
      "an encrypted backup is signed, and rekeying it changes no signature",
      async () => {
        const [one, two] = [`${folder}/one.txt`, `${folder}/two.txt`];
        const recipient = (await rig.document(["key", "generate", one])).recipient;
        const next = (await rig.document(["key", "generate", two])).recipient;
        const sealed = { BACKUPCTL_ENCRYPTION_RECIPIENTS: recipient };
        const { id } = await rig.backUp({ ...rig.signing, ...sealed });
        const changed = { BACKUPCTL_ENCRYPTION_RECIPIENTS: next };
        await rig.document(["key", "rekey", "--identity", one], { ...rig.trusting, ...changed });
        assert.equal((await rig.document(["verify"], rig.stranger)).ok, true);
        await rig.restore(["--backup-id", id, "--identity", two], rig.stranger);
        await rig.document(["delete", "--backup-id", id, "--yes", "--force"], rig.signing);
        await rig.document(["delete", "--backup-id", old, "--yes", "--force"], rig.signing);
      },
    );

    await t.step("a physical backup is signed and restored", async () => {
      const { id } = await rig.backUp(rig.signing, "physical");
      const destination = `${folder}/started`;
      const restored = await rig.run(
        ["restore", "--backup-id", id, "--destination", destination],
        rig.stranger,
      );
      assert.equal(restored.status, 0, restored.stderr);
      assert.ok((await Deno.stat(`${destination}/global/pg_control`)).isFile);
      await rig.document(["delete", "--backup-id", id, "--yes", "--force"], rig.signing);
    });
  });
});

for (const { name, open } of [{ name: "a folder", open: folderPlace }, ...s3Places]) {
  Deno.test(`forged, swapped, rolled-back and hidden backups on ${name}`, async (t) => {
    await withRig(open, (rig) => attacks(rig, t));
  });
}

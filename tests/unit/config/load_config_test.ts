import assert from "node:assert/strict";
import { type Environment, loadConfig, type LoadedConfig } from "../../../src/config/config.ts";
import { ConfigError } from "../../../src/domain/errors.ts";

/** Loads these texts as the two default files, or one as `--config`. */
async function load(
  { texts = [], env = {}, flags = [], mode = 0o600, named = false, daemon = false }: {
    readonly texts?: readonly string[];
    readonly env?: Environment;
    readonly flags?: Parameters<typeof loadConfig>[0]["flags"];
    readonly mode?: number;
    readonly named?: boolean;
    readonly daemon?: boolean;
  },
): Promise<LoadedConfig> {
  const folder = await Deno.makeTempDir();
  try {
    const files = texts.map((_, index) => `${folder}/${index}.yaml`);
    for (const [index, file] of files.entries()) {
      await Deno.writeTextFile(file, texts[index]!);
      await Deno.chmod(file, mode);
    }
    const source = named ? { file: files[0]! } : { defaultFiles: files };
    return await loadConfig({ ...source, env, flags: flags ?? [], daemon });
  } catch (error) {
    if (error instanceof Error) error.message = error.message.replaceAll(`${folder}/`, "");
    throw error;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** The lines of the refusal of these settings. */
async function refusal(options: Parameters<typeof load>[0]): Promise<readonly string[]> {
  const error = await load(options).then(() => undefined, (reason) => reason);
  assert.ok(error instanceof ConfigError, `expected a ConfigError, got ${error}`);
  assert.equal(error.exitCode, 4);
  const lines = error.message.split("\n").map((line) => line.trim());
  return lines[0]!.startsWith("the configuration has") ? lines.slice(1) : lines;
}

Deno.test("loadConfig() has a default for everything but the place of the repository", async () => {
  const { config, files } = await load({});
  assert.deepEqual(files, []);
  assert.equal(config.cluster, "main");
  assert.equal(config.repository.type, "auto");
  assert.deepEqual(config.compression, { dumps: "gzip:6", pages: "zstd:1", wal: "zstd:1" });
  assert.deepEqual(config.backup, {
    method: "auto",
    jobs: "auto",
    wait_wal: 600_000,
    max_chain: 6,
  });
  assert.deepEqual(config.metadata, { url: "auto", schema: "backupctl" });
});

Deno.test("loadConfig() needs nothing but the customary environment variables", async () => {
  const { config, origin } = await load({
    env: {
      PG_HOST: "db.example.com",
      PG_PORT: "5433",
      PG_USER: "backup",
      PG_PASSWORD: "s3cret",
      PG_DATABASE: "app",
      AWS_ACCESS_KEY_ID: "AKIA",
      AWS_SECRET_ACCESS_KEY: "k/ey",
      AWS_REGION: "sa-east-1",
      S3_BUCKET: "my-bucket",
      AWS_ENDPOINT_URL_S3: "https://s3.example.com:9000",
    },
  });
  assert.equal(config.postgres.host, "db.example.com");
  assert.equal(config.postgres.port, 5433);
  assert.equal(config.postgres.password, "s3cret");
  assert.equal(config.repository.type, "s3");
  assert.equal(config.repository.bucket, "my-bucket");
  assert.equal(config.repository.region, "sa-east-1");
  assert.equal(config.repository.endpoint, "https://s3.example.com:9000");
  assert.equal(config.repository.secret_access_key, "k/ey");
  assert.equal(origin(["repository", "bucket"]), "environment variable S3_BUCKET");
  assert.equal(origin(["cluster"]), undefined);
});

Deno.test("loadConfig() lets the later source win, key by key", async () => {
  const { config, origin } = await load({
    texts: [
      "cluster: first\npostgres: {host: one, port: 1111, user: kept}\n",
      "cluster: second\npostgres: {port: 2222}\n",
    ],
    env: { PG_HOST: "env-common", BACKUPCTL_POSTGRES_HOST: "env-own", BACKUPCTL_CLUSTER: "third" },
    flags: [{ path: ["cluster"], flag: "--cluster", value: "fourth" }],
  });
  assert.deepEqual([config.cluster, origin(["cluster"])], ["fourth", "--cluster"]);
  const { host, port, user } = config.postgres;
  assert.deepEqual([host, port, user], ["env-own", 2222, "kept"]);
});

Deno.test("loadConfig() takes --config instead of the default files, and wants it to exist", async () => {
  const { config } = await load({ texts: ["cluster: named\n"], named: true });
  assert.equal(config.cluster, "named");
  const [line] = await refusal({ texts: [], named: true, env: {} }).catch(async () => {
    const error = await loadConfig({ file: "/nonexistent/c.yaml", env: {} }).catch((e) => e);
    return [error.message as string];
  });
  assert.equal(line, "/nonexistent/c.yaml: cannot be read: No such file or directory");
});

Deno.test("loadConfig() accepts the whole grammar", async () => {
  const { config } = await load({
    texts: [await Deno.readTextFile(new URL("./full.yaml", import.meta.url))],
  });
  assert.equal(config.alerts.rules.full_max_age, 8 * 86_400_000);
  assert.equal(config.alerts.rules.disk_free, 0.1);
  assert.equal(config.schedule[0]?.jitter, 300_000);
  assert.equal(config.repository.sse, "aws:kms");
  assert.equal(config.listen, "127.0.0.1:9187");
});

const faulty: readonly (readonly [text: string, lines: readonly string[]])[] = [
  ["postgres:\n  prot: 5432\n", ['0.yaml:2:3: postgres.prot: unknown key; did you mean "port"?']],
  ["postgres:\n  port: abc\n", [
    '0.yaml:2:3: postgres.port: "abc" is not a whole number from 1 to 65535',
  ]],
  ["cluster: a\ncluster: b\n", ["0.yaml:2:1: the key is given twice"]],
  ["cluster: [\n", [
    "0.yaml:2:1: the indentation does not fit",
  ]],
  ["- a\n- b\n", ["0.yaml:1:1: is not a set of keys such as cluster: main"]],
  ["wal: [1, 2]\n", ["0.yaml:1:1: wal: is not a group of keys"]],
  ["backup: { wait_wal: 10 }\n", [
    "0.yaml:1:11: backup.wait_wal: 10 is not a duration such as 60s, 10m, 36h or 8d",
  ]],
  ["backup: { jobs: 0 }\n", [
    "0.yaml:1:11: backup.jobs: 0 is not a whole number from 1 to 64",
  ]],
  ["backup: { jobs: many }\n", [
    '0.yaml:1:11: backup.jobs: "many" is not "auto" and is not a whole number from 1 to 64',
  ]],
  ["repository: { type: s3 }\n", [
    "0.yaml:1:15: repository.type: is s3, but repository.bucket (or S3_BUCKET) is not set",
  ]],
  ["repository: { bucket: abc, path: /x }\n", [
    "0.yaml:1:1: repository: has a bucket and a path; say which with repository.type",
  ]],
  ["a: &x [1]\ncluster: main\n", [
    "0.yaml:1:1: a: unknown key; known here are cluster, postgres, repository, compression, " +
    "encryption, signing, backup, wal, retention, schedule, alerts, metadata, log, listen, listen_token, listen_token_file",
  ]],
  ["cluster: &x main\nretention: *x\n", [
    "0.yaml: uses an alias (*name), which is not allowed here",
  ]],
  ["__proto__: { cluster: x }\n", [
    "0.yaml:1:1: __proto__: unknown key; known here are cluster, postgres, repository, " +
    "compression, encryption, signing, backup, wal, retention, schedule, alerts, metadata, log, listen, listen_token, listen_token_file",
  ]],
];
for (const [text, lines] of faulty) {
  Deno.test(`loadConfig() refuses ${JSON.stringify(text)} with its place`, async () => {
    assert.deepEqual(await refusal({ texts: [text] }), lines);
  });
}

Deno.test("loadConfig() names all faults at once, in the order of the file", async () => {
  const lines = await refusal({
    texts: ["cluster: ../x\npostgres: { prot: 1, port: abc }\nlisten: nowhere\n"],
    env: { PG_PORT: "99999" },
  });
  assert.deepEqual(lines.map((line) => line.split(": ").slice(0, 2).join(" ")), [
    "0.yaml:1:1 cluster",
    "0.yaml:2:13 postgres.prot",
    "0.yaml:2:22 postgres.port",
    "0.yaml:3:1 listen",
    "environment variable PG_PORT postgres.port",
  ]);
});

Deno.test("loadConfig() refuses a port that no listener can have", async () => {
  for (const address of ["localhost:65536", "localhost:99999", "127.0.0.1:", "[::1:80", ":80"]) {
    const [line] = await refusal({ env: { BACKUPCTL_LISTEN: address } });
    assert.match(line ?? "", /BACKUPCTL_LISTEN: listen: .* is not an address with a port/, address);
  }
  for (const address of ["localhost:65535", "[::1]:0"]) {
    assert.equal((await load({ env: { BACKUPCTL_LISTEN: address } })).config.listen, address);
  }
});

Deno.test("loadConfig() refuses for the daemon pages that others could reach", async () => {
  const open = "can be reached from other machines, and listen_token is not set";
  const texts = ["listen: 0.0.0.0:9187\nrepository: { type: s3 }\n"];
  const lines = await refusal({ texts, daemon: true });
  assert.equal(lines.length, 2);
  assert.ok(lines.includes(
    `0.yaml:1:1: listen: "0.0.0.0:9187" ${open}; set listen_token_file to a file with a token, ` +
      "or listen on 127.0.0.1",
  ));
  const short = { BACKUPCTL_LISTEN_TOKEN: "short" };
  assert.deepEqual(await refusal({ env: short, daemon: true }), [
    "environment variable BACKUPCTL_LISTEN_TOKEN: listen_token: the value has 5 characters; " +
    "it needs 16; openssl rand -hex 24 makes a good one",
  ]);
  const flags = [{ path: ["listen"], flag: "--listen", value: "example.com:1" }] as const;
  const [line] = await refusal({ texts: ["listen: 127.0.0.1:1\n"], flags, daemon: true });
  assert.equal(line?.startsWith(`--listen: listen: "example.com:1" ${open}`), true, line);
  // The token of the pages may be in the daemon's environment alone: archiving goes on without.
  await load({ texts: ["listen: 0.0.0.0:9187\n"] });
  const token = { BACKUPCTL_LISTEN_TOKEN: "0123456789abcdef" };
  await load({ texts: ["listen: 0.0.0.0:9187\n"], env: token, daemon: true });
});

/** Of the right form; its checksum is another one's. */
const MISTYPED = "age1zgpxyxrp004ghzywht7s3n8h848xgwdlf50de9mld2fw92v7j4asnhweuq";

for (
  const [what, text, env] of [
    ["recipients", "encryption: { recipients: [age1abc] }\n", {}],
    ["a recipient with a letter that is wrong", `encryption: { recipients: [${MISTYPED}] }\n`, {}],
    ["an empty group", "encryption: {}\n", {}],
    ["no recipient", "encryption: { recipients: }\n", {}],
    ["a variable", "", { BACKUPCTL_ENCRYPTION_RECIPIENTS: "age1abc" }],
    ["an empty variable", "", { BACKUPCTL_ENCRYPTION_RECIPIENTS: "" }],
    ["a misspelt variable", "", { BACKUPCTL_ENCRPYTION_RECIPIENTS: "age1abc" }],
    ["an unknown variable of the group", "", { BACKUPCTL_ENCRYPTION_KEY: "age1abc" }],
    ["a file with recipients that is missing", "", { BACKUPCTL_ENCRYPTION_RECIPIENTS_FILE: "/no" }],
  ] as const
) {
  Deno.test(`loadConfig() refuses to start when encryption is asked for by ${what}`, async () => {
    const lines = await refusal({ texts: [text], env });
    assert.match(lines.join("\n"), /encrypt|ENCR/);
  });
}

for (
  const [what, text, env] of [
    ["half a key", "signing: { trusted_keys: [MCowBQYDK2VwAyEAPGn0] }\n", {}],
    ["an empty group", "signing: {}\n", {}],
    ["no key", "signing: { trusted_keys: [] }\n", {}],
    ["an empty variable", "", { BACKUPCTL_SIGNING_TRUSTED_KEYS: "" }],
    ["an empty name of a file", "", { BACKUPCTL_SIGNING_KEY_FILE: "" }],
    ["a misspelt variable", "", { BACKUPCTL_SIGNING_TRUSTED_KEY: "x" }],
  ] as const
) {
  Deno.test(`loadConfig() refuses to start when signatures are asked for by ${what}`, async () => {
    const lines = await refusal({ texts: [text], env });
    assert.match(lines.join("\n"), /signing|SIGNING/);
  });
}

Deno.test("loadConfig() takes age recipients from a file, a variable and a file of lines", async () => {
  const one = "age1zgpxyxrp004ghzywht7s3n8h848xgwdlf50de9mld2fw92v7j4asnhweuk";
  const two = "age1e25lulp2sey7s7sh9a08hcf6accuw455dv89wpa0pv98c84fkvmsltsghf";
  const listed = async (text: string, env: Record<string, string>) =>
    (await load({ texts: [text], env })).config.encryption?.recipients;
  assert.deepEqual(await listed(`encryption: { recipients: [${one}, ${two}] }\n`, {}), [one, two]);
  const variable = "BACKUPCTL_ENCRYPTION_RECIPIENTS";
  assert.deepEqual(await listed("", { [variable]: `${one}, ${two}` }), [one, two]);
  const file = await Deno.makeTempFile();
  await Deno.writeTextFile(file, `# ours\n${one}\n\n# the safe's\n${two}\n`);
  assert.deepEqual(await listed("", { [`${variable}_FILE`]: file }), [one, two]);
  await Deno.remove(file);
});

Deno.test("loadConfig() leaves variables of other tools alone", async () => {
  const { config } = await load({
    env: { BACKUPCTL_TOOLS_CACHE: "/x", BACKUPCTL_TEST_PG_BIN: "/y" },
  });
  assert.equal(config.cluster, "main");
});

Deno.test("loadConfig() reads every key from its variable and lists at commas", async () => {
  const { config } = await load({
    env: {
      BACKUPCTL_REPOSITORY_PATH: "/var/backups",
      BACKUPCTL_REPOSITORY_PATH_STYLE: "true",
      BACKUPCTL_BACKUP_JOBS: "3",
      BACKUPCTL_BACKUP_WAIT_WAL: "90s",
      BACKUPCTL_ALERTS_EMAIL_HOST: "smtp",
      BACKUPCTL_ALERTS_EMAIL_FROM: "a@example.com",
      BACKUPCTL_ALERTS_EMAIL_TO: "dba@example.com, boss@example.com",
      BACKUPCTL_SCHEDULE: '[{name: weekly, cron: "0 2 * * 0", run: backup full}]',
      BACKUPCTL_CLUSTER: "42",
    },
  });
  assert.equal(config.repository.type, "directory");
  assert.equal(config.repository.path_style, true);
  assert.equal(config.backup.jobs, 3);
  assert.equal(config.backup.wait_wal, 90_000);
  assert.deepEqual(config.alerts.email?.to, ["dba@example.com", "boss@example.com"]);
  assert.equal(config.schedule[0]?.name, "weekly");
  assert.equal(config.cluster, "42");
});

Deno.test("loadConfig() reads secrets from files that variables or keys name", async () => {
  const file = await Deno.makeTempFile();
  await Deno.writeTextFile(file, "from file\n");
  const one = await load({ env: { PG_PASSWORD_FILE: file } });
  const two = await load({ texts: [`postgres: { password_file: ${file} }\n`] });
  const three = await load({
    texts: ["postgres: { password: from yaml }\n"],
    env: { BACKUPCTL_POSTGRES_PASSWORD_FILE: file },
  });
  const four = await load({
    texts: [`postgres: { password_file: ${file} }\n`],
    env: { PG_PASSWORD: "from env" },
  });
  const passwords = [one, two, three, four].map(({ config }) => config.postgres.password);
  assert.deepEqual(passwords, ["from file", "from file", "from file", "from env"]);
  await Deno.writeTextFile(file, "\n");
  const [empty] = await refusal({ env: { BACKUPCTL_POSTGRES_PASSWORD_FILE: file } });
  assert.equal(
    empty,
    "environment variable BACKUPCTL_POSTGRES_PASSWORD_FILE: postgres.password: " +
      "the value is empty; leave the key out instead",
  );
  await Deno.remove(file);
  const [line] = await refusal({ env: { PG_PASSWORD_FILE: file } });
  assert.match(
    line!,
    /environment variable PG_PASSWORD_FILE: postgres.password: the file .* cannot/,
  );
});

Deno.test("loadConfig() refuses a file with a secret that others may read", async () => {
  const text = "postgres: { password: hunter2 }\n";
  const lines = await refusal({ texts: [text], mode: 0o644 });
  assert.match(
    lines[0]!,
    /^0.yaml: holds a secret \(postgres\.password\) and may be read by others \(mode 0644\)/,
  );
  assert.equal((await load({ texts: [text], mode: 0o600 })).config.postgres.password, "hunter2");
  const hook = "alerts: { webhooks: [{ url: https://x.example/s }] }\nlisten_token: t\n";
  const [both] = await refusal({ texts: [hook], mode: 0o640 });
  assert.match(both!, /holds a secret \(alerts\.webhooks\[0\]\.url, listen_token\) and/);
  const file = await Deno.makeTempFile();
  await Deno.writeTextFile(file, "s3cret");
  const open = `postgres: { password_file: ${file}, user: x }\nmetadata: { url: off }\n`;
  assert.equal((await load({ texts: [open], mode: 0o644 })).config.metadata.url, "off");
  await Deno.remove(file);
});

Deno.test("loadConfig() never repeats a secret in a message", async () => {
  const lines = await refusal({
    texts: [
      'postgres: { password: [canary1] }\nalerts: { webhooks: [{ url: "ftp://canary2", secret: {a: canary3} }] }\n' +
      "metadata: { url: http://u:canary4@host }\nrepository: { secret_access_key: {canary5: 1} }\n",
      'postgres:\n  password: "canary6\n  user: x\n',
      "postgres:\n  password: canary7\n  password: canary8\n",
      "postgres: { password: *canary9 }\n",
    ],
  });
  assert.doesNotMatch(lines.join("\n").replace(/secret_access_key.canary5/, ""), /canary/);
});

Deno.test("loadConfig() refuses a relative path of the repository, wherever it is set", async () => {
  const message = "is a relative path, which archive_command and restore_command would look for " +
    'in the data directory; write it absolute, such as "/srv/backups"';
  const [inFile] = await refusal({ texts: ["repository: { path: ./backups }\n"] });
  assert.equal(inFile, `0.yaml:1:15: repository.path: "./backups" ${message}`);
  const [inVariable] = await refusal({ env: { BACKUPCTL_REPOSITORY_PATH: "backups" } });
  const place = "environment variable BACKUPCTL_REPOSITORY_PATH";
  assert.equal(inVariable, `${place}: repository.path: "backups" ${message}`);
});

for (
  const key of [
    ...["postgres.password_file", "repository.ca_file", "repository.secret_access_key_file"],
    ...["encryption.identity_file", "wal.spool", "log.file", "listen_token_file"],
  ]
) {
  Deno.test(`loadConfig() refuses a relative ${key}, which archive_command reads, too`, async () => {
    const [section, leaf] = key.includes(".") ? key.split(".") : [undefined, key];
    const text = section === undefined ? `${leaf}: x/y\n` : `${section}: { ${leaf}: x/y }\n`;
    const lines = await refusal({ texts: [text] });
    const message = "is a relative path, which archive_command and restore_command would look " +
      "for in the data directory; write it absolute";
    assert.ok(lines.some((line) => line.endsWith(`: ${key}: "x/y" ${message}`)), lines.join("\n"));
  });
}

for (
  const [variable, key] of [
    ["PG_PASSWORD_FILE", "postgres.password"],
    ["AWS_SECRET_ACCESS_KEY_FILE", "repository.secret_access_key"],
    ["BACKUPCTL_REPOSITORY_BUCKET_FILE", "repository.bucket"],
    ["BACKUPCTL_ENCRYPTION_RECIPIENTS_FILE", "encryption.recipients"],
  ] as const
) {
  Deno.test(`loadConfig() refuses a relative file in ${variable}, too`, async () => {
    const lines = await refusal({ env: { [variable]: "deno.json" } });
    const message = "is a relative path, which archive_command and restore_command would look " +
      "for in the data directory; write it absolute";
    const expected = `environment variable ${variable}: ${key}: "deno.json" ${message}`;
    assert.ok(lines.includes(expected), lines.join("\n"));
  });
}

Deno.test("loadConfig() drops a session token that belongs to other keys", async () => {
  const { config } = await load({
    texts: ["repository: { bucket: abc, access_key_id: A, secret_access_key: B }\n"],
    env: { AWS_SESSION_TOKEN: "stale" },
  });
  assert.equal(config.repository.session_token, undefined);
});

Deno.test("loadConfig() takes the strongest source's bucket or path as the repository", async () => {
  const texts = ["repository: { path: /from/file }\n"];
  assert.equal((await load({ texts })).config.repository.type, "directory");
  const both = await load({ texts, env: { S3_BUCKET: "my-bucket" } });
  assert.equal(both.config.repository.type, "s3");
  const said = await load({
    texts: ["repository: { type: directory, path: /from/file }\n"],
    env: { S3_BUCKET: "my-bucket" },
  });
  assert.equal(said.config.repository.type, "directory");
});

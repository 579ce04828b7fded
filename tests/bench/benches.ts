import { SHOP } from "../support/shop_cluster.ts";
import { serverUser } from "../support/server_user.ts";
import { runBackupctl, type RunResult } from "../tasks/run_backupctl.ts";
import type { Bench, BenchContext, Run } from "./measure.ts";

/** Runs a shell line as the server's user with PostgreSQL's programs in PATH, and times it. */
async function shell(line: string, { cluster, folder }: BenchContext): Promise<Run> {
  const started = performance.now();
  const { success, stderr } = await new Deno.Command("bash", {
    args: ["-c", `set -eo pipefail; ${line}`],
    cwd: folder,
    env: {
      PATH: `${cluster.binDir}:/usr/bin:/bin`,
      PGHOST: "127.0.0.1",
      PGPORT: String(cluster.port),
      PGUSER: cluster.user,
    },
    stdin: "null",
    stdout: "null",
    stderr: "piped",
    ...serverUser(),
  }).output();
  if (!success) throw new Error(`${line}: ${new TextDecoder().decode(stderr)}`);
  return { seconds: (performance.now() - started) / 1000 };
}

function environment({ cluster, folder }: BenchContext): Record<string, string> {
  return {
    PG_HOST: "127.0.0.1",
    PG_PORT: String(cluster.port),
    PG_USER: cluster.user,
    PG_DATABASE: SHOP,
    BACKUPCTL_CLUSTER: "bench",
    BACKUPCTL_METADATA_URL: "off",
    BACKUPCTL_REPOSITORY_TYPE: "directory",
    BACKUPCTL_REPOSITORY_PATH: `${folder}/repository`,
    BACKUPCTL_POSTGRES_BIN: cluster.binDir,
  };
}

/** Runs backupctl; `changes` to its environment. */
async function ours(
  args: readonly string[],
  context: BenchContext,
  changes: Readonly<Record<string, string>> = {},
): Promise<RunResult> {
  const env = { ...environment(context), ...changes };
  const result = await runBackupctl(args, { env, cwd: context.folder, stderr: "piped" });
  if (result.code !== 0) throw new Error(`backupctl ${args.join(" ")}: ${result.stderr}`);
  return result;
}

async function backup(
  args: readonly string[],
  context: BenchContext,
  changes: Readonly<Record<string, string>> = {},
): Promise<Run> {
  await fresh(context);
  const { document, seconds, peakBytes } = await ours(
    ["backup", "full", ...args],
    context,
    changes,
  );
  const made = document?.backup as Record<string, unknown>;
  return {
    seconds,
    peakBytes,
    bytes: Number(made.size_bytes),
    storedBytes: Number(made.stored_bytes),
  };
}

/** The same work begins on an empty disk each time, with nothing left to be written back. */
async function fresh(context: BenchContext): Promise<void> {
  for (const name of ["repository", "sealed", "floor", "restored"]) {
    await Deno.remove(`${context.folder}/${name}`, { recursive: true }).catch(() => {});
  }
  for (const name of ["repository", "sealed"]) {
    await Deno.mkdir(`${context.folder}/${name}`, { mode: 0o700 });
  }
  await shell("sync", context);
}

const PHYSICAL = ["--method", "physical", "--fast-checkpoint"];
const LOGICAL = ["--method", "logical", "--database", SHOP];

const physicalFull: Bench = {
  name: "physical",
  what: "full backup, zstd-1, to a folder / pg_basebackup -Ft -D - | zstd -1 -T0 > file",
  asked: { least: 0.8 },
  async floor(context) {
    await fresh(context);
    return await shell("pg_basebackup -c fast -X fetch -Ft -D - | zstd -q -1 -T0 > floor", context);
  },
  ours: (context) => backup(PHYSICAL, context),
};

const logicalGzip: Bench = {
  name: "logical-gzip",
  what: "dump with gzip, to a folder / pg_dump -Fc -Z0 | gzip -6 > file",
  asked: { least: 3 },
  async floor(context) {
    await fresh(context);
    return await shell(`pg_dump -Fc -Z0 ${SHOP} | gzip -6 > floor`, context);
  },
  ours: (context) => backup(LOGICAL, context),
};

const logicalZstd: Bench = {
  name: "logical-zstd",
  what: "dump with zstd-1, to a folder / pg_dump -Fc -Z0 > /dev/null (times)",
  asked: { most: 1.5 },
  floor: (context) => shell(`pg_dump -Fc -Z0 ${SHOP} > /dev/null`, context),
  ours: (context) => backup(LOGICAL, context, { BACKUPCTL_COMPRESSION_DUMPS: "zstd:1" }),
};

const restore: Bench = {
  name: "restore",
  what: "physical restore from a folder, synced / zstd -dc | tar x",
  asked: { least: 0.8 },
  async prepare(context) {
    await backup(PHYSICAL, context);
    await shell("pg_basebackup -c fast -X fetch -Ft -D - | zstd -q -1 -T0 > base.tar.zst", context);
  },
  async floor(context) {
    await emptyTarget(context);
    return await shell("zstd -dc base.tar.zst | tar x -C restored", context);
  },
  ours: (context) => restoreNewest(context),
};

async function restoreNewest(
  context: BenchContext,
  changes: Readonly<Record<string, string>> = {},
): Promise<Run> {
  await emptyTarget(context);
  const args = ["restore", "--destination", `${context.folder}/restored`];
  const { document, seconds, peakBytes } = await ours(args, context, changes);
  return { seconds, peakBytes, bytes: Number(document?.size_bytes) };
}

async function emptyTarget(context: BenchContext): Promise<void> {
  await Deno.remove(`${context.folder}/restored`, { recursive: true }).catch(() => {});
  await shell("mkdir -m 700 restored && sync", context);
}

/** Of the context's folder: where encrypted backups are, what encrypts and what opens them. */
async function sealing({ folder }: BenchContext): Promise<Record<string, string>> {
  const identity = await Deno.readTextFile(`${folder}/identity.txt`);
  return {
    BACKUPCTL_REPOSITORY_PATH: `${folder}/sealed`,
    BACKUPCTL_ENCRYPTION_RECIPIENTS: identity.match(/age1[a-z0-9]+/)![0],
    BACKUPCTL_ENCRYPTION_IDENTITY_FILE: `${folder}/identity.txt`,
  };
}

async function makeIdentity(context: BenchContext): Promise<void> {
  await Deno.remove(`${context.folder}/identity.txt`).catch(() => {});
  await ours(["key", "generate", `${context.folder}/identity.txt`], context);
}

const sealedFull: Bench = {
  name: "sealed",
  what: "encrypted full backup to a folder / the same in the clear",
  asked: { least: 0.7 },
  prepare: makeIdentity,
  floor: (context) => backup(PHYSICAL, context),
  ours: async (context) => backup(PHYSICAL, context, await sealing(context)),
};

const sealedRestore: Bench = {
  name: "sealed-restore",
  what: "restore of an encrypted backup from a folder / of one in the clear",
  asked: { least: 0.7 },
  async prepare(context) {
    await makeIdentity(context);
    await backup(PHYSICAL, context);
    await ours(["backup", "full", ...PHYSICAL], context, await sealing(context));
  },
  floor: (context) => restoreNewest(context),
  ours: async (context) => restoreNewest(context, await sealing(context)),
};

const version: Bench = {
  name: "version",
  what: "backupctl version from source / an empty Deno program (times)",
  asked: { seconds: 0.15 },
  async floor(context) {
    await Deno.writeTextFile(`${context.folder}/empty.ts`, "");
    const started = performance.now();
    await new Deno.Command(Deno.execPath(), {
      args: ["run", "--quiet", `${context.folder}/empty.ts`],
    }).output();
    return { seconds: (performance.now() - started) / 1000 };
  },
  ours: (context) => ours(["version"], context),
};

/** In the order in which they are run. */
export const BENCHES: readonly Bench[] = [
  version,
  physicalFull,
  logicalGzip,
  logicalZstd,
  restore,
  sealedFull,
  sealedRestore,
];

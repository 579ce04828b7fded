/**
 * `deno task demo [--megabytes N]`: backupctl's main job before your eyes, on a throwaway cluster. Fills a
 * database, backs it up (physical and logical) into a folder, writes more rows, restores both and
 * compares every table. Ends with 1 when anything differs. With S3_BUCKET in the environment the
 * repository is in that bucket, as it would be for backupctl itself.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { formatBytes, formatSeconds } from "../../src/domain/bytes.ts";
import { type Cluster, makeServerFolder, startCluster } from "../support/postgres_cluster.ts";
import {
  SHOP,
  startShop,
  type TableState,
  tableStates,
  writeMore,
} from "../support/shop_cluster.ts";
import { ensurePostgres } from "./ensure_postgres.ts";
import { runBackupctl, type RunResult } from "./run_backupctl.ts";

const { values: flags } = parseArgs({
  args: Deno.args,
  options: { megabytes: { type: "string", default: "320" } },
});
const MEGABYTES = Number(flags.megabytes);
const color = Deno.stdout.isTerminal() && !Deno.env.get("NO_COLOR");
const bold = (text: string) => color ? `\x1b[1m${text}\x1b[0m` : text;
const green = (text: string) => color ? `\x1b[32m${text}\x1b[0m` : text;
const red = (text: string) => color ? `\x1b[31m${text}\x1b[0m` : text;

interface Measured {
  readonly name: string;
  readonly sourceBytes: number;
  readonly storedBytes: number;
  readonly upSeconds: number;
  readonly downSeconds: number;
}

function heading(step: number, text: string): void {
  interrupted.signal.throwIfAborted();
  console.log(`\n${bold(`${step}. ${text}`)}`);
}

/** Ctrl-C reaches the children too: the step under way fails, and everything is cleaned up. */
const interrupted = new AbortController();

/** Runs backupctl as a user would, shows the command, and insists on success. */
async function backupctl(args: readonly string[], folder: string, env: Record<string, string>) {
  console.log(`   $ backupctl ${args.join(" ").replaceAll(folder, "…")}`);
  const result = await runBackupctl([...args, "--log-format", "text"], { env, cwd: folder });
  interrupted.signal.throwIfAborted();
  if (result.code !== 0) throw new Error(`backupctl ${args[0]} ended with ${result.code}`);
  return result;
}

function backupOf({ document }: RunResult): { id: string; raw: number; stored: number } {
  const backup = document?.backup as Record<string, unknown>;
  return {
    id: String(backup.id),
    raw: Number(backup.size_bytes),
    stored: Number(backup.stored_bytes),
  };
}

function environment(source: Cluster, folder: string): Record<string, string> {
  return {
    PG_HOST: "127.0.0.1",
    PG_PORT: String(source.port),
    PG_USER: source.user,
    PG_DATABASE: SHOP,
    BACKUPCTL_CLUSTER: "demo",
    ...(!Deno.env.get("S3_BUCKET") && {
      BACKUPCTL_REPOSITORY_TYPE: "directory",
      BACKUPCTL_REPOSITORY_PATH: `${folder}/repository`,
    }),
    BACKUPCTL_POSTGRES_BIN: source.binDir,
  };
}

/** Says of each table whether the copy holds what the source held; returns whether all do. */
function compare(expected: readonly TableState[], copy: readonly TableState[]): boolean {
  let equal = true;
  for (const [index, { name, rows, hash }] of expected.entries()) {
    const same = copy[index]?.rows === rows && copy[index]?.hash === hash;
    equal &&= same;
    const verdict = same ? green("equal") : red(`DIFFERS: ${copy[index]?.rows} rows`);
    console.log(`   ${name.padEnd(12)} ${String(rows).padStart(9)} rows   ${verdict}`);
  }
  return equal;
}

function printTable(rows: readonly Measured[]): void {
  const rate = (bytes: number, seconds: number) => (bytes / 1e6 / seconds).toFixed(0);
  console.log(`\n${bold("             source      stored   ratio   MB/s up   MB/s down")}`);
  for (const { name, sourceBytes, storedBytes, upSeconds, downSeconds } of rows) {
    console.log([
      name.padEnd(9),
      formatBytes(sourceBytes).padStart(9),
      formatBytes(storedBytes).padStart(11),
      `${(sourceBytes / storedBytes).toFixed(1)}:1`.padStart(7),
      rate(sourceBytes, upSeconds).padStart(9),
      rate(sourceBytes, downSeconds).padStart(11),
    ].join(" "));
  }
}

async function demo(folder: string): Promise<boolean> {
  const started = performance.now();
  const { major } = await ensurePostgres((line) => console.log(line));
  heading(1, `A throwaway PostgreSQL ${major} with about ${MEGABYTES} MB in the database "shop"`);
  await using source = await startShop({ megabytes: MEGABYTES });
  const before = await tableStates(source);
  const rows = before.reduce((total, table) => total + table.rows, 0);
  console.log(`   ${before.length} tables, ${rows.toLocaleString("en")} rows`);
  const env = environment(source, folder);
  await Deno.mkdir(`${folder}/repository`, { mode: 0o700 });

  const place = Deno.env.get("S3_BUCKET") ? "S3" : "a folder";
  heading(2, `Back it up into ${place}: the whole cluster, and the databases as dumps`);
  const physical = await backupctl(
    ["backup", "full", "--method", "physical", "--fast-checkpoint", "--label", "demo"],
    folder,
    env,
  );
  const logical = await backupctl(["backup", "full", "--method", "logical"], folder, env);
  const [cluster, dump] = [backupOf(physical), backupOf(logical)];

  heading(3, "Life goes on: rows are added, changed and deleted");
  await writeMore(source);

  heading(4, "Restore the cluster, start it, compare");
  const target = `${folder}/restored`;
  await Deno.mkdir(target, { mode: 0o700 });
  const owner = await Deno.stat(folder);
  if (Deno.uid() === 0) await Deno.chown(target, owner.uid!, owner.gid!);
  const physicalDown = await backupctl(
    ["restore", "--backup-id", cluster.id, "--destination", target],
    folder,
    env,
  );
  await using restored = await source.startFrom(target);
  let equal = compare(before, await tableStates(restored));

  heading(5, "Restore the dump into an empty server, compare");
  await using empty = await startCluster();
  const into = `postgres://${empty.user}@127.0.0.1:${empty.port}/postgres`;
  const logicalDown = await backupctl(
    ["restore", "--backup-id", dump.id, "--into", into],
    folder,
    env,
  );
  equal = compare(before, await tableStates(empty)) && equal;

  printTable([
    measured("physical", cluster, [physical.seconds, physicalDown.seconds]),
    measured("logical", dump, [logical.seconds, logicalDown.seconds]),
  ]);
  const seconds = formatSeconds((performance.now() - started) / 1000);
  console.log(
    equal
      ? `\n${
        green(`Every table of both restores equals the source at the time of its backup.`)
      } ${seconds}`
      : `\n${red("A restore differs from its source.")} ${seconds}`,
  );
  return equal;
}

function measured(
  name: string,
  { raw, stored }: { readonly raw: number; readonly stored: number },
  [upSeconds, downSeconds]: readonly [number, number],
): Measured {
  return { name, sourceBytes: raw, storedBytes: stored, upSeconds, downSeconds };
}

async function main(): Promise<number> {
  const folder = await makeServerFolder("backupctl-demo-");
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    Deno.addSignalListener(signal, () => interrupted.abort(new Error(`interrupted by ${signal}`)));
  }
  try {
    return await demo(folder) ? 0 : 1;
  } catch (error) {
    console.error(red(`error: ${error instanceof Error ? error.message : error}`));
    return 1;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

if (import.meta.main) Deno.exit(await main());

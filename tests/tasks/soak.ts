/**
 * `deno task soak [--minutes N] [--every SECONDS]`: the daemon on a server under pgbench, with WAL
 * archived, a physical backup every minute and a prune every five. Each backup is restored, rolled
 * forward to the end of the archive, started, and its books are compared: accounts, tellers,
 * branches and history of pgbench add up to the same sum, and no transaction that an earlier
 * restore had is missing. The daemon's memory and descriptors must stay flat. Ends with 1 when
 * anything of that fails.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { formatBytes } from "../../src/domain/bytes.ts";
import { Daemon } from "../support/daemon_rig.ts";
import { InstalledProgram } from "../support/installed_program.ts";
import { type Cluster, makeServerFolder, startCluster } from "../support/postgres_cluster.ts";
import { cleanEnvironment } from "../support/run_cli.ts";
import { giveToServer, serverUser } from "../support/server_user.ts";
import { ensurePostgres } from "./ensure_postgres.ts";

const { values: flags } = parseArgs({
  args: Deno.args,
  options: {
    minutes: { type: "string", default: "30" },
    every: { type: "string", default: "60" },
  },
});
const MINUTES = Number(flags.minutes);
const EVERY = Number(flags.every);

/** Of pgbench: 200,000 accounts, about 30 MB. */
const SCALE = 2;
/** Transactions in a second: a steady load that leaves the machine room to restore. */
const RATE = 300;
/** Each call of pgbench; the last one is waited for. */
const SLICE_SECONDS = 10;
/** The first minute fills caches and is not compared. */
const WARM_UP_SECONDS = 60;
/** Growth from the first to the last third of the run that is still flat. */
const FLAT_BYTES = 25e6;
const FLAT_DESCRIPTORS = 4;

/** What /metrics said of the process. */
interface Figures {
  readonly second: number;
  readonly bytes: number;
  readonly descriptors: number;
}

interface Soak {
  readonly cluster: Cluster;
  readonly program: InstalledProgram;
  readonly folder: string;
  readonly config: string;
  readonly env: Record<string, string>;
}

const stop = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  Deno.addSignalListener(signal, () => stop.abort(new Error(`interrupted by ${signal}`)));
}

async function prepare(folder: string, program: InstalledProgram): Promise<Soak> {
  await Deno.mkdir(`${folder}/repository`);
  const config = `${folder}/config.yaml`;
  const env = { ...cleanEnvironment(), ...program.env, HOME: folder };
  const cluster = await startCluster({
    archive: `${program.path} --config ${config} wal-push %p`,
    settings: { wal_level: "replica", checkpoint_timeout: "30s", archive_timeout: 20 },
    walSegmentMb: 4,
    env,
  });
  const cron = EVERY % 60 === 0 ? `*/${EVERY / 60} * * * *` : `*/${EVERY} * * * * *`;
  await Deno.writeTextFile(
    config,
    [
      "cluster: soak",
      `postgres: { host: 127.0.0.1, port: ${cluster.port}, user: ${cluster.user}, ` +
      `database: postgres, bin: ${cluster.binDir} }`,
      `repository: { type: directory, path: ${folder}/repository }`,
      'retention: "last-retain=4,min-redundancy=2,pitr-window=10m"',
      "schedule:",
      `  - { name: full, cron: "${cron}", run: "backup full --method physical --fast-checkpoint" }`,
      '  - { name: prune, cron: "*/5 * * * *", run: "prune" }',
      "",
    ].join("\n"),
  );
  await giveToServer(folder);
  await cluster.run("pgbench", ["-i", "-q", "-s", String(SCALE), "postgres"]);
  return { cluster, program, folder, config, env };
}

/** pgbench's own transactions (TPC-B) over two connections. @returns how many. */
async function load({ cluster }: Soak, signal: AbortSignal): Promise<number> {
  const rate = ["-n", "-c", "2", "-T", String(SLICE_SECONDS), "-R", String(RATE)];
  let count = 0;
  while (!signal.aborted) {
    const { output } = await cluster.run("pgbench", [...rate, "postgres"]);
    const done = /transactions actually processed: (\d+)/.exec(output)?.[1];
    if (done === undefined) throw new Error(`pgbench said ${output}`);
    count += Number(done);
  }
  return count;
}

/** What every restored copy must be: of one sum, and whole. */
const BOOKS = `select count(*)::int as transactions, coalesce(sum(delta), 0)::bigint as history,
  (select sum(abalance)::bigint from pgbench_accounts) as accounts,
  (select sum(tbalance)::bigint from pgbench_tellers) as tellers,
  (select sum(bbalance)::bigint from pgbench_branches) as branches,
  (select count(*)::int from pgbench_accounts) as owners from pgbench_history`;

/** @returns how many transactions a copy has. @throws {Error} when its books do not agree. */
async function audit(copy: Cluster, { id, atLeast }: { id: string; atLeast: number }) {
  const [row] = await copy.query(BOOKS);
  const of = (name: string) => String(row![name]);
  const sums = ["history", "accounts", "tellers", "branches"].map(of);
  if (new Set(sums).size !== 1 || of("owners") !== String(SCALE * 100_000)) {
    throw new Error(`${id} restored has ${of("owners")} accounts, and the sums ${sums.join(", ")}`);
  }
  const transactions = Number(row!["transactions"]);
  if (transactions >= atLeast) return transactions;
  throw new Error(`${id} restored has ${transactions} transactions, one before had ${atLeast}`);
}

/** Restores a backup, starts it and adds up. @throws {Error} when the books do not agree. */
async function restore(
  soak: Soak,
  { id, number, atLeast }: { id: string; number: number; atLeast: number },
): Promise<{ readonly transactions: number; readonly text: string }> {
  const { cluster, program, folder, config, env } = soak;
  const began = performance.now();
  const target = `${folder}/restored-${number}`;
  const args = ["restore", "--backup-id", id, "--latest", "--destination", target];
  const result = await program.run([...args, "--config", config], { env });
  if (result.status !== 0) throw new Error(`restore of ${id}: ${result.stderr}`);
  try {
    await using restored = await cluster.startFrom(target);
    const ready = "select pg_is_in_recovery() as waits";
    while ((await restored.query(ready))[0]!["waits"] === true) {
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    const transactions = await audit(restored, { id, atLeast });
    const seconds = ((performance.now() - began) / 1000).toFixed(1);
    return {
      transactions,
      text: `${id} restored and right, ${transactions} transactions, ${seconds} s`,
    };
  } finally {
    await Deno.remove(target, { recursive: true });
  }
}

async function measure(listen: string, began: number): Promise<Figures> {
  const text = await (await fetch(`http://${listen}/metrics`)).text();
  const value = (name: string) => Number(new RegExp(`^${name} (\\S+)$`, "m").exec(text)?.[1]);
  return {
    second: (performance.now() - began) / 1000,
    bytes: value("process_resident_memory_bytes"),
    descriptors: value("process_open_fds"),
  };
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;
}

/** @returns what is wrong with the figures; undefined when they are flat. */
function growth(all: readonly Figures[]): string | undefined {
  const figures = all.filter(({ second }) => second > WARM_UP_SECONDS);
  const third = Math.max(1, Math.floor(figures.length / 3));
  const [first, last] = [figures.slice(0, third), figures.slice(-third)];
  const [bytes, descriptors] = [
    [first, last].map((part) => median(part.map((one) => one.bytes))),
    [first, last].map((part) => median(part.map((one) => one.descriptors))),
  ];
  console.log(
    `daemon: ${formatBytes(bytes[0]!)} → ${formatBytes(bytes[1]!)} resident, ` +
      `${descriptors[0]} → ${descriptors[1]} descriptors (medians of the first and last third, ` +
      `n=${figures.length})`,
  );
  if (bytes[1]! - bytes[0]! > FLAT_BYTES) return "the daemon's memory grows";
  return descriptors[1]! - descriptors[0]! > FLAT_DESCRIPTORS ? "its descriptors grow" : undefined;
}

async function soak(parts: Soak): Promise<boolean> {
  const { program, config, env, folder } = parts;
  await using daemon = new Daemon(
    ["--config", config, "--listen", "127.0.0.1:0"],
    env,
    (args, options) =>
      new Deno.Command(program.path, {
        ...{ args: [...args], cwd: folder, env: { ...options?.env }, clearEnv: true },
        ...{ stdin: "null", stdout: "piped", stderr: "piped", ...serverUser() },
      }).spawn(),
  );
  const over = new AbortController();
  const faults: string[] = [];
  const figures: Figures[] = [];
  const began = performance.now();
  const listen = String((await daemon.until("daemon.started"))["listen"]);
  const loading = load(parts, over.signal).catch((error) => {
    faults.push(String(error));
    return 0;
  });
  let [restored, right, transactions] = [0, 0, 0];
  while (performance.now() - began < MINUTES * 60_000 && !stop.signal.aborted) {
    await new Promise((resolve) => setTimeout(resolve, 2000));
    const now = await measure(listen, began).catch(() => undefined);
    if (now && Number.isFinite(now.bytes)) figures.push(now);
    const done = daemon.events.filter(({ event }) => event === "backup.finished");
    if (done.length <= restored) continue;
    const id = String(done[restored++]!["backup_id"]);
    const line = await restore(parts, { id, number: restored, atLeast: transactions })
      .then((found) => {
        right++;
        transactions = found.transactions;
        return found.text;
      })
      .catch((error) => {
        faults.push(String(error));
        return `FAILED: ${error}`;
      });
    const minute = ((performance.now() - began) / 60_000).toFixed(1).padStart(5);
    console.log(`${minute} min  ${line}, daemon ${formatBytes(now?.bytes ?? 0)}`);
  }
  over.abort();
  const loaded = await loading;
  daemon.signal("SIGTERM");
  const status = await daemon.status();
  if (status !== 0) faults.push(`the daemon ended with ${status}`);
  for (const { message } of daemon.events.filter(({ event }) => event === "schedule.failed")) {
    faults.push(message);
  }
  const count = (event: string) => daemon.events.filter((one) => one.event === event).length;
  console.log(
    `${count("backup.finished")} backups, ${right} restored and right, ` +
      `${count("prune.finished")} prunes, ${count("schedule.skipped")} skipped, ` +
      `${loaded} transactions of pgbench`,
  );
  const grown = growth(figures);
  if (grown !== undefined) faults.push(grown);
  if (restored === 0) faults.push("nothing was restored");
  for (const fault of faults) console.error(`FAULT: ${fault}`);
  return faults.length === 0;
}

async function main(): Promise<number> {
  await ensurePostgres((line) => console.log(line));
  await using program = await InstalledProgram.install();
  const folder = await makeServerFolder("backupctl-soak-");
  try {
    const parts = await prepare(folder, program);
    try {
      return await soak(parts) ? 0 : 1;
    } finally {
      await parts.cluster[Symbol.asyncDispose]();
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

if (import.meta.main) Deno.exit(await main());

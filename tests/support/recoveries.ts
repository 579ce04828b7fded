/** Real recoveries of real backups: a source that archives, restored copies that replay. */
import { WorkerPool } from "../../src/codec/worker_pool.ts";
import type { BackupManifest } from "../../src/catalog/catalog.ts";
import { systemClock } from "../../src/domain/clock.ts";
import type { RecoverySettings } from "../../src/engine/recovery/recovery_settings.ts";
import type { RecoveryTexts } from "../../src/engine/recovery/recovery_target.ts";
import { parseRecoveryRequest } from "../../src/engine/recovery/recovery_target.ts";
import type { StartedServer } from "../../src/engine/recovery/start_restored.ts";
import { startRestored } from "../../src/engine/recovery/start_restored.ts";
import { writeRecoverySettings } from "../../src/engine/recovery/write_recovery_settings.ts";
import { LocalPrograms } from "../../src/postgres/client_programs.ts";
import { StreamSource } from "../../src/postgres/replication/stream_base_backup.ts";
import { MemoryStore } from "../../src/storage/memory.ts";
import postgres from "postgres";
import { restoreBackup, type Rig, takeBackup } from "./physical_backups.ts";
import { type Cluster, makeServerFolder } from "./postgres_cluster.ts";
import { runAsServer } from "./postgres_process.ts";
import { serverUser } from "./server_user.ts";

/** A moment of the source, and the rows that it had. */
export interface Moment {
  /** The last row. */
  readonly row: number;
  readonly xid: string;
  /** Behind the commit. */
  readonly lsn: string;
  /** Between this commit and the next. */
  readonly time: string;
}

/** Whatever answers SQL: a cluster, or a server that was restored. */
export interface Queryable {
  query(
    text: string,
    options?: { readonly parameters?: readonly (string | number)[] },
  ): Promise<Record<string, unknown>[]>;
}

/** Runs a statement on a server of this machine, as the superuser. */
export async function querySteps(
  port: number,
  text: string,
  { parameters = [] }: { readonly parameters?: readonly (string | number)[] } = {},
): Promise<Record<string, unknown>[]> {
  const sql = postgres({
    ...{ host: "127.0.0.1", port, user: "postgres", database: "postgres" },
    ...{ max: 1, onnotice: () => {} },
  });
  try {
    return [...await sql.unsafe(text, [...parameters])];
  } finally {
    await sql.end({ timeout: 1 });
  }
}

/** Makes the table that moments are counted in. */
export async function createSteps(cluster: Cluster): Promise<void> {
  await cluster.query("create table steps (row int primary key, filler text)");
}

/** Commits the next row, in a transaction of its own, and says when that was. */
export async function step(cluster: Queryable, row: number): Promise<Moment> {
  const [inserted] = await cluster.query(
    "insert into steps values ($1, repeat('x', 500)) returning txid_current()::text as xid",
    { parameters: [row] },
  );
  // A clock that stands still between two commits would leave nothing in between to aim at.
  const [now] = await cluster.query(
    "select pg_sleep(0.002), pg_current_wal_insert_lsn()::text as lsn, " +
      "to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') as time",
  );
  return { row, xid: String(inserted!.xid), lsn: String(now!.lsn), time: String(now!.time) };
}

/** Ends the current segment and waits until the archiver has stored it. */
export async function archiveNow(cluster: Cluster): Promise<void> {
  const [switched] = await cluster.query(
    "select pg_walfile_name(pg_switch_wal()) as name from pg_sleep(0)",
  );
  await archived(cluster, String(switched!.name));
}

/** Waits until the archiver has stored `name` or a later file. */
export async function archived(cluster: Queryable, name: string): Promise<void> {
  const deadline = Date.now() + 30_000;
  for (;;) {
    const [row] = await cluster.query(
      "select last_archived_wal as last, last_failed_wal as failed from pg_stat_archiver",
    );
    if (String(row!.last ?? "") >= name) return;
    if (Date.now() > deadline) throw new Error(`${name} was not archived: ${JSON.stringify(row)}`);
    await new Promise((resolve) => setTimeout(resolve, 30));
  }
}

/** A backup that can be restored again and again. */
export class RestorableBackup implements AsyncDisposable {
  readonly manifest: BackupManifest;
  readonly #cluster: Cluster;
  readonly #rig: Rig & { readonly codecs: WorkerPool };
  readonly #copies: RestoredCopy[] = [];

  private constructor(
    cluster: Cluster,
    rig: Rig & { readonly codecs: WorkerPool },
    manifest: BackupManifest,
  ) {
    this.#cluster = cluster;
    this.#rig = rig;
    this.manifest = manifest;
  }

  /** Takes it from `cluster`. */
  static async take(cluster: Cluster): Promise<RestorableBackup> {
    const rig = { store: new MemoryStore(), codecs: new WorkerPool(2) };
    const taken = await takeBackup(rig, new StreamSource(cluster.connection()));
    const manifest = { ...taken, postgresVersion: cluster.major * 10_000 };
    return new RestorableBackup(cluster, rig, manifest);
  }

  /** Restores it into a folder of its own, with everything but the recovery settings. */
  async restore(): Promise<RestoredCopy> {
    const folder = await makeServerFolder("backupctl-pitr-");
    const dataDirectory = `${folder}/data`;
    await Deno.mkdir(dataDirectory, { mode: 0o700 });
    const user = serverUser();
    if (user) await Deno.chown(dataDirectory, user.uid, user.gid);
    await restoreBackup(this.#rig, this.manifest, { destination: dataDirectory });
    const copy = new RestoredCopy(this.#cluster, { folder, dataDirectory });
    this.#copies.push(copy);
    return copy;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const copy of this.#copies) await copy[Symbol.asyncDispose]();
    this.#rig.codecs.close();
  }
}

/** A data directory that came from a backup, and its server. */
export class RestoredCopy implements AsyncDisposable {
  readonly dataDirectory: string;
  readonly #folder: string;
  readonly #cluster: Cluster;
  #port = 0;

  constructor(
    cluster: Cluster,
    { folder, dataDirectory }: { readonly folder: string; readonly dataDirectory: string },
  ) {
    this.#cluster = cluster;
    this.#folder = folder;
    this.dataDirectory = dataDirectory;
  }

  /** Writes the settings of a recovery. */
  async configure(
    texts: RecoveryTexts,
    { restoreCommand, timeline = 1, keepArchiving = false }: {
      readonly restoreCommand: string;
      readonly timeline?: number;
      readonly keepArchiving?: boolean;
    },
  ): Promise<void> {
    const request = parseRecoveryRequest(texts);
    const recovery: RecoverySettings | undefined = request && { request, timeline, restoreCommand };
    await writeRecoverySettings(this.dataDirectory, {
      postgresVersion: this.#cluster.major * 10_000,
      keepArchiving,
      ...(recovery && { recovery }),
    }, { owner: serverUser() });
  }

  /** Starts it as `restore --start` does. */
  async start(
    texts: RecoveryTexts,
    { timeout = 60_000, settings = {} }: {
      readonly timeout?: number;
      readonly settings?: Readonly<Record<string, string>>;
    } = {},
  ): Promise<StartedServer> {
    const request = parseRecoveryRequest(texts);
    this.#port = freePort();
    return await startRestored(new LocalPrograms({ bin: this.#cluster.binDir, env: ENVIRONMENT }), {
      dataDirectory: this.dataDirectory,
      postgresVersion: this.#cluster.major * 10_000,
      ...(request && { request }),
      settings: {
        ...{ port: String(this.#port), listen_addresses: "127.0.0.1", fsync: "off" },
        ...{ unix_socket_directories: this.#folder, ...settings },
      },
      uid: Deno.uid(),
      clock: systemClock,
      timeout,
    });
  }

  async query(text: string): Promise<Record<string, unknown>[]> {
    return await querySteps(this.#port, text);
  }

  /** The last row that it has. */
  async lastRow(): Promise<number> {
    const [found] = await this.query("select coalesce(max(row), 0) as row from steps");
    return Number(found!.row);
  }

  async stop(): Promise<void> {
    const args = ["-D", this.dataDirectory, "-m", "immediate", "-s", "stop"];
    await runAsServer(`${this.#cluster.binDir}/pg_ctl`, args, { cwd: this.#folder, env: {} })
      .catch(() => {}); // it does not run
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    await Deno.remove(this.#folder, { recursive: true }).catch((error) => {
      if (!(error instanceof Deno.errors.NotFound)) throw error; // the second time
    });
  }
}

const ENVIRONMENT = { PATH: Deno.env.get("PATH") ?? "/usr/bin:/bin", LC_ALL: "C", TZ: "UTC" };

function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

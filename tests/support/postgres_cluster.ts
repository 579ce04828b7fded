/**
 * Throwaway real PostgreSQL clusters.
 *
 *     await using cluster = await startCluster({ settings: { wal_level: "replica" } });
 *     await cluster.query("create table t as select 1");
 *     const source = new StreamSource(cluster.connection());
 *
 * Everything lies in one temporary folder and is gone after dispose. Servers listen on 127.0.0.1
 * and on a Unix socket in that folder, on a port of their own, without fsync.
 *
 * @module
 */
import postgres from "postgres";
import type { ConnectionOptions } from "../../src/postgres/postgres.ts";
import { type Certificates, makeCertificates } from "./certificates.ts";
import { defaultMajor, installationOf, majorOf } from "./postgres_binaries.ts";
import { PostgresProcess, runAsServer } from "./postgres_process.ts";
import { giveToServer, makeServerFolder } from "./server_user.ts";

export { type ClusterMajor, clusterMajors, defaultMajor, speaksTls } from "./postgres_binaries.ts";
export { giveToServer, makeServerFolder, serverUser } from "./server_user.ts";

/** How a cluster is made. */
export interface ClusterOptions {
  /** The folder of `initdb`; found when absent. */
  readonly binDir?: string;
  /** Of those in `BACKUPCTL_TEST_PG_BINS`. */
  readonly major?: number;
  /** Lines of postgresql.conf. */
  readonly settings?: Readonly<Record<string, string | number>>;
  /** @default {16} */
  readonly walSegmentMb?: number;
  /** @default {true} */
  readonly checksums?: boolean;
  /** How clients prove themselves; other than trust sets a password. @default {"trust"} */
  readonly auth?: "trust" | "scram-sha-256" | "md5" | "password";
  /** Lines of pg_hba.conf that stand before the usual ones. */
  readonly hba?: readonly string[];
  /** Offers TLS with certificates of its own; for other names than localhost's when given. @default {false} */
  readonly tls?: boolean | { readonly names: string };
  /** Names of tablespaces to create. */
  readonly tablespaces?: readonly string[];
  /** Archive: true copies into `archiveDir`; a text is the archive_command. */
  readonly archive?: boolean | string;
  /** Further environment of the server and its archive_command. */
  readonly env?: Readonly<Record<string, string>>;
}

/** What becomes of a server when it is stopped; pg_ctl's words. `crash` is SIGKILL. */
export type StopMode = "smart" | "fast" | "immediate" | "crash";

/** How a restored data directory is started. */
export interface StartOptions {
  /** Given on the command line: they win over the files. */
  readonly settings?: Readonly<Record<string, string | number>>;
  readonly env?: Readonly<Record<string, string>>;
}

interface Layout {
  readonly folder: string;
  readonly dataDir: string;
  readonly binDir: string;
  readonly major: number;
  readonly password: string | undefined;
  readonly certificates: Certificates | undefined;
  readonly settings: Readonly<Record<string, string | number>>;
  readonly env: Readonly<Record<string, string>>;
}

/** The superuser's password of clusters that ask for one. */
const PASSWORD = "s'ecret \\ : ü";

/** A running server, and the folder that it lies in. */
export class Cluster implements AsyncDisposable {
  readonly folder: string;
  readonly dataDir: string;
  readonly binDir: string;
  readonly major: number;
  /** The superuser. */
  readonly user = "postgres";
  readonly password: string | undefined;
  /** Undefined without `tls`. */
  readonly certificates: Certificates | undefined;
  readonly #layout: Layout;
  readonly #children: Cluster[] = [];
  #process: PostgresProcess | undefined;
  #port = 0;

  constructor(layout: Layout) {
    this.#layout = layout;
    this.folder = layout.folder;
    this.dataDir = layout.dataDir;
    this.binDir = layout.binDir;
    this.major = layout.major;
    this.password = layout.password;
    this.certificates = layout.certificates;
  }

  /** It stays the same when the server is started again, unless somebody took it. */
  get port(): number {
    return this.#port;
  }
  /** The folder of the Unix socket. */
  get socketDir(): string {
    return this.folder;
  }
  /** Where `archive: true` copies to. */
  get archiveDir(): string {
    return `${this.folder}/archive`;
  }
  /** The postmaster's process id. @throws {Error} when it is stopped. */
  get pid(): number {
    if (!this.#process) throw new Error("the cluster is stopped");
    return this.#process.pid;
  }
  /** What the server wrote to its log since it was started. */
  get log(): string {
    return this.#process?.log ?? "";
  }

  /** Over TCP, the superuser, database postgres; change what a test needs to. */
  connection(changes: Partial<ConnectionOptions> = {}): ConnectionOptions {
    return {
      host: "127.0.0.1",
      port: this.#port,
      user: this.user,
      ...(this.password !== undefined && { password: this.password }),
      database: "postgres",
      sslmode: "disable",
      ...changes,
    };
  }

  /** Runs a statement; without parameters several, separated by semicolons. */
  async query(
    text: string,
    { parameters, database = "postgres" }: {
      readonly parameters?: readonly (string | number | boolean | null)[];
      readonly database?: string;
    } = {},
  ): Promise<Record<string, unknown>[]> {
    const { host, port, user, password } = this.connection();
    const sql = postgres({
      ...{ host, port, user, database, max: 1, connect_timeout: 20, onnotice: () => {} },
      ...(password !== undefined && { password }),
    });
    try {
      return [...await sql.unsafe(text, parameters ? [...parameters] : [])];
    } finally {
      await sql.end({ timeout: 1 });
    }
  }

  /** Runs a script with psql, stopping at the first error, and returns its unaligned output. */
  async psql(script: string, { database = "postgres" } = {}): Promise<string> {
    const args = ["-XAtq", "-v", "ON_ERROR_STOP=1", "-f", "-", database];
    const { output } = await this.run("psql", args, { input: script });
    return output;
  }

  /** Runs one of the installation's programs as the server's user, connected to this cluster. */
  async run(
    program: string,
    args: readonly string[],
    { input }: { readonly input?: string } = {},
  ): Promise<{ readonly output: string; readonly errors: string }> {
    return await runAsServer(`${this.binDir}/${program}`, args, {
      cwd: this.folder,
      env: {
        ...this.#layout.env,
        PGHOST: this.socketDir,
        PGPORT: String(this.#port),
        PGUSER: this.user,
        ...(this.password !== undefined && { PGPASSWORD: this.password }),
      },
      ...(input !== undefined && { input }),
    });
  }

  /** Starts the server and waits until it answers. @throws {Error} with its log. */
  async start(): Promise<void> {
    const { settings, env } = this.#layout;
    const started = await PostgresProcess.start({
      binDir: this.binDir,
      dataDir: this.dataDir,
      folder: this.folder,
      settings,
      env,
      ...(this.#port > 0 && { port: this.#port }),
    });
    this.#process = started.process;
    this.#port = started.port;
    await this.query("select 1");
  }

  /** Ends the server, by its process id, and waits for its end. */
  async stop(mode: StopMode = "immediate"): Promise<void> {
    const process = this.#process;
    this.#process = undefined;
    await process?.stop(mode);
  }

  /** Resolves when the log has a line that matches; what it wrote already counts. */
  async logged(pattern: RegExp): Promise<void> {
    if (!this.#process) throw new Error("the cluster is stopped");
    await this.#process.logged(pattern);
  }

  /**
   * Starts a server on a restored data directory, with this cluster's programs and password, its
   * own port, and archiving off. It ends with this cluster; the directory stays the caller's.
   *
   * @throws {Error} with the log when recovery ends without an open server.
   */
  async startFrom(dataDir: string, { settings = {}, env = {} }: StartOptions = {}) {
    const folder = await makeServerFolder("backupctl-restored-");
    await giveToServer(dataDir);
    await giveTablespaces(dataDir);
    await Deno.chmod(dataDir, 0o700);
    const restored = new Cluster({
      ...this.#layout,
      folder,
      dataDir,
      settings: { archive_mode: "off", ...settings },
      env: { ...this.#layout.env, ...env },
    });
    this.#children.push(restored);
    await restored.start();
    return restored;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#children) await child[Symbol.asyncDispose]();
    await this.stop();
    await Deno.remove(this.folder, { recursive: true }).catch(ignoreMissing);
  }
}

/** Makes a cluster and starts it. */
export async function startCluster(options: ClusterOptions = {}): Promise<Cluster> {
  const { binDir, major } = installation(options);
  const folder = await makeServerFolder("backupctl-pg-");
  const dataDir = `${folder}/data`;
  const { auth = "trust", env = {}, tablespaces = [] } = options;
  const password = auth === "trust" ? undefined : PASSWORD;
  const certificates = await certificatesFor(options.tls, folder);
  const layout = { folder, dataDir, binDir, major, password, certificates, settings: {}, env };
  const cluster = new Cluster(layout);
  try {
    await initdb(layout, options);
    await configure(layout, options);
    await giveToServer(folder);
    await cluster.start();
    for (const name of tablespaces) await createTablespace(cluster, name);
    return cluster;
  } catch (error) {
    await cluster[Symbol.asyncDispose]();
    throw error;
  }
}

async function certificatesFor(tls: ClusterOptions["tls"], folder: string) {
  if (!tls) return undefined;
  return await (tls === true ? makeCertificates(folder) : makeCertificates(folder, tls.names));
}

function installation({ binDir, major }: ClusterOptions): { binDir: string; major: number } {
  if (binDir) return { binDir, major: majorOf(binDir) };
  return major === undefined ? defaultMajor() : installationOf(major);
}

async function initdb(
  { folder, dataDir, binDir, major, password, env }: Layout,
  { auth = "trust", walSegmentMb, checksums = true }: ClusterOptions,
): Promise<void> {
  const passwordFile = `${folder}/password`;
  if (password !== undefined) await Deno.writeTextFile(passwordFile, `${password}\n`);
  await giveToServer(folder);
  const without = major >= 18 ? ["--no-data-checksums"] : [];
  const args = [
    ...["-D", dataDir, "-U", "postgres", "-E", "UTF8", "--locale=C", "--no-sync", "-A", auth],
    ...(password === undefined ? [] : [`--pwfile=${passwordFile}`]),
    ...(walSegmentMb === undefined ? [] : [`--wal-segsize=${walSegmentMb}`]),
    ...(checksums ? ["--data-checksums"] : without),
  ];
  await runAsServer(`${binDir}/initdb`, args, { cwd: folder, env });
}

async function configure(layout: Layout, options: ClusterOptions): Promise<void> {
  const { folder, dataDir, certificates } = layout;
  const { archive, hba = [] } = options;
  const command = archive === true
    ? `test ! -f ${folder}/archive/%f && cp %p ${folder}/archive/%f`
    : archive;
  if (archive) await Deno.mkdir(`${folder}/archive`);
  const settings: Record<string, string | number> = {
    shared_buffers: "16MB",
    max_wal_size: "256MB",
    ...(command && { archive_mode: "on", archive_command: command }),
    ...(certificates && {
      ssl: "on",
      ssl_ca_file: certificates.ca,
      ssl_cert_file: certificates.serverCert,
      ssl_key_file: certificates.serverKey,
    }),
    ...options.settings,
  };
  const lines = Object.entries(settings).map(([name, value]) => `${name} = ${quote(value)}\n`);
  await Deno.writeTextFile(`${dataDir}/postgresql.conf`, lines.join(""), { append: true });
  if (hba.length === 0) return;
  const path = `${dataDir}/pg_hba.conf`;
  await Deno.writeTextFile(path, `${hba.join("\n")}\n${await Deno.readTextFile(path)}`);
}

function quote(value: string | number): string {
  return `'${String(value).replaceAll("'", "''")}'`;
}

async function createTablespace(cluster: Cluster, name: string): Promise<void> {
  const location = `${cluster.folder}/tablespace_${name}`;
  await Deno.mkdir(location, { mode: 0o700 });
  await giveToServer(location);
  await cluster.query(`create tablespace "${name}" location '${location}'`);
}

async function giveTablespaces(dataDir: string): Promise<void> {
  for await (const entry of Deno.readDir(`${dataDir}/pg_tblspc`)) {
    await giveToServer(await Deno.realPath(`${dataDir}/pg_tblspc/${entry.name}`));
  }
}

function ignoreMissing(error: unknown): void {
  if (!(error instanceof Deno.errors.NotFound)) throw error;
}

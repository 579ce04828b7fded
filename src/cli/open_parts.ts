/**
 * Builds the adapters that a command needs from the configuration: the only place that names them.
 * Each is loaded when it is asked for, so that a command pays for nothing else.
 *
 * @module
 */
import type { Repository } from "../catalog/catalog.ts";
import type { MetadataManager } from "../catalog/metadata_manager.ts";
import type { Signatures } from "../catalog/signatures.ts";
import type { CodecPool } from "../codec/codec.ts";
import type { Config } from "../config/config.ts";
import type { ObjectOpener } from "../crypto/crypto.ts";
import { ConfigError } from "../domain/errors.ts";
import type {
  BaseBackupSource,
  ClientPrograms,
  ConnectionOptions,
  FileBackupSource,
  PostgresServer,
  SnapshotSource,
} from "../postgres/postgres.ts";
import type { Log } from "../log/log.ts";
import type { ObjectStore } from "../storage/storage.ts";
import type { Context } from "./context.ts";
import { stateRoot } from "./wal/private_folder.ts";

/**
 * The object store or folder that the configuration names.
 *
 * @param log hears of retries, and of the first time that something cannot be cleaned up, unless
 *   removing is what the store is opened for.
 * @throws {ConfigError} when none is configured.
 */
export async function openStore(
  config: Config,
  log?: Log,
  { removes = false }: { readonly removes?: boolean } = {},
): Promise<ObjectStore> {
  const found = await storeOf(config, log);
  const store = log && !removes ? await tellingStore(found, config, log) : found;
  if (config.encryption) (await import("./seals.ts")).rememberStore(config, store);
  return store;
}

async function tellingStore(
  store: ObjectStore,
  { cluster }: Config,
  log: Log,
): Promise<ObjectStore> {
  const { tellingRefusedDeletes } = await import("./telling_store.ts");
  return tellingRefusedDeletes(store, ({ message }) => {
    const text = `something that is of no use any more stays in the repository: ${message}; ` +
      "where these credentials may only add (append-only), prune removes it with its own";
    log.warning("storage.delete_refused", text, { cluster });
  });
}

async function storeOf({ repository }: Config, log?: Log): Promise<ObjectStore> {
  if (repository.type === "directory") {
    const { DirectoryStore } = await import("../storage/directory.ts");
    return new DirectoryStore(repository.path!);
  }
  if (repository.type === "s3") {
    const { openS3Store } = await import("./open_s3_store.ts");
    return openS3Store(repository, log);
  }
  throw new ConfigError(
    "no repository is configured",
    "set S3_BUCKET, or repository.path for a folder; " +
      '"backupctl config init" writes a commented sample',
  );
}

/** The cluster's backups in a store. Reads nothing yet. */
export async function openCatalog(store: ObjectStore, config: Config): Promise<Repository> {
  const { openRepository } = await import("../catalog/repository.ts");
  const { sealer, opener } = config.encryption ? (await import("./seals.ts")).sealsOf(config) : {};
  const signatures = await openSignatures(store, config);
  const { memoryOf } = await import("./repository_memory.ts");
  return openRepository(store, {
    cluster: config.cluster,
    ...memoryOf(config, { env: Deno.env.toObject() }),
    ...(signatures && { signatures }),
    ...(sealer && { sealer }),
    ...(opener && { opener }),
  });
}

/** What signs and checks signatures; undefined when signing is not configured. */
export async function openSignatures(
  store: ObjectStore,
  config: Config,
): Promise<Signatures | undefined> {
  if (!config.signing) return undefined;
  const { makeSignatures } = await import("./signing.ts");
  return makeSignatures(store, config, stateFolder(config, Deno.env.toObject()));
}

/** What opens encrypted names and notes; undefined when no identity is configured. */
export async function openerOf(config: Config): Promise<ObjectOpener | undefined> {
  if (!config.encryption) return undefined;
  return (await import("./seals.ts")).sealsOf(config).opener;
}

/**
 * The connection to the server being backed up, or to the one that `url` names, completed by
 * libpq's rules.
 *
 * @throws {ConfigError}
 */
export async function resolveServer(
  { postgres }: Config,
  { env, terminal, url }: Pick<Context, "env" | "terminal"> & { readonly url?: string },
): Promise<ConnectionOptions> {
  const { resolveConnection } = await import("../postgres/connection.ts");
  const { connect_timeout: timeout, password_file: _, data_directory: _d, bin: _b, ...given } =
    postgres;
  const own = timeout === undefined ? given : { ...given, connectTimeout: timeout / 1000 };
  return await resolveConnection(url === undefined ? own : { url }, {
    env: url === undefined ? env : withoutOwnServer(env),
    home: env["HOME"],
    warn: (text) => terminal.stderr.write(`warning: ${text}\n`),
  });
}

/** Another server than the one being backed up: PG_HOST and its like do not mean it. */
function withoutOwnServer(env: Context["env"]): Context["env"] {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith("PG_")));
}

/** SQL to a server. Connects with the first question. */
export async function openServer(connection: ConnectionOptions): Promise<PostgresServer> {
  const { SqlServer } = await import("../postgres/sql_server.ts");
  return new SqlServer(connection);
}

/** Base backups over the replication protocol. */
export async function openBaseBackups(
  connection: ConnectionOptions,
): Promise<BaseBackupSource & { identify(options?: { signal?: AbortSignal }): Promise<unknown> }> {
  const { StreamSource } = await import("../postgres/replication/stream_base_backup.ts");
  return new StreamSource(connection);
}

/** Base backups from the server's own files, when they lie on this machine. */
export async function openFileBackups(
  { postgres }: Config,
  connection: ConnectionOptions,
): Promise<FileBackupSource> {
  const { FileSource } = await import("../postgres/files/file_source.ts");
  const { data_directory: dataDirectory } = postgres;
  return new FileSource(connection, dataDirectory === "auto" ? {} : { dataDirectory });
}

/** Moments of databases that several programs read at once. */
export async function openSnapshots(connection: ConnectionOptions): Promise<SnapshotSource> {
  const { SessionSnapshots } = await import("../postgres/session_snapshots.ts");
  return new SessionSnapshots(connection);
}

/** pg_dump and its siblings on this machine. */
export async function openPrograms(
  { postgres }: Config,
  { env }: Pick<Context, "env">,
): Promise<ClientPrograms> {
  const { LocalPrograms } = await import("../postgres/client_programs.ts");
  return new LocalPrograms({ env, ...(postgres.bin !== "auto" && { bin: postgres.bin }) });
}

/**
 * Threads that compress, as many as `jobs` or the configuration say. What they make is encrypted
 * when the configuration asks for it.
 */
export async function openCodecs(
  config: Config,
  jobs: number | undefined,
): Promise<CodecPool & Disposable> {
  const { backup, encryption } = config;
  const { WorkerPool } = await import("../codec/worker_pool.ts");
  const size = jobs ?? (backup.jobs === "auto" ? undefined : backup.jobs);
  const threads = new WorkerPool(size);
  if (!encryption) return threads;
  const { SealingPool } = await import("../codec/sealing_pool.ts");
  const seals = (await import("./seals.ts")).newSeals(config);
  const state = stateFolder(config, Deno.env.toObject());
  if (state === undefined) return new SealingPool(threads, seals);
  const { ListCopies } = await import("./clear_copies.ts");
  return new SealingPool(threads, { ...seals, copies: new ListCopies(`${state}/lists`) });
}

/** The index in PostgreSQL with a session of its own; undefined when it is switched off. */
export async function openMetadata(
  config: Config,
  context: Pick<Context, "env" | "terminal">,
): Promise<{ readonly index: MetadataManager; close(): Promise<void> } | undefined> {
  const { url, schema } = config.metadata;
  if (url === "off") return undefined;
  const connection = await resolveServer(config, url === "auto" ? context : { ...context, url });
  const server = await openServer({ ...connection, connectTimeout: 5 });
  const { MetadataManager } = await import("../catalog/metadata_manager.ts");
  const index = new MetadataManager(server, { cluster: config.cluster, schema });
  return { index, close: () => server.close() };
}

/** Where this user's state is kept: runs that wait to be recorded. Undefined when nowhere. */
export function stateFolder({ cluster }: Config, env: Context["env"]): string | undefined {
  const root = stateRoot(env);
  return root && `${root}/${cluster}`;
}

/** What both commands of the WAL path need: settings, the data directory, the store, the spool. */
import { createHash } from "node:crypto";
import type { Environment } from "../../config/environment_layer.ts";
import { type Clock, systemClock } from "../../domain/clock.ts";
import { RepositoryError, UsageError } from "../../domain/errors.ts";
import type { WalPlace } from "../../domain/wal_key.ts";
import { bindSystem, systemKey } from "../../engine/wal/system_binding.ts";
import type { WalFetchParts } from "../../engine/wal/read_archived.ts";
import type { WalPushParts } from "../../engine/wal/wal_push.ts";
import { WalSpool } from "../../engine/wal/wal_spool.ts";
import type { ObjectStore } from "../../storage/storage.ts";
import { openWalStore, type WalStore } from "./open_wal_store.ts";
import { privateFolder, stateRoot } from "./private_folder.ts";
import type { WalLog } from "./wal_log.ts";
import type { WalSettings } from "./wal_settings.ts";

/** What was found out about a repository is believed for so long. */
const KNOWN_MS = 3_600_000;

/** What a session is opened with. */
export interface SessionInput {
  readonly settings: WalSettings;
  readonly env: Environment;
  readonly log: WalLog;
  readonly signal: AbortSignal;
  readonly deadlineMs: number;
  readonly clock?: Clock;
}

/** What wal-push is asked for. */
export interface PushInput extends SessionInput {
  readonly positionals: readonly string[];
  /** `--new-system`. */
  readonly takeOver: boolean;
  /** The flags that another process of ours needs. */
  readonly flags: readonly string[];
}

/** The file that PostgreSQL asks for, and where. */
export interface AskedFile {
  readonly path: string;
  readonly name: string;
  readonly systemIdentifier: string;
  readonly spool: WalSpool | undefined;
}

/** Opens the store and tells the log of repeated requests. */
export async function openStoreOf(
  { settings, env, log, deadlineMs }: SessionInput,
): Promise<WalStore> {
  return await openWalStore(settings, {
    ...{ env, deadlineMs },
    onRetry: ({ operation, attempt, reason, delaySeconds }) =>
      log.write("warning", "storage.request_retried", {
        message: `${operation} failed and is tried again in ${
          delaySeconds.toFixed(1)
        } s: ${reason}`,
        ...{ operation, attempt },
      }),
  });
}

/**
 * What pushed WAL is encrypted with and compared by.
 *
 * @throws {ConfigError} when encryption is configured without recipients.
 */
export async function pushSeal(
  settings: WalSettings,
  { store, spool, dataDirectory, signal }: {
    readonly store: ObjectStore;
    readonly spool: WalSpool | undefined;
    readonly dataDirectory: string;
    readonly signal: AbortSignal;
  },
): Promise<Pick<WalPushParts, "seal" | "tagOf">> {
  const tagOf = async (sha256: string) =>
    (await import("./wal_tag.ts")).walTag(dataDirectory, sha256);
  if (!settings.encryption) return { tagOf, seal: undefined };
  // All of it in one import: each takes a millisecond of a call.
  const { sealing } = await import("./wal_seal.ts");
  return {
    tagOf,
    seal: sealing(settings, { store, folder: spool?.folder, dataDirectory, signal }),
  };
}

/** What fetched WAL is opened with. */
export async function fetchOpen(
  settings: WalSettings,
  store: ObjectStore,
): Promise<Pick<WalFetchParts, "open">> {
  if (settings.encryption?.identityFile === undefined) return {};
  const { walOpener } = await import("./wal_open.ts");
  const open = walOpener(settings, store);
  return open ? { open } : {};
}

/** The folder where calls for one archive leave word for each other; undefined when there is none. */
export function openSpool(
  settings: WalSettings,
  { env, systemIdentifier }: { readonly env: Environment; readonly systemIdentifier: string },
): WalSpool | undefined {
  const { cluster, repository, spool } = settings;
  const root = spool === "auto" ? stateRoot(env) && `${stateRoot(env)}/wal` : spool;
  if (!root) return undefined;
  const { type, path, bucket, prefix, endpoint } = repository;
  const archive = JSON.stringify([type, path, bucket, prefix, endpoint, cluster, systemIdentifier]);
  if (privateFolder(root) === undefined) return undefined;
  const folder = privateFolder(`${root}/${shortHash(archive)}`);
  // Not null: kept settings have no place for what is unset, and the order counts.
  const stamp = shortHash(JSON.stringify({ ...settings, credentials: undefined }));
  return folder === undefined ? undefined : new WalSpool(folder, stamp);
}

/**
 * Makes sure that the repository is there, that it is this system's, and whether its store honours
 * "only if absent". Asked once an hour; in between the spool knows. Of a folder it is looked at each
 * time: where it was mounted, an empty one may be left, and WAL that goes there is lost to sight.
 *
 * @throws {RepositoryError} also when one that was there is gone.
 */
export async function prepareRepository(
  { store }: WalStore,
  { settings, env, place, spool, takeOver, signal, log, clock = systemClock }: {
    readonly place: WalPlace;
    readonly spool: WalSpool | undefined;
    readonly takeOver: boolean;
  } & Pick<SessionInput, "settings" | "env" | "signal" | "log" | "clock">,
): Promise<{ readonly conditionalPut: boolean }> {
  const now = clock.now().getTime();
  const known = takeOver ? undefined : spool?.repository();
  const isFresh = known && now - known.checked < KNOWN_MS && now >= known.checked;
  const mayVanish = settings.repository.type === "directory";
  if (isFresh && (!mayVanish || await store.head(systemKey(place.cluster)))) return known;
  const { openRepository } = await import("../../catalog/repository.ts");
  const { readHeader } = await import("../../catalog/repository_header.ts");
  if (known && !await readHeader(store, place.cluster, { signal })) throw gone(store);
  const { memoryOf } = await import("../repository_memory.ts");
  const memory = memoryOf(settings, { env, mayBegin: takeOver });
  await openRepository(store, { cluster: place.cluster, ...memory }).prepare(signal);
  const header = await readHeader(store, place.cluster, { signal });
  if (!header) throw new RepositoryError(`there is no repository at ${store.location}`);
  const conditionalPut = header.conditionalPut !== false;
  await bindSystem(store, place, { takeOver, conditionalPut, signal });
  if (!conditionalPut) {
    log.write("warning", "storage.conditions_ignored", {
      message: `${store.location} ignores conditional writes: what is there is looked up before, ` +
        "and two hosts that push one name at once are not told apart",
    });
  }
  spool?.remember({ conditionalPut, checked: now });
  return { conditionalPut };
}

function gone({ location }: WalStore["store"]): RepositoryError {
  return new RepositoryError(
    `there is no repository at ${location} any more`,
    "is what belongs there mounted? to begin a new one there, run wal-push once with --new-system",
  );
}

/**
 * The data directory that a path of pg_wal belongs to: the working directory, where PostgreSQL runs
 * its commands, or the folder above pg_wal.
 *
 * @throws {UsageError} when neither is one.
 */
export function dataDirectoryOf(path: string): string {
  const above = path.includes("/") ? path.replace(/\/+[^/]*\/+[^/]*$/, "") : "";
  const candidates = path.startsWith("/") ? [above, "."] : [".", above];
  for (const folder of candidates) {
    if (folder !== "" && isDataDirectory(folder)) return folder;
  }
  throw new UsageError(
    `neither the working directory nor the one of ${path} is a PostgreSQL data directory`,
    "PostgreSQL runs archive_command and restore_command in its data directory: do the same",
  );
}

function isDataDirectory(folder: string): boolean {
  try {
    return Deno.statSync(`${folder}/global/pg_control`).isFile;
  } catch {
    return false;
  }
}

/**
 * What tells this run of the server from all others: by the first three lines of postmaster.pid, the
 * process, its folder and when it was started.
 *
 * @returns undefined when none is running, as under pg_rewind.
 */
export function runOf(dataDirectory: string): string | undefined {
  try {
    const text = Deno.readTextFileSync(`${dataDirectory}/postmaster.pid`);
    const lines = /^-?\d+\n.+\n\d+\n/.exec(text)?.[0];
    return lines && shortHash(lines);
  } catch {
    return undefined;
  }
}

function shortHash(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 16);
}

/** The first eight bytes of pg_control, in the machine's byte order. @throws {RepositoryError} */
export function systemIdentifierOf(dataDirectory: string): string {
  using file = Deno.openSync(`${dataDirectory}/global/pg_control`);
  const bytes = new Uint8Array(8);
  const length = file.readSync(bytes);
  const value = new BigUint64Array(bytes.buffer)[0]!;
  if (length === 8 && value !== 0n) return value.toString();
  throw new RepositoryError(`${dataDirectory}/global/pg_control is damaged`);
}

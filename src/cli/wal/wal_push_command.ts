import { systemClock } from "../../domain/clock.ts";
import { IntegrityError, UsageError } from "../../domain/errors.ts";
import { readyFiles } from "../../engine/wal/ready_files.ts";
import { identityOf, readWalFile, type WalFile, walNameOf } from "../../engine/wal/wal_file.ts";
import type { WalPushParts, WalPushReport } from "../../engine/wal/wal_push.ts";
import type { WalSpool } from "../../engine/wal/wal_spool.ts";
import {
  dataDirectoryOf,
  openSpool,
  openStoreOf,
  prepareRepository,
  type SessionInput,
  systemIdentifierOf,
} from "./wal_session.ts";
import type { WalStore } from "./open_wal_store.ts";

/** Milliseconds since the process began: no further file is begun after this … */
const AHEAD_BEGIN_MS = 550;
/** … and what is not acknowledged by then is left to the next call: none may last a second. */
const AHEAD_END_MS = 900;

/** What wal-push is asked for. */
export interface PushInput extends SessionInput {
  readonly positionals: readonly string[];
  /** `--new-system`. */
  readonly takeOver: boolean;
}

/** Archives the file that PostgreSQL names. Returns only when the store has confirmed it. */
export async function walPush(input: PushInput): Promise<void> {
  const path = onlyPath(input.positionals);
  const { settings, env, log } = input;
  const { name } = walNameOf(path);
  const dataDirectory = dataDirectoryOf(path);
  const systemIdentifier = systemIdentifierOf(dataDirectory);
  const spool = openSpool(settings, { env, systemIdentifier });
  if (confirmed(spool, { name, path })) {
    log.write("info", "wal.pushed", { message: `${name} was pushed ahead`, wal: name });
    return;
  }
  await pushNow(input, { path, systemIdentifier, spool });
}

interface Asked {
  readonly path: string;
  readonly systemIdentifier: string;
  readonly spool: WalSpool | undefined;
}

async function pushNow(input: PushInput, asked: Asked): Promise<void> {
  const { settings, signal, log, takeOver } = input;
  const { path, systemIdentifier, spool } = asked;
  const opened = await openStoreOf(input);
  void opened.warm();
  const place = { cluster: settings.cluster, systemIdentifier };
  const preparing = prepareRepository(opened, { place, spool, takeOver, signal, log });
  preparing.catch(() => {}); // awaited below; reading the file may fail first
  const { encodeWalFile, pushEncodedWal } = await import("../../engine/wal/wal_push.ts");
  const codec = { algorithm: "zstd", level: settings.zstdLevel } as const;
  const encoded = await encodeWalFile(ownFile(path, systemIdentifier), codec);
  const { conditionalPut } = await preparing;
  const parts = { store: opened.store, place, codec, conditionalPut };
  const pushing = pushEncodedWal(parts, encoded, signal);
  pushing.catch(() => {}); // awaited below, after what goes on beside it
  const stop = new AbortController();
  const ahead = pushNext(input, { ...asked, parts, stop: stop.signal }).catch(() => {});
  try {
    tell(input, await pushing, opened);
  } catch (error) {
    stop.abort();
    throw error;
  }
  await ahead;
}

/** Goes on with what waits behind the file that was asked for, as long as the call stays short. */
async function pushNext(
  { settings, signal, log, clock = systemClock }: PushInput,
  { path, spool, parts, stop }: Asked & {
    readonly parts: WalPushParts;
    readonly stop: AbortSignal;
  },
): Promise<void> {
  const walFolder = path.includes("/") ? path.slice(0, path.lastIndexOf("/")) : ".";
  if (!spool || settings.lookAhead === 0) return;
  const asked = path.slice(walFolder.length + 1);
  const names = readyFiles(walFolder).filter(({ name }) => name !== asked)
    .slice(0, settings.lookAhead);
  if (names.length === 0) return;
  const { pushAhead } = await import("../../engine/wal/push_ahead.ts");
  const limits = [signal, stop, AbortSignal.timeout(Math.max(0, AHEAD_END_MS - clock.monotonic()))];
  const marked = await pushAhead({ ...parts, spool }, {
    ...{ walFolder, names, clock, until: AHEAD_BEGIN_MS },
    signal: AbortSignal.any(limits),
  });
  const message = `pushed ${marked} files ahead`;
  log.write("debug", "wal.pushed_ahead", { message, files: marked });
}

/** A whole segment says itself which system wrote it. */
function ownFile(path: string, systemIdentifier: string): WalFile {
  const file = readWalFile(path);
  const written = file.systemIdentifier ?? systemIdentifier;
  if (written === systemIdentifier) return file;
  throw new IntegrityError(
    `WAL file ${file.name.name} belongs to system ${written}, the data directory is ${systemIdentifier}`,
    "is it the file of another cluster?",
  );
}

function confirmed(
  spool: WalSpool | undefined,
  { name, path }: { readonly name: string; readonly path: string },
): boolean {
  if (!spool) return false;
  const found = spool.markOf(name, identityOf(path)) !== undefined;
  spool.forget(name);
  return found;
}

function tell({ log }: PushInput, report: WalPushReport, { store }: WalStore): void {
  const { name, key, outcome, rawBytes, storedBytes, sha256 } = report;
  const fields = { wal: name, key, size_bytes: storedBytes, raw_bytes: rawBytes, sha256 };
  if (outcome === "stored") {
    log.write("info", "wal.pushed", { message: `stored ${name} in ${store.location}`, ...fields });
    return;
  }
  const message = `${name} is in ${store.location} already, with the same content`;
  log.write("info", "wal.already_archived", { message, ...fields });
}

function onlyPath(positionals: readonly string[]): string {
  const [path, ...more] = positionals;
  if (path !== undefined && path !== "" && more.length === 0) return path;
  throw new UsageError(
    path === undefined ? "wal-push needs the path of a WAL file" : "wal-push takes one path",
    "write archive_command = 'backupctl wal-push %p'",
  );
}

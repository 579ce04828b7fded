import { UsageError } from "../../domain/errors.ts";
import { identityOf, readWalFile, type WalFile, walNameOf } from "../../engine/wal/wal_file.ts";
import { IntegrityError } from "../../domain/errors.ts";
import type { WalPushReport } from "../../engine/wal/wal_push.ts";
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

async function pushNow(input: PushInput, { path, systemIdentifier, spool }: Asked): Promise<void> {
  const { settings, signal, log, takeOver } = input;
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
  tell(input, await pushEncodedWal(parts, encoded, signal), opened);
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

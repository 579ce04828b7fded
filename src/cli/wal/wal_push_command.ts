import { systemClock } from "../../domain/clock.ts";
import { UsageError } from "../../domain/errors.ts";
import { identityOf, walNameOf } from "../../engine/wal/wal_file.ts";
import type { WalPushParts, WalPushReport } from "../../engine/wal/wal_push.ts";
import type { WalStore } from "./open_wal_store.ts";
import {
  type AskedFile,
  dataDirectoryOf,
  openSpool,
  openStoreOf,
  prepareRepository,
  type PushInput,
  pushSeal,
  systemIdentifierOf,
} from "./wal_session.ts";

/** How long a call waits for another process that is just pushing its file. */
const PATIENCE_MS = 700;
const LOOK_MS = 3;

/** Archives the file that PostgreSQL names. Returns only when the store has confirmed it. */
export async function walPush(input: PushInput): Promise<void> {
  const path = onlyPath(input.positionals);
  const { settings, env, log } = input;
  const { name } = walNameOf(path);
  const systemIdentifier = systemIdentifierOf(dataDirectoryOf(path));
  const spool = openSpool(settings, { env, systemIdentifier });
  spool?.claim();
  const asked = { path, name, systemIdentifier, spool };
  if (!await isPushedAhead(asked, input)) return await pushNow(input, asked);
  log.write("info", "wal.pushed", { message: `${name} was pushed ahead`, wal: name });
}

/** Whether there is a mark for this very file; one that is being made is waited for. */
async function isPushedAhead(
  { spool, name, path }: AskedFile,
  { clock = systemClock }: PushInput,
): Promise<boolean> {
  if (!spool) return false;
  const identity = identityOf(path);
  const until = clock.monotonic() + PATIENCE_MS;
  let found = spool.markOf(name, identity) !== undefined;
  while (!found && clock.monotonic() < until && spool.runner.isLit) {
    await new Promise((next) => setTimeout(next, LOOK_MS));
    found = spool.markOf(name, identity) !== undefined;
  }
  spool.forget(name);
  return found;
}

async function pushNow(input: PushInput, asked: AskedFile): Promise<void> {
  const { settings, signal } = input;
  const { path, systemIdentifier, spool } = asked;
  const opened = await openStoreOf(input);
  let connected = false;
  void opened.warm().finally(() => connected = true);
  const place = { cluster: settings.cluster, systemIdentifier };
  const preparing = prepareRepository(opened, { ...input, place, spool });
  preparing.catch(() => {}); // awaited below; reading the file may fail first
  const { store } = opened;
  const dataDirectory = dataDirectoryOf(path);
  const sealing = await pushSeal(settings, { store, spool, dataDirectory, signal });
  if (sealing.seal) await preparing; // no key is registered where nothing may be stored
  const { encodeWalFile, takeTurn } = await import("../../engine/wal/encode_wal_file.ts");
  const { pushWal } = await import("../../engine/wal/wal_push.ts");
  const codec = { algorithm: "zstd", level: settings.zstdLevel } as const;
  const encoded = await encodeWalFile(path, {
    ...{ codec, place, seal: sealing.seal },
    turn: () => connected ? Promise.resolve() : takeTurn(),
  });
  const { conditionalPut } = await preparing;
  const parts = { store, place, codec, conditionalPut, ...sealing };
  const pushing = pushWal(parts, encoded, signal);
  pushing.catch(() => {}); // awaited below, after what goes on beside it
  const stop = new AbortController();
  const ahead = goOn(input, { ...asked, parts, stop: stop.signal }).catch(() => {});
  try {
    tell(input, await pushing, opened);
  } catch (error) {
    stop.abort();
    throw error;
  }
  await ahead;
}

async function goOn(
  input: PushInput,
  asked: AskedFile & { readonly parts: WalPushParts; readonly stop: AbortSignal },
): Promise<void> {
  if (!asked.spool || input.settings.lookAhead === 0) return;
  const { lookAhead } = await import("./look_ahead.ts");
  await lookAhead(input, asked);
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

import { systemClock } from "../../domain/clock.ts";
import { UsageError } from "../../domain/errors.ts";
import type { WalName } from "../../domain/wal.ts";
import { prefetchCount, PrefetchFolder } from "../../engine/wal/prefetch_folder.ts";
import { fetchWal } from "../../engine/wal/wal_fetch.ts";
import { walNameOf } from "../../engine/wal/wal_file.ts";
import { startBackground } from "./start_background.ts";
import {
  dataDirectoryOf,
  fetchOpen,
  openSpool,
  openStoreOf,
  runOf,
  type SessionInput,
  systemIdentifierOf,
} from "./wal_session.ts";

/** How long a call waits for another process that is just fetching its segment. */
const PATIENCE_MS = 700;
const LOOK_MS = 3;

/** What wal-fetch is asked for. */
export interface FetchInput extends SessionInput {
  readonly positionals: readonly string[];
  /** The flags that another process of ours needs. */
  readonly flags: readonly string[];
}

interface Wanted {
  readonly name: WalName;
  readonly destination: string;
  readonly systemIdentifier: string;
  readonly ahead: { readonly dataDirectory: string; readonly folder: PrefetchFolder } | undefined;
}

/**
 * Brings the file that PostgreSQL names to where it wants it.
 *
 * @returns false when the archive proves not to have it.
 */
export async function walFetch(input: FetchInput): Promise<boolean> {
  const { settings, env, log } = input;
  const { name, destination } = wantedFile(input.positionals);
  const dataDirectory = dataDirectoryOf(destination);
  const systemIdentifier = systemIdentifierOf(dataDirectory);
  const spool = openSpool(settings, { env, systemIdentifier });
  const run = name.kind === "segment" ? runOf(dataDirectory) : undefined;
  const place = { cluster: settings.cluster, systemIdentifier };
  const ahead = spool && run !== undefined
    ? { dataDirectory, folder: new PrefetchFolder({ root: spool.prefetchRoot, run, place }) }
    : undefined;
  const wanted = { name, destination, systemIdentifier, ahead };
  const bytes = await takePrefetched(wanted, input);
  if (bytes === undefined) return await fetchNow(input, wanted);
  goOn(input, wanted, bytes);
  const message = `${name.name} was fetched ahead`;
  log.write("info", "wal.fetched", { message, wal: name.name, raw_bytes: bytes });
  return true;
}

/** Its length, when another process has fetched it; one that is just doing so is waited for. */
async function takePrefetched(
  { name, destination, ahead }: Wanted,
  { clock = systemClock }: FetchInput,
): Promise<number | undefined> {
  if (!ahead || name.kind !== "segment") return undefined;
  const { folder } = ahead;
  const until = clock.monotonic() + PATIENCE_MS;
  while (!folder.names().includes(name.name)) {
    if (clock.monotonic() >= until || !folder.fetcher.isLit) return undefined;
    await new Promise((next) => setTimeout(next, LOOK_MS));
  }
  return await folder.take(name, destination) ? Deno.statSync(destination).size : undefined;
}

async function fetchNow(input: FetchInput, wanted: Wanted): Promise<boolean> {
  const { settings, signal, log } = input;
  const { name, destination, systemIdentifier } = wanted;
  const opened = await openStoreOf(input);
  void opened.warm();
  const place = { cluster: settings.cluster, systemIdentifier };
  const open = await fetchOpen(settings, opened.store);
  const parts = { store: opened.store, place, ...open };
  const fetched = await fetchWal(parts, name, { destination, signal });
  const where = opened.store.location;
  if (!fetched) {
    const message = `${name.name} is not in ${where}`;
    log.write("info", "wal.missing", { message, wal: name.name });
    return false;
  }
  goOn(input, wanted, fetched.rawBytes);
  log.write("info", "wal.fetched", {
    message: `fetched ${name.name} from ${where}`,
    ...{ wal: name.name, size_bytes: fetched.storedBytes, raw_bytes: fetched.rawBytes },
  });
  return true;
}

/** Has the next segments fetched while PostgreSQL replays this one. */
function goOn(
  { settings, flags }: FetchInput,
  { name, ahead }: Wanted,
  segmentBytes: number,
): void {
  if (!ahead || settings.lookAhead === 0) return;
  const { folder, dataDirectory } = ahead;
  const waiting = folder.names();
  const enough = prefetchCount(settings.lookAhead, segmentBytes) / 2;
  if (waiting.length >= enough || folder.fetcher.isLit) return;
  const last = waiting.filter((other) => other.slice(0, 8) === name.name.slice(0, 8)).sort().at(-1);
  const after = last !== undefined && last > name.name ? last : name.name;
  const facts = [after, `${segmentBytes}`, Deno.realPathSync(dataDirectory)];
  startBackground(["wal-fetch", "--ahead", ...facts, ...flags]);
}

function wantedFile(positionals: readonly string[]) {
  const [file, destination, ...more] = positionals;
  if (file && destination && more.length === 0 && !file.includes("/")) {
    return { name: walNameOf(file), destination };
  }
  throw new UsageError(
    "wal-fetch needs the name of a WAL file and the path to put it",
    "write restore_command = 'backupctl wal-fetch %f %p'",
  );
}

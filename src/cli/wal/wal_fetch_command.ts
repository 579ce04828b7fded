import { UsageError } from "../../domain/errors.ts";
import { deliverWal } from "../../engine/wal/deliver_wal.ts";
import { walNameOf } from "../../engine/wal/wal_file.ts";
import { fetchWal } from "../../engine/wal/wal_fetch.ts";
import {
  dataDirectoryOf,
  openStoreOf,
  type SessionInput,
  systemIdentifierOf,
} from "./wal_session.ts";

/** What wal-fetch is asked for. */
export interface FetchInput extends SessionInput {
  readonly positionals: readonly string[];
}

/**
 * Brings the file that PostgreSQL names to where it wants it.
 *
 * @returns false when the archive proves not to have it.
 */
export async function walFetch(input: FetchInput): Promise<boolean> {
  const { name, destination } = wanted(input.positionals);
  const { settings, signal, log } = input;
  const opened = await openStoreOf(input);
  void opened.warm();
  const systemIdentifier = systemIdentifierOf(dataDirectoryOf(destination));
  const place = { cluster: settings.cluster, systemIdentifier };
  const fetched = await fetchWal({ store: opened.store, place }, name, signal);
  const where = opened.store.location;
  if (!fetched) {
    log.write("info", "wal.missing", {
      message: `${name.name} is not in ${where}`,
      wal: name.name,
    });
    return false;
  }
  deliverWal(destination, fetched.bytes);
  log.write("info", "wal.fetched", {
    message: `fetched ${name.name} from ${where}`,
    ...{ wal: name.name, size_bytes: fetched.storedBytes, raw_bytes: fetched.bytes.length },
  });
  return true;
}

function wanted(positionals: readonly string[]) {
  const [file, destination, ...more] = positionals;
  if (file && destination && more.length === 0 && !file.includes("/")) {
    return { name: walNameOf(file), destination };
  }
  throw new UsageError(
    "wal-fetch needs the name of a WAL file and the path to put it",
    "write restore_command = 'backupctl wal-fetch %f %p'",
  );
}

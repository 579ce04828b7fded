import type { Bytes } from "../../domain/bytes.ts";
import { RunFailedError } from "../../domain/errors.ts";

/**
 * Puts a verified file where PostgreSQL wants it: written beside it, synced, renamed, so that under
 * its name there is all of it or nothing.
 *
 * @throws {RunFailedError} with nothing left behind.
 */
export function deliverWal(destination: string, bytes: Bytes): void {
  const temporary = `${destination}.backupctl-${Deno.pid}`;
  try {
    writeSynced(temporary, bytes);
    Deno.renameSync(temporary, destination);
    syncFolderOf(destination);
  } catch (error) {
    remove(temporary);
    const reason = error instanceof Error ? error.message : String(error);
    throw new RunFailedError(
      `cannot write ${destination}: ${reason.replace(/ \(os error \d+\).*$/s, "")}`,
      "is the disk full, or the folder not writable?",
      { cause: error },
    );
  }
}

function writeSynced(path: string, bytes: Bytes): void {
  using file = Deno.openSync(path, { write: true, create: true, truncate: true, mode: 0o600 });
  for (let at = 0; at < bytes.length;) at += file.writeSync(bytes.subarray(at));
  file.syncSync();
}

/** Makes the name of a file durable. */
export function syncFolderOf(path: string): void {
  using folder = Deno.openSync(path.includes("/") ? path.replace(/\/+[^/]*$/, "") || "/" : ".");
  folder.syncSync();
}

function remove(path: string): void {
  try {
    Deno.removeSync(path);
  } catch {
    // It was never made.
  }
}

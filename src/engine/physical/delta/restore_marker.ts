import * as fs from "node:fs";
import type { BackupManifest } from "../../../catalog/catalog.ts";
import { DestinationError } from "../../../domain/errors.ts";
import { tryLock } from "../../../domain/try_lock.ts";
import { cannotWrite, onPath } from "../../destination/cannot_write.ts";
import { syncPath } from "../../destination/sync_folders.ts";
import type { TablespaceTarget } from "../tablespace_targets.ts";

/** Stands in a data directory from the first byte of a restore until the last. */
export const MARKER_FILE = "backupctl.restoring";

/** What an unfinished restore says of itself, so that another one may go on with it. */
export interface RestoreMarker {
  readonly systemIdentifier: string;
  readonly backup: string;
  /** Folders of tablespaces that are filled, too: their links come last. */
  readonly tablespaces: readonly string[];
}

/**
 * Writes the marker; durable when it returns. Until it is disposed of, or the process ends, no other
 * restore gets in: two would remove each other's files, and both call it whole.
 *
 * @throws {DestinationError} when another restore is at work there, too.
 */
export async function writeMarker(
  destination: string,
  { systemIdentifier, id }: Pick<BackupManifest, "systemIdentifier" | "id">,
  tablespaces: readonly TablespaceTarget[],
): Promise<Disposable> {
  const path = `${destination}/${MARKER_FILE}`;
  const marker: RestoreMarker = {
    systemIdentifier,
    backup: id,
    tablespaces: tablespaces.map(({ to }) => to),
  };
  const file = await takeOver(destination, path);
  try {
    await onPath(path, () => file.write(new TextEncoder().encode(`${JSON.stringify(marker)}\n`)));
    await syncPath(path);
    await syncPath(destination);
  } catch (error) {
    file.close();
    throw error;
  }
  return { [Symbol.dispose]: () => file.close() };
}

/** In place of what another restore has left, which is locked for as long as that one runs. */
async function takeOver(destination: string, path: string): Promise<Deno.FsFile> {
  using left = await openLeft(path);
  if (left) await lockOrRefuse(destination, left);
  const create = { createNew: true, write: true, mode: 0o600 };
  const file = await onPath(path, () => {
    fs.rmSync(path, { force: true });
    return Deno.open(path, create);
  });
  try {
    await lockOrRefuse(destination, file);
    return file;
  } catch (error) {
    file.close();
    throw error;
  }
}

async function openLeft(path: string): Promise<Deno.FsFile | undefined> {
  try {
    if (!fs.lstatSync(path).isFile()) return undefined;
    return await Deno.open(path, { read: true, write: true });
  } catch {
    return undefined;
  }
}

async function lockOrRefuse(destination: string, file: Deno.FsFile): Promise<void> {
  // Where the file system knows no locks, nobody can be kept out.
  if (await tryLock(file).catch(() => true)) return;
  throw new DestinationError(
    `another restore is at work in ${destination}`,
    "wait for it to end, or stop it: --delta then goes on with what it has done",
  );
}

/** The restore is complete. @throws {DestinationError} */
export function removeMarker(destination: string): void {
  const path = `${destination}/${MARKER_FILE}`;
  try {
    fs.rmSync(path, { force: true });
  } catch (error) {
    throw cannotWrite(path, error);
  }
}

/** The marker of an unfinished restore; undefined when there is none that can be understood. */
export function readMarker(destination: string): RestoreMarker | undefined {
  try {
    const path = `${destination}/${MARKER_FILE}`;
    if (!fs.lstatSync(path).isFile()) return undefined;
    const value: unknown = JSON.parse(fs.readFileSync(path, "utf8"));
    if (value === null || typeof value !== "object") return undefined;
    const { systemIdentifier, backup, tablespaces } = value as Record<string, unknown>;
    if (typeof systemIdentifier !== "string" || typeof backup !== "string") return undefined;
    if (!Array.isArray(tablespaces)) return undefined;
    return { systemIdentifier, backup, tablespaces: tablespaces.filter(isText) };
  } catch {
    return undefined;
  }
}

function isText(value: unknown): value is string {
  return typeof value === "string";
}

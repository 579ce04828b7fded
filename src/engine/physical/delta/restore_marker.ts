import * as fs from "node:fs";
import type { BackupManifest } from "../../../catalog/catalog.ts";
import { cannotWrite } from "../../destination/cannot_write.ts";
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

/** Writes the marker; durable when it returns. @throws {DestinationError} */
export async function writeMarker(
  destination: string,
  { systemIdentifier, id }: Pick<BackupManifest, "systemIdentifier" | "id">,
  tablespaces: readonly TablespaceTarget[],
): Promise<void> {
  const path = `${destination}/${MARKER_FILE}`;
  const marker: RestoreMarker = {
    systemIdentifier,
    backup: id,
    tablespaces: tablespaces.map(({ to }) => to),
  };
  try {
    fs.rmSync(path, { force: true });
    fs.writeFileSync(path, `${JSON.stringify(marker)}\n`, { mode: 0o600, flag: "wx" });
  } catch (error) {
    throw cannotWrite(path, error);
  }
  await syncPath(path);
  await syncPath(destination);
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

/**
 * Whether a restore may go on in folders that hold something: its own data directory, stopped, or
 * what an interrupted restore has left. Everything else there would be removed, so who is not
 * certain refuses.
 *
 * @module
 */
import * as fs from "node:fs";
import type { BackupManifest } from "../../../catalog/catalog.ts";
import { runningServer } from "../../../postgres/postgres.ts";
import { inspectFolder } from "../../destination/inspect_folder.ts";
import { CONTROL_FILE, PENDING_CONTROL_FILE } from "../required_files.ts";
import type { TablespaceTarget } from "../tablespace_targets.ts";
import { readMarker } from "./restore_marker.ts";

/** What is asked of {@link existingObstacles}. */
export interface ExistingQuestion {
  readonly backup: BackupManifest;
  readonly tablespaces: readonly TablespaceTarget[];
  /** Whether a data directory of another system may be overwritten. */
  readonly force: boolean;
}

/** Whether any of the folders holds something. */
export async function isOccupied(folders: readonly string[]): Promise<boolean> {
  for (const folder of folders) {
    if ((await inspectFolder(folder)).state === "unusable") return true;
  }
  return false;
}

/** What stands against going on in folders that are not empty, as people should read it. */
export async function existingObstacles(
  destination: string,
  { backup, tablespaces, force }: ExistingQuestion,
): Promise<readonly string[]> {
  const found: string[] = [];
  const root = await inspectFolder(destination);
  if (root.state === "unusable") found.push(...await rootObstacles(destination, { backup, force }));
  for (const { oid, to } of tablespaces) {
    const folder = await inspectFolder(to);
    if (folder.state !== "unusable" || isTablespaceOf(destination, { oid, to })) continue;
    found.push(`tablespace ${oid}: ${folder.reason}, and ${destination} does not use it`);
  }
  return found;
}

async function rootObstacles(
  destination: string,
  { backup, force }: Pick<ExistingQuestion, "backup" | "force">,
): Promise<readonly string[]> {
  if (!fs.statSync(destination, { throwIfNoEntry: false })?.isDirectory()) {
    return [`${destination} is not a folder`];
  }
  const pid = await runningServer(destination);
  if (pid !== undefined) {
    return [`a PostgreSQL server (process ${pid}) is running in ${destination}`];
  }
  const system = systemIn(destination) ?? readMarker(destination)?.systemIdentifier;
  if (system === backup.systemIdentifier) return [];
  if (system === undefined) {
    if (force && fs.existsSync(`${destination}/PG_VERSION`)) return [];
    return [`${destination} is neither a data directory nor an unfinished restore`];
  }
  if (force) return [];
  return [
    `${destination} belongs to system ${system}, and backup ${backup.id} to ` +
    `${backup.systemIdentifier}: --force overwrites it`,
  ];
}

/** The first eight bytes of pg_control. PostgreSQL source, src/include/catalog/pg_control.h. */
function systemIn(destination: string): string | undefined {
  for (const name of [CONTROL_FILE, PENDING_CONTROL_FILE]) {
    try {
      const bytes = fs.readFileSync(`${destination}/${name}`);
      if (bytes.length >= 8) return bytes.readBigUInt64LE(0).toString();
    } catch {
      // The other one may be there.
    }
  }
  return undefined;
}

function isTablespaceOf(
  destination: string,
  { oid, to }: Pick<TablespaceTarget, "oid" | "to">,
): boolean {
  if (readMarker(destination)?.tablespaces.includes(to)) return true;
  try {
    const linked = fs.realpathSync(`${destination}/pg_tblspc/${oid}`);
    return linked === fs.realpathSync(to);
  } catch {
    return false;
  }
}

import { dirname, resolve } from "node:path";
import type { BackupManifest } from "../../catalog/catalog.ts";
import { formatBytes } from "../../domain/bytes.ts";
import { DestinationError, UsageError } from "../../domain/errors.ts";
import type { RestoreOptions, RestoreParts, RestorePlan } from "../parts.ts";
import { freeSpace, totalFreeSpace } from "../destination/free_space.ts";
import { inspectFolder } from "../destination/inspect_folder.ts";
import { existingObstacles, isOccupied } from "./delta/existing_cluster.ts";
import { loadChain } from "./incremental/load_chain.ts";
import type { ListedBackup } from "./incremental/plan_levels.ts";
import {
  fetchedBytes,
  listChain,
  type RestoreSteps,
  stepsOf,
  wholeBackup,
} from "./incremental/restore_steps.ts";
import { restoreOwner } from "./restore_owner.ts";
import { type TablespaceTarget, tablespaceTargets } from "./tablespace_targets.ts";

/** What is restored, and how. */
export interface RestoreRun {
  readonly backup: BackupManifest;
  readonly options: RestoreOptions;
}

/** A restore that was looked into. */
export interface PreparedRestore {
  readonly plan: RestorePlan;
  /** As if nothing were at the destination. */
  readonly steps: RestoreSteps;
  /** With `delta`, when something is at the destination: the lists to compare it with. */
  readonly listed: readonly ListedBackup[] | undefined;
}

/**
 * What a restore of a physical backup would do; looks, and moves nothing.
 *
 * @throws {UsageError} when the options do not fit the backup.
 */
export async function planPhysicalRestore(
  parts: RestoreParts,
  run: RestoreRun,
): Promise<RestorePlan> {
  return (await preparePhysicalRestore(parts, run)).plan;
}

/** The same with what the restore goes by. */
export async function preparePhysicalRestore(
  parts: RestoreParts,
  { backup, options }: RestoreRun,
): Promise<PreparedRestore> {
  const destination = destinationOf(options);
  const tablespaces = tablespaceTargets(backup, options.tablespaceMap);
  const folders = [destination, ...tablespaces.map(({ to }) => to)];
  const delta = options.delta === true && await isOccupied(folders);
  const reading = options.signal ? { signal: options.signal } : {};
  const chain = await loadChain(parts.repository, backup, reading);
  const simple = chain.length === 1 && !delta;
  const listed = simple ? undefined : await listChain(parts, chain, reading);
  const steps = listed ? stepsOf(listed) : wholeBackup(backup);
  const place = { destination, tablespaces };
  const plan = {
    backup,
    chain,
    ...place,
    objects: steps.steps.reduce((sum, { chunks }) => sum + chunks.length, 1),
    fetchBytes: fetchedBytes(steps),
    writeBytes: steps.bytes,
    freeBytes: freeSpace(destination),
    obstacles: delta
      ? await deltaObstacles(backup, { ...place, force: options.force ?? false })
      : await obstacles(destination, tablespaces, steps.bytes),
  };
  return { plan, steps, listed: delta ? listed : undefined };
}

/** Room is not counted: what is there makes way, and a restore that runs out of it can go on. */
async function deltaObstacles(
  backup: BackupManifest,
  { destination, tablespaces, force }: {
    readonly destination: string;
    readonly tablespaces: readonly TablespaceTarget[];
    readonly force: boolean;
  },
): Promise<readonly string[]> {
  return [
    ...await existingObstacles(destination, { backup, tablespaces, force }),
    ...overlaps([destination, ...tablespaces.map(({ to }) => to)]),
    ...await ownerObstacles(destination),
  ];
}

function destinationOf({ destination, into, databases, tables }: RestoreOptions): string {
  if (into !== undefined || databases !== undefined || tables !== undefined) {
    throw new UsageError(
      "a physical backup holds whole clusters: it cannot go into a live server or by database",
      "give an empty folder with --destination, or choose a logical backup",
    );
  }
  if (destination === undefined || destination === "") {
    throw new UsageError("no destination is given", "name an empty folder with --destination");
  }
  return resolve(destination);
}

async function obstacles(
  destination: string,
  tablespaces: readonly TablespaceTarget[],
  bytes: number,
): Promise<readonly string[]> {
  const locations = tablespaces.map(({ to }) => to);
  const found = [
    ...await folderObstacles(destination, tablespaces),
    ...overlaps([destination, ...locations]),
    ...await ownerObstacles(destination),
  ];
  const free = totalFreeSpace([destination, ...locations]);
  if (free === null || free >= bytes) return found;
  const where = locations.length > 0 ? `${destination} and its tablespaces have` : destination;
  const has = locations.length > 0 ? where : `${where} has`;
  return [...found, `${has} ${formatBytes(free)} free, the backup needs ${formatBytes(bytes)}`];
}

async function folderObstacles(
  destination: string,
  tablespaces: readonly TablespaceTarget[],
): Promise<readonly string[]> {
  const found: string[] = [];
  const root = await inspectFolder(destination);
  if (root.state === "unusable") found.push(root.reason);
  if (root.state === "absent" && !await isFolder(dirname(destination))) {
    found.push(`${dirname(destination)}, the folder for ${destination}, does not exist`);
  }
  for (const { oid, to } of tablespaces) {
    const folder = await inspectFolder(to);
    if (folder.state === "unusable") found.push(`tablespace ${oid}: ${folder.reason}`);
  }
  return found;
}

/** Folders that are the same or lie within each other: files of one would mix with the other's. */
function overlaps(folders: readonly string[]): readonly string[] {
  return folders.flatMap((inner, index) =>
    folders
      .filter((outer, other) => other !== index && `${inner}/`.startsWith(`${outer}/`))
      .filter((outer) => outer !== inner || folders.indexOf(inner) === index)
      .map((outer) => inner === outer ? `${inner} is used twice` : `${inner} lies within ${outer}`)
  );
}

async function ownerObstacles(destination: string): Promise<readonly string[]> {
  try {
    await restoreOwner(destination, { uid: Deno.uid() });
    return [];
  } catch (error) {
    if (error instanceof DestinationError) return [`${error.message}; ${error.hint}`];
    throw error;
  }
}

async function isFolder(path: string): Promise<boolean> {
  return (await Deno.stat(path).catch(() => undefined))?.isDirectory ?? false;
}

import { dirname } from "node:path";
import { removeMarker } from "./delta/restore_marker.ts";
import type { FileOwner } from "./file_owner.ts";
import { onPath } from "../destination/cannot_write.ts";
import { CONTROL_FILE, PENDING_CONTROL_FILE } from "./required_files.ts";
import { inspectFolder } from "../destination/inspect_folder.ts";
import { memberPath, type RestoreFolders } from "./member_path.ts";
import { syncFolders, syncPath } from "../destination/sync_folders.ts";
import type { TablespaceTarget } from "./tablespace_targets.ts";

const FOLDER_MODE = 0o700;

/**
 * The folders that a restore fills. While root restores they belong to root, so that nobody can
 * lead its writes astray with links; at the end they are given to their owner.
 */
export class DestinationFolders {
  readonly folders: RestoreFolders;
  readonly owner: FileOwner | undefined;
  readonly #tablespaces: readonly TablespaceTarget[];
  readonly #delta: boolean;
  /** Folders that are this restore's own by now, those above first. */
  readonly #taken: string[] = [];
  #controlFile: string | undefined;

  constructor(
    destination: string,
    { tablespaces, owner, delta = false }: {
      readonly tablespaces: readonly TablespaceTarget[];
      readonly owner: FileOwner | undefined;
      /** Whether folders that hold something are taken, too. @default {false} */
      readonly delta?: boolean;
    },
  ) {
    this.folders = {
      destination,
      tablespaces: new Map(tablespaces.map(({ oid, to }) => [oid, to])),
    };
    this.owner = owner;
    this.#delta = delta;
    this.#tablespaces = tablespaces;
  }

  /** Every folder that is filled from outside of the others. */
  get roots(): readonly string[] {
    return [this.folders.destination, ...this.folders.tablespaces.values()];
  }

  /** Makes the folders, or takes those that are there. @throws {DestinationError} */
  async prepare(): Promise<void> {
    for (const root of this.roots) {
      await onPath(root, async () => {
        const folder = await inspectFolder(root);
        if (folder.state === "unusable" && !this.#delta) throw new Error(folder.reason);
        if (folder.state === "absent") await this.#make(root);
        else {
          this.#taken.push(root);
          if (this.owner) await Deno.chown(root, 0, 0);
        }
        await Deno.chmod(root, FOLDER_MODE);
      });
    }
  }

  /** Links the tablespaces, as PostgreSQL finds them. @throws {DestinationError} */
  async linkTablespaces(): Promise<void> {
    const links = `${this.folders.destination}/pg_tblspc`;
    for (const { oid, to } of this.#tablespaces) {
      const path = `${links}/${oid}`;
      await onPath(path, async () => {
        await Deno.mkdir(links, { mode: FOLDER_MODE }).catch(unlessThere);
        await Deno.symlink(to, path);
      });
    }
  }

  /**
   * Makes everything durable, gives it to its owner, and only then lets pg_control appear.
   *
   * @param created folders that were made below the roots.
   * @throws {DestinationError}
   */
  async finish(created: readonly string[]): Promise<void> {
    const { destination } = this.folders;
    await this.#give([...created, `${destination}/pg_tblspc`]);
    await syncFolders(this.roots);
    const control = memberPath(CONTROL_FILE, this.folders);
    await onPath(
      control,
      () => Deno.rename(memberPath(PENDING_CONTROL_FILE, this.folders), control),
    );
    this.#controlFile = control;
    await syncPath(control);
    await syncPath(`${destination}/global`);
    await this.#give(this.#taken.toReversed());
    removeMarker(destination);
    for (const root of this.roots) await syncPath(root);
  }

  /**
   * After a failure: no server may start from what this restore has put there. Never throws, and
   * touches nothing of others.
   */
  async abandon(): Promise<void> {
    if (this.#controlFile) await Deno.remove(this.#controlFile).catch(() => {});
    await this.#give(this.#taken).catch(() => {});
  }

  /** With the folders above it, but for the destination, whose parent must be there. */
  async #make(path: string): Promise<void> {
    const above = dirname(path);
    const isDestination = path === this.folders.destination;
    if (!isDestination && !await Deno.stat(above).catch(unlessMissing)) await this.#make(above);
    await Deno.mkdir(path, { mode: FOLDER_MODE });
    this.#taken.push(path);
  }

  async #give(paths: readonly string[]): Promise<void> {
    const { owner } = this;
    if (!owner) return;
    for (const path of new Set(paths)) {
      await onPath(path, () => Deno.chown(path, owner.uid, owner.gid)).catch(unlessMissing);
    }
  }
}

function unlessThere(error: unknown): void {
  if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
}

function unlessMissing(error: unknown): void {
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
  if (!(cause instanceof Deno.errors.NotFound)) throw error;
}

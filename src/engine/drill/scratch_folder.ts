import { dirname, resolve } from "node:path";
import { DestinationError } from "../../domain/errors.ts";
import { inTemporaryFolder } from "../../domain/in_temporary_folder.ts";
import { inspectFolder } from "../destination/inspect_folder.ts";
import type { FileOwner } from "../physical/file_owner.ts";
import { restoreOwner } from "../physical/restore_owner.ts";
import {
  CopyMark,
  type EarlierCopies,
  emptyOfCopy,
  removeTemporaryCopies,
  TEMPORARY_PREFIX,
} from "./earlier_copies.ts";

const MODE = 0o700;
/** A socket's path has room for about 107 bytes. unix(7), sun_path. */
const LONGEST_SOCKET_FOLDER = 80;
/** Everybody who comes through this server's socket may in: the folder lets nobody else. */
const HBA = "local all all trust\n";

/** The folders of a drill: all that is written to disk lies in them. */
export class ScratchFolder {
  /** The folder that people are told. */
  readonly path: string;
  /** Absent or empty: the data directory. */
  readonly dataDirectory: string;
  readonly socketFolder: string;
  readonly hbaFile: string;
  readonly identFile: string;
  /** Who runs the server; undefined: this user. */
  readonly owner: FileOwner | undefined;
  readonly #wasThere: boolean;
  readonly #mark: CopyMark;

  private constructor(
    path: string,
    { socketFolder, owner, wasThere, mark }: {
      readonly socketFolder: string;
      readonly owner: FileOwner | undefined;
      readonly wasThere: boolean;
      readonly mark: CopyMark;
    },
  ) {
    this.path = path;
    this.dataDirectory = `${path}/data`;
    this.hbaFile = `${path}/pg_hba.conf`;
    this.identFile = `${path}/pg_ident.conf`;
    this.socketFolder = socketFolder;
    this.owner = owner;
    this.#wasThere = wasThere;
    this.#mark = mark;
  }

  /**
   * Makes the folders, in place of what an earlier drill of the cluster left there.
   *
   * @param destination an absent or empty folder; a temporary one when undefined.
   * @param options.uid who runs this.
   * @throws {DestinationError} when it cannot be used, or root finds nobody to run PostgreSQL as.
   */
  static async make(
    destination: string | undefined,
    { uid, ...copies }: EarlierCopies & { readonly uid: number | null },
  ): Promise<ScratchFolder> {
    const path = destination === undefined ? temporary() : resolve(destination);
    if (destination === undefined) await removeTemporaryCopies(dirname(path), copies);
    else await emptyOfCopy(path, copies);
    const { state, ...found } = await inspectFolder(path);
    if (state === "unusable") {
      const reason = "reason" in found ? String(found.reason) : "";
      throw new DestinationError(reason, "name a folder that is absent or empty");
    }
    const wasThere = destination !== undefined && state === "empty";
    let socketFolder: string | undefined;
    let mark: CopyMark | undefined;
    try {
      const owner = await restoreOwner(path, { uid });
      await Deno.mkdir(path, { recursive: true, mode: MODE });
      mark = await CopyMark.lay(path, copies.repository);
      socketFolder = await socketFolderFor(path);
      const scratch = new ScratchFolder(path, { socketFolder, owner, wasThere, mark });
      await scratch.#fill();
      return scratch;
    } catch (error) {
      await mark?.release({ forGood: true });
      // What went wrong is told, and not that nothing could be removed after it.
      if (socketFolder !== undefined) await removeTree(socketFolder).catch(() => {});
      if (!wasThere) await removeTree(path).catch(() => {});
      if (error instanceof DestinationError) throw error;
      const reason = error instanceof Error ? error.message : String(error);
      throw new DestinationError(`cannot make the scratch folder ${path}: ${reason}`, undefined, {
        cause: error,
      });
    }
  }

  /** Where a tablespace goes to. */
  tablespace(oid: number): string {
    return `${this.path}/tablespaces/${oid}`;
  }

  /**
   * Lets the data directory be started: some keep postgresql.conf elsewhere, such as Debian.
   *
   * @returns whether it came with one of its own.
   */
  async completeConfiguration(): Promise<boolean> {
    const path = `${this.dataDirectory}/postgresql.conf`;
    if (await Deno.lstat(path).then(() => true, () => false)) return true;
    await this.write(path, "");
    return false;
  }

  /** Writes a file that the server may read, and nobody else. */
  async write(path: string, text: string): Promise<void> {
    await Deno.writeTextFile(path, text, { createNew: true, mode: 0o600 });
    await this.#give(path);
  }

  /**
   * Removes the sockets' folder, and everything else unless it is to be kept.
   *
   * @param options.forGood when kept: the next drill leaves it alone, too.
   */
  async remove(
    { keep, forGood = false }: { readonly keep: boolean; readonly forGood?: boolean },
  ): Promise<void> {
    if (this.socketFolder !== this.path) await removeTree(this.socketFolder);
    await this.#mark.release({ forGood: forGood || !keep });
    if (keep) return;
    if (!this.#wasThere) return await removeTree(this.path);
    for await (const { name } of Deno.readDir(this.path)) await removeTree(`${this.path}/${name}`);
  }

  async #fill(): Promise<void> {
    for (const folder of new Set([this.path, this.socketFolder])) {
      await Deno.chmod(folder, MODE);
      await this.#give(folder);
    }
    await this.write(this.hbaFile, HBA);
    await this.write(this.identFile, "");
    for (const folder of [this.dataDirectory, `${this.path}/tablespaces`]) {
      await Deno.mkdir(folder, { mode: MODE });
      await this.#give(folder);
    }
  }

  async #give(path: string): Promise<void> {
    if (this.owner) await Deno.chown(path, this.owner.uid, this.owner.gid);
  }
}

function temporary(): string {
  return inTemporaryFolder(() => Deno.makeTempDirSync({ prefix: TEMPORARY_PREFIX }));
}

/** The scratch folder itself, or one with a shorter name. */
async function socketFolderFor(path: string): Promise<string> {
  if (new TextEncoder().encode(path).length <= LONGEST_SOCKET_FOLDER) return path;
  const short = inTemporaryFolder(() => Deno.makeTempDirSync({ prefix: "bctl-" }));
  if (dirname(short).length <= LONGEST_SOCKET_FOLDER) return short;
  await Deno.remove(short);
  return await Deno.makeTempDir({ dir: "/tmp", prefix: "bctl-" });
}

async function removeTree(path: string): Promise<void> {
  await Deno.remove(path, { recursive: true }).catch((error) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  });
}

import type { Bytes } from "../../domain/bytes.ts";
import type { WalSegmentName } from "../../domain/wal.ts";
import type { WalPlace } from "../../domain/wal_key.ts";
import { systemClock } from "../../domain/clock.ts";
import { deliverWal, syncFolderOf } from "./deliver_wal.ts";
import { checkWalHeader, WAL_HEADER_BYTES } from "./wal_header.ts";

/** Older ones are of another recovery. */
const STALE_MS = 600_000;

/**
 * Verified segments that PostgreSQL has not asked for yet, outside of pg_wal. Only what is there
 * counts: that a segment was absent is never remembered.
 */
export class PrefetchFolder {
  readonly #folder: string;
  readonly #place: WalPlace;

  /** @param folder is made when it is missing; its parent is nobody else's. */
  constructor(folder: string, place: WalPlace) {
    this.#folder = folder;
    this.#place = place;
  }

  /** Names of what is there. */
  names(): readonly string[] {
    try {
      return [...Deno.readDirSync(this.#folder)].map(({ name }) => name)
        .filter((name) => !name.includes("."));
    } catch {
      return [];
    }
  }

  /** Keeps verified bytes, durable under their name. @throws {RunFailedError} */
  put({ name }: WalSegmentName, bytes: Bytes): void {
    Deno.mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
    deliverWal(`${this.#folder}/${name}`, bytes);
  }

  /**
   * Moves a segment to where PostgreSQL wants it.
   *
   * @returns false when it is not there, or is not what it should be.
   */
  take(name: WalSegmentName, destination: string): boolean {
    const path = `${this.#folder}/${name.name}`;
    try {
      this.#check(name, path);
      move(path, destination);
      return true;
    } catch {
      this.#remove(path);
      return false;
    }
  }

  /** Removes what no recovery has asked for, and what a killed process left unfinished. */
  clean(): void {
    try {
      for (const { name } of Deno.readDirSync(this.#folder)) {
        const path = `${this.#folder}/${name}`;
        if (age(Deno.statSync(path)) > STALE_MS) this.#remove(path);
      }
    } catch {
      // There is no such folder, or another process cleans up.
    }
  }

  /** It was verified and synced before it got its name; this tells whose it is. */
  #check(name: WalSegmentName, path: string): void {
    using file = Deno.openSync(path);
    const info = file.statSync();
    if (age(info) > STALE_MS) throw new RangeError("stale");
    const head = new Uint8Array(WAL_HEADER_BYTES);
    file.readSync(head);
    const { systemIdentifier } = this.#place;
    checkWalHeader(head, { name, fileBytes: info.size, systemIdentifier });
  }

  #remove(path: string): void {
    try {
      Deno.removeSync(path);
    } catch {
      // It was not there.
    }
  }
}

/** A rename, or a copy where pg_wal lies on another file system. */
function move(path: string, destination: string): void {
  try {
    Deno.renameSync(path, destination);
    syncFolderOf(destination);
  } catch (error) {
    if (!(error instanceof Error) || !("code" in error) || error.code !== "EXDEV") throw error;
    deliverWal(destination, Deno.readFileSync(path));
    Deno.removeSync(path);
  }
}

function age({ mtime }: Deno.FileInfo): number {
  return systemClock.now().getTime() - (mtime?.getTime() ?? 0);
}

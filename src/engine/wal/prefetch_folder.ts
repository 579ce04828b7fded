import { MiB } from "../../domain/bytes.ts";
import { systemClock } from "../../domain/clock.ts";
import type { WalSegmentName } from "../../domain/wal.ts";
import type { WalPlace } from "../../domain/wal_key.ts";
import { Beacon } from "./beacon.ts";
import { WalDelivery } from "./deliver_wal.ts";
import { checkWalHeader, WAL_HEADER_BYTES } from "./wal_header.ts";

/** Of prefetched segments together, whatever their size. */
const MOST_BYTES = 128 * MiB;
/** What has been waiting for longer is fetched again. */
const STALE_MS = 600_000;

/**
 * Verified segments that PostgreSQL has not asked for yet, outside of pg_wal. Only what is there
 * counts: that a segment was absent is never remembered. It serves one run of one server: in another
 * one, the archive may hold other WAL under the same names, and a recovery with that ends early.
 */
export class PrefetchFolder {
  /** Lit while another process fetches ahead. */
  readonly fetcher: Beacon;
  /** Where the segments wait. */
  readonly path: string;
  readonly #root: string;
  readonly #place: WalPlace;

  /**
   * @param options.root is made when it is missing; its parent is nobody else's.
   * @param options.run what tells this run of the server from all others; a file's name.
   */
  constructor(
    { root, run, place }: {
      readonly root: string;
      readonly run: string;
      readonly place: WalPlace;
    },
  ) {
    this.#root = root;
    this.path = `${root}/${run}`;
    this.#place = place;
    this.fetcher = new Beacon(`${this.path}/fetcher.lit`);
  }

  /** Makes it, and removes what other runs and killed processes have left. @throws when it cannot. */
  prepare(): void {
    Deno.mkdirSync(this.path, { recursive: true, mode: 0o700 });
    for (const folder of [this.#root, this.path]) {
      for (const { name } of Deno.readDirSync(folder)) {
        const path = `${folder}/${name}`;
        if (path !== this.path && isStale(path)) this.#remove(path);
      }
    }
  }

  /** Names of what is there. */
  names(): readonly string[] {
    try {
      return [...Deno.readDirSync(this.path)].map(({ name }) => name)
        .filter((name) => !name.includes("."));
    } catch {
      return [];
    }
  }

  /** Where a segment waits, once it is verified and durable. */
  pathOf({ name }: WalSegmentName): string {
    return `${this.path}/${name}`;
  }

  /**
   * Moves a segment to where PostgreSQL wants it.
   *
   * @returns false when it is not there, or is not what it should be.
   */
  async take(name: WalSegmentName, destination: string): Promise<boolean> {
    const path = this.pathOf(name);
    try {
      this.#check(name, path);
      await move(path, destination);
      return true;
    } catch {
      this.#remove(path);
      return false;
    }
  }

  /** It was verified and synced before it got its name; this tells whose it is. */
  #check(name: WalSegmentName, path: string): void {
    using file = Deno.openSync(path);
    const info = file.statSync();
    if (isStale(path)) throw new RangeError("stale");
    const head = new Uint8Array(WAL_HEADER_BYTES);
    file.readSync(head);
    const { systemIdentifier } = this.#place;
    checkWalHeader(head, { name, fileBytes: info.size, systemIdentifier });
  }

  #remove(path: string): void {
    try {
      Deno.removeSync(path, { recursive: true });
    } catch {
      // It was not there, or another process cleans up.
    }
  }
}

/** How many segments may wait. */
export function prefetchCount(lookAhead: number, segmentBytes: number): number {
  return Math.min(lookAhead, Math.max(1, Math.floor(MOST_BYTES / segmentBytes)));
}

/**
 * A rename, or a copy where pg_wal lies on another file system. The name is not synced: recovery
 * that starts anew asks anew, and what PostgreSQL keeps it renames and syncs itself.
 */
async function move(path: string, destination: string): Promise<void> {
  try {
    Deno.renameSync(path, destination);
  } catch (error) {
    if (!(error instanceof Error) || !("code" in error) || error.code !== "EXDEV") throw error;
    const copy = new WalDelivery(destination);
    copy.write(Deno.readFileSync(path));
    await copy.end();
    Deno.removeSync(path);
  }
}

function isStale(path: string): boolean {
  try {
    const { mtime } = Deno.statSync(path);
    return systemClock.now().getTime() - (mtime?.getTime() ?? 0) > STALE_MS;
  } catch {
    return true; // it is gone
  }
}

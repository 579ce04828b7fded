import { Beacon } from "./beacon.ts";
import type { FileIdentity } from "./wal_file.ts";
import { isSameFile } from "./wal_file.ts";

/** Behind this, a half-written file is nobody's any more. */
const ABANDONED_MS = 3_600_000;

/** A file that the store has acknowledged before PostgreSQL asked for it. */
export interface WalMark {
  readonly name: string;
  readonly identity: FileIdentity;
  readonly sha256: string;
}

/** What was found out about the repository, to be believed for a while. */
export interface KnownRepository {
  readonly conditionalPut: boolean;
  /** Milliseconds since 1970. */
  readonly checked: number;
}

/**
 * A folder of this user where one call leaves word for the next. Losing it costs time, never a
 * segment: a mark is only made after the store's acknowledgement, and holds for that very file only.
 */
export class WalSpool {
  readonly folder: string;
  readonly #settings: string;

  /**
   * @param folder exists, and nobody else can write to it.
   * @param settings tells those apart by which files are pushed: marks of others do not count.
   */
  constructor(folder: string, settings: string) {
    this.folder = folder;
    this.#settings = settings;
  }

  /** Whether the last call for this archive had the same settings. */
  get isCurrent(): boolean {
    return readJson(`${this.folder}/settings.json`) === this.#settings;
  }

  /** Has whoever pushes ahead by other settings end: not a file more in the clear, or to others. */
  claim(): void {
    if (!this.isCurrent) write(`${this.folder}/settings.json`, this.#settings, { durable: false });
  }

  /** Lit while another process pushes ahead. */
  get runner(): Beacon {
    return new Beacon(`${this.folder}/runner`);
  }

  /** Where segments are kept that were fetched ahead. */
  get prefetchRoot(): string {
    return `${this.folder}/prefetch`;
  }

  /** What is known of the repository; undefined when nothing is. */
  repository(): KnownRepository | undefined {
    const known = readJson(`${this.folder}/repository.json`) as
      | Partial<KnownRepository>
      | undefined;
    const { conditionalPut, checked } = known ?? {};
    if (typeof conditionalPut !== "boolean" || typeof checked !== "number") return undefined;
    return { conditionalPut, checked };
  }

  /** Keeps it. As it is found out once an hour, it is also the time to tidy up. */
  remember(known: KnownRepository): void {
    sweepHalves(this.folder, known.checked);
    write(`${this.folder}/repository.json`, known, { durable: false });
  }

  /**
   * Makes a mark durable; its name is by {@link WalSpool.settle}.
   *
   * @returns false when it could not be kept; the file is simply pushed again.
   */
  mark(mark: WalMark): boolean {
    const made = { ...mark, settings: this.#settings };
    return write(this.#markPath(mark.name), made, { durable: true });
  }

  /** Makes the names of all marks durable. */
  settle(): void {
    try {
      syncFolder(this.folder);
    } catch {
      // Losing marks costs time only.
    }
  }

  /** The mark of a name, if the file is still the one that was pushed. */
  markOf(name: string, identity: FileIdentity): WalMark | undefined {
    const mark = readJson(this.#markPath(name)) as
      | Partial<WalMark & { settings: string }>
      | undefined;
    if (mark?.name !== name || mark.identity === undefined || !mark.sha256) return undefined;
    if (mark.settings !== this.#settings) return undefined;
    return isSameFile(mark.identity, identity) ? mark as WalMark : undefined;
  }

  /** Removes a mark that has done its work, or is of another file. */
  forget(name: string): void {
    remove(this.#markPath(name));
  }

  /** Removes the marks of all other files: PostgreSQL has been told that they are archived. */
  keepOnly(names: readonly string[]): void {
    const kept = new Set(names.map((name) => `${name}.mark`));
    try {
      for (const { name } of Deno.readDirSync(this.folder)) {
        if (name.endsWith(".mark") && !kept.has(name)) Deno.removeSync(`${this.folder}/${name}`);
      }
    } catch {
      // What stays is only a nuisance.
    }
  }

  #markPath(name: string): string {
    return `${this.folder}/${name}.mark`;
  }
}

function readJson(path: string): unknown {
  try {
    return JSON.parse(Deno.readTextFileSync(path));
  } catch {
    return undefined;
  }
}

function write(path: string, value: unknown, options: { readonly durable: boolean }): boolean {
  try {
    replaceFile(path, `${JSON.stringify(value)}\n`, options);
    return true;
  } catch {
    return false;
  }
}

/** Replaces a file whole or not at all. @throws what the disk says; nothing is left then. */
export function replaceFile(path: string, text: string, { durable = false } = {}): void {
  const temporary = `${path}.${Deno.pid}.tmp`;
  try {
    writeFile(temporary, { bytes: new TextEncoder().encode(text), durable });
    Deno.renameSync(temporary, path);
  } catch (error) {
    remove(temporary);
    throw error;
  }
}

function writeFile(
  path: string,
  { bytes, durable }: { readonly bytes: Uint8Array; readonly durable: boolean },
): void {
  using file = Deno.openSync(path, { write: true, create: true, truncate: true, mode: 0o600 });
  // A disk that becomes full takes a part and says nothing yet.
  for (let at = 0; at < bytes.length;) at += file.writeSync(bytes.subarray(at));
  if (durable) file.syncSync();
}

/** Removes what processes that were killed have left half-written. */
export function sweepHalves(folder: string, now: number): void {
  try {
    for (const { name } of Deno.readDirSync(folder)) {
      if (!/\.\d+\.tmp$/.test(name)) continue;
      const path = `${folder}/${name}`;
      if (now - Deno.lstatSync(path).mtime!.getTime() > ABANDONED_MS) remove(path);
    }
  } catch {
    // What stays is only a nuisance.
  }
}

function remove(path: string): void {
  try {
    Deno.removeSync(path);
  } catch {
    // There was none.
  }
}

function syncFolder(path: string): void {
  using folder = Deno.openSync(path);
  folder.syncSync();
}

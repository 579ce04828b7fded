import { attempt, isAbsence } from "./directory_errors.ts";
import { type DirectoryMetadata, readSidecar } from "./directory_metadata.ts";
import type { DirectoryTree } from "./directory_tree.ts";

const SIDECAR = ".metadata";
/** See {@link publish}: the name that a file has on its way to replacing another. */
const SECOND = ".link";
/** Leaves room in a name of 255 bytes for the identifier and the endings. */
const KEY_CHARACTERS = 180;

/** The files of puts that are under way, or that were when their process died. */
export class UnfinishedFiles {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** A name of its own for each put; the key in front is for people and for prefixes. */
  newName(key: string): string {
    return `${encodeURIComponent(key).slice(0, KEY_CHARACTERS)}.${crypto.randomUUID()}`;
  }

  path(name: string): string {
    return `${this.#folder}/${name}`;
  }

  /** Where a put keeps the object's metadata until the object has its name. */
  sidecarPath(name: string): string {
    return this.path(name) + SIDECAR;
  }

  /** The metadata of an object that was published but still has its unfinished name. */
  async metadataOf(info: Deno.FileInfo): Promise<Readonly<Record<string, string>> | undefined> {
    for (const name of await this.names()) {
      if (name.endsWith(SIDECAR)) continue;
      if ((await this.stat(name))?.ino !== info.ino) continue;
      return (await readSidecar(this.sidecarPath(name)))?.metadata;
    }
  }

  /** The files that are there. */
  async names(): Promise<readonly string[]> {
    return await attempt(`list ${this.#folder}`, async () => {
      const names: string[] = [];
      try {
        for await (const entry of Deno.readDir(this.#folder)) {
          if (entry.isFile) names.push(entry.name);
        }
      } catch (error) {
        if (!isAbsence(error)) throw error; // nothing was ever put here
      }
      return names;
    });
  }

  async stat(name: string): Promise<Deno.FileInfo | undefined> {
    const path = this.path(name);
    return await attempt(`look up ${path}`, () => Deno.lstat(path).catch(ignoreAbsence));
  }

  async remove(name: string): Promise<void> {
    const path = this.path(name);
    await attempt(`remove ${path}`, () => Deno.remove(path).catch(ignoreAbsence));
  }
}

/**
 * Removes unfinished files that nobody has written to since `before`. One whose object already
 * has its name is finished instead: its metadata goes to its place.
 *
 * @returns how many puts were given up.
 */
export async function reapUnfinished(
  { tree, metadata, unfinished }: {
    readonly tree: DirectoryTree;
    readonly metadata: DirectoryMetadata;
    readonly unfinished: UnfinishedFiles;
  },
  { prefix, before, signal }: {
    readonly prefix: string;
    readonly before: Date;
    readonly signal: AbortSignal | undefined;
  },
): Promise<number> {
  const start = encodeURIComponent(prefix).slice(0, KEY_CHARACTERS);
  const names = (await unfinished.names()).filter((name) => name.startsWith(start));
  let given = 0;
  // The files before their sidecars, which are then gone or orphans.
  for (const name of names.toSorted((a, b) => a.length - b.length)) {
    signal?.throwIfAborted();
    const info = await unfinished.stat(name);
    if (info === undefined || info.mtime === null || info.mtime >= before) continue;
    const sidecar = await readSidecar(unfinished.sidecarPath(name), { unfinished: true });
    if (sidecar !== undefined && (await tree.stat(sidecar.key))?.ino === info.ino) {
      await metadata.adopt(sidecar.key, unfinished.sidecarPath(name));
    } else if (!name.endsWith(SIDECAR) && !name.endsWith(SECOND)) {
      given += 1;
    }
    await unfinished.remove(name);
    await unfinished.remove(name + SIDECAR);
  }
  return given;
}

function ignoreAbsence(error: unknown): undefined {
  if (!isAbsence(error)) throw error;
}

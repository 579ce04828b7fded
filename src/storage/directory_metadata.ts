import { StorageError } from "../domain/errors.ts";
import { attempt, isAbsence } from "./directory_errors.ts";
import { DirectoryTree } from "./directory_tree.ts";

type Metadata = Readonly<Record<string, string>>;

/** What a sidecar holds. The size tells a sidecar that was left behind by another object. */
interface Sidecar {
  readonly key: string;
  readonly size: number;
  readonly metadata: Metadata;
}

/**
 * Metadata of a folder's objects: beside the objects, not inside of them, so that plain tools open
 * them, and not among them, so that nobody sees them: `<root>/.backupctl/metadata/<key>`, JSON.
 */
export class DirectoryMetadata {
  readonly #tree: DirectoryTree;

  constructor(root: string) {
    this.#tree = new DirectoryTree(root);
  }

  /** The metadata of `key`, empty when there is none for an object of this size. */
  async read(key: string, size: number): Promise<Metadata> {
    if (await this.#tree.stat(key) === undefined) return {};
    const sidecar = await readSidecar(this.#tree.path(key));
    return sidecar?.size === size ? sidecar.metadata : {};
  }

  /** Whether `key` has a sidecar. */
  async has(key: string): Promise<boolean> {
    return await this.#tree.stat(key) !== undefined;
  }

  /** Moves a finished sidecar to its place. */
  async adopt(key: string, path: string): Promise<void> {
    await this.#tree.inFolderOf(key, () => Deno.rename(path, this.#tree.path(key)));
  }

  async remove(key: string): Promise<void> {
    const path = this.#tree.path(key);
    if (await this.#tree.stat(key) === undefined) return;
    await attempt(`remove ${path}`, () => Deno.remove(path).catch(ignoreAbsence));
    await this.#tree.removeEmptyFolders(key);
  }
}

/** The bytes of a sidecar. */
export function formatSidecar(sidecar: Sidecar): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(`${JSON.stringify(sidecar)}\n`);
}

/**
 * What the sidecar at `path` says, or undefined when there is none.
 *
 * @param options.unfinished whether its writer may have died in the middle: then half a sidecar
 * is none.
 * @throws {StorageError} when the file is damaged.
 */
export async function readSidecar(
  path: string,
  { unfinished = false }: { readonly unfinished?: boolean } = {},
): Promise<Sidecar | undefined> {
  const text = await attempt(
    `read ${path}`,
    () => Deno.readTextFile(path).catch(ignoreAbsence),
  );
  if (text === undefined) return undefined;
  const sidecar = parse(text);
  if (sidecar !== undefined || unfinished) return sidecar;
  throw new StorageError(
    `the metadata in ${path} is damaged`,
    "the disk may fail: see the kernel's log, and verify the backups",
  );
}

function parse(text: string): Sidecar | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isSidecar(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isSidecar(value: unknown): value is Sidecar {
  if (typeof value !== "object" || value === null) return false;
  if (!("key" in value) || !("size" in value) || !("metadata" in value)) return false;
  const { key, size, metadata } = value;
  if (typeof key !== "string" || typeof size !== "number") return false;
  if (typeof metadata !== "object" || metadata === null) return false;
  return Object.values(metadata).every((field) => typeof field === "string");
}

function ignoreAbsence(error: unknown): undefined {
  if (!isAbsence(error)) throw error;
}

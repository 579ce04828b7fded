import { createHash } from "node:crypto";
import { MiB } from "../domain/bytes.ts";
import { ObjectExistsError } from "../domain/errors.ts";
import { attempt, errorCode, isAbsence } from "./directory_errors.ts";
import { NO_LINKS } from "./directory_publish.ts";
import type { DirectoryTree } from "./directory_tree.ts";
import type { CopyOptions } from "./storage.ts";

const READ_BYTES = MiB;

/**
 * Gives the file of an object a second name, when its bytes, which are read here and now, are those
 * that are expected. Never by its time or length: both outlive a change.
 *
 * @returns undefined when they are not, or when the file system knows no hard links.
 * @throws {ObjectExistsError} when the second name is taken.
 */
export async function linkObject(
  tree: DirectoryTree,
  { from, to, size, sha256, signal }: CopyOptions & { readonly from: string; readonly to: string },
): Promise<Deno.FileInfo | undefined> {
  if ((await tree.stat(from))?.size !== size) return undefined;
  const read = await hashFile(tree.path(from), signal);
  if (read?.sha256 !== sha256) return undefined;
  if (await tree.stat(to) !== undefined) throw new ObjectExistsError(to);
  try {
    await tree.inFolderOf(to, () => Deno.link(tree.path(from), tree.path(to)));
  } catch (error) {
    const code = errorCode(error) ?? "";
    if (code === "ENOENT" || NO_LINKS.has(code)) return undefined;
    if (code === "EEXIST") throw new ObjectExistsError(to);
    return await attempt(`store ${tree.path(to)}`, () => Promise.reject(error));
  }
  const made = await tree.stat(to);
  if (made?.ino === read.info.ino && made.dev === read.info.dev) return made;
  // Another file had taken that name since it was read.
  await attempt(`remove ${tree.path(to)}`, () => Deno.remove(tree.path(to)));
  return undefined;
}

async function hashFile(
  path: string,
  signal: AbortSignal | undefined,
): Promise<{ readonly sha256: string; readonly info: Deno.FileInfo } | undefined> {
  return await attempt(`read ${path}`, async () => {
    using file = await Deno.open(path).catch(ignoreAbsence);
    if (!file) return undefined;
    const info = await file.stat();
    const hash = createHash("sha256");
    const buffer = new Uint8Array(READ_BYTES);
    for (let count = await file.read(buffer); count !== null; count = await file.read(buffer)) {
      signal?.throwIfAborted();
      hash.update(buffer.subarray(0, count));
    }
    return { sha256: hash.digest("hex"), info };
  });
}

function ignoreAbsence(error: unknown): undefined {
  if (!isAbsence(error)) throw error;
}

import type { Bytes } from "../../domain/bytes.ts";
import { mapLimited } from "../../domain/map_limited.ts";
import { cannotWrite } from "./cannot_write.ts";

const SYNCS_AT_ONCE = 16;

/**
 * Makes everything below `folders` durable: one sync of each file system, which coreutils' `sync
 * -f` asks syncfs(2) for; where that is missing, every file and folder on its own.
 *
 * @param options.program another `sync`, for tests.
 * @returns how many folders were synced file by file.
 * @throws {DestinationError} when the disk reports a failure.
 */
export async function syncFolders(
  folders: readonly string[],
  { program = "sync" }: { readonly program?: string } = {},
): Promise<number> {
  let byFile = 0;
  for (const folder of folders) {
    if (await syncFileSystem(program, folder)) continue;
    await syncTree(folder);
    byFile += 1;
  }
  return byFile;
}

/** Makes one file or folder durable. @throws {DestinationError} */
export async function syncPath(path: string): Promise<void> {
  try {
    using file = await Deno.open(path);
    await file.sync();
  } catch (error) {
    throw cannotWrite(path, error);
  }
}

async function syncFileSystem(program: string, folder: string): Promise<boolean> {
  try {
    const { success } = await new Deno.Command(program, {
      args: ["-f", folder],
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).output();
    return success;
  } catch {
    return false; // there is no such program, or it may not be run
  }
}

/** Files side by side, since the disk writes several at once; folders when all in them is there. */
async function syncTree(folder: string): Promise<void> {
  const folders = [folder];
  for (const path of folders) {
    const files: string[] = [];
    for await (const entry of Deno.readDir(path)) {
      if (entry.isDirectory) folders.push(`${path}/${entry.name}`);
      if (entry.isFile) files.push(`${path}/${entry.name}`);
    }
    await mapLimited(files, SYNCS_AT_ONCE, syncPath);
  }
  await mapLimited(folders.toReversed(), SYNCS_AT_ONCE, syncPath);
}

/** Writes a new file of mode 0600 from a stream, and makes it durable. @throws {DestinationError} */
export async function writeNewFile(path: string, content: ReadableStream<Bytes>): Promise<void> {
  using file = await openNew(path);
  for await (const bytes of content) {
    for (let at = 0; at < bytes.length;) {
      at += await file.write(bytes.subarray(at)).catch((error) => {
        throw cannotWrite(path, error);
      });
    }
  }
  await file.sync();
}

async function openNew(path: string): Promise<Deno.FsFile> {
  try {
    return await Deno.open(path, { write: true, createNew: true, mode: 0o600 });
  } catch (error) {
    throw cannotWrite(path, error);
  }
}

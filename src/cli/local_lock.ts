import { LeaseHeldError } from "../domain/errors.ts";
import { tryLock } from "../domain/try_lock.ts";

/**
 * Locks out other processes of this machine, whatever the store is like; the lock ends with the
 * process. Where no folder is known or can be written there is none: the lease in the store counts.
 *
 * @param what for messages: `removal from cluster main`.
 * @throws {LeaseHeldError} naming the process that has it.
 */
export async function lockLocally(
  folder: string | undefined,
  { name, what }: { readonly name: string; readonly what: string },
): Promise<Disposable> {
  const path = `${folder}/${name}.lock`;
  const file = folder === undefined ? undefined : await openLock(path, folder);
  if (!file) return { [Symbol.dispose]: () => {} };
  try {
    if (!await tryLock(file)) {
      const pid = await readPid(path);
      throw new LeaseHeldError(`${what} on this host (process ${pid})`);
    }
    await file.truncate(0);
    await file.seek(0, Deno.SeekMode.Start);
    await file.write(new TextEncoder().encode(`${Deno.pid}\n`));
    return { [Symbol.dispose]: () => file.close() };
  } catch (error) {
    file.close();
    throw error;
  }
}

async function openLock(path: string, folder: string): Promise<Deno.FsFile | undefined> {
  try {
    await Deno.mkdir(folder, { recursive: true, mode: 0o700 });
    return await Deno.open(path, { create: true, read: true, write: true, mode: 0o600 });
  } catch {
    return undefined;
  }
}

async function readPid(path: string): Promise<string> {
  return /^\d+/.exec(await Deno.readTextFile(path))?.[0] ?? "unknown";
}

/** A lock that nobody has is there at once; who has it keeps it for longer than this. */
const FREE_LOCK_MS = 1_000;

/**
 * Locks a file against other processes, unless one has it. flock(2): the lock ends with the process.
 *
 * @returns false when another one has it.
 */
export async function tryLock(file: Deno.FsFile): Promise<boolean> {
  if (typeof file.tryLock === "function") return await file.tryLock(true);
  // Before Deno 2.8 there is only the lock that is waited for; what comes later goes with the file.
  const late = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => late.resolve(false), FREE_LOCK_MS);
  try {
    return await Promise.race([file.lock(true).then(() => true), late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

import { statfsSync } from "node:fs";
import { dirname } from "node:path";

/**
 * Bytes that this user may still write on the file system that `path` is or will be on.
 *
 * @returns null when it cannot be told.
 */
export function freeSpace(path: string): number | null {
  for (let at = path;; at = dirname(at)) {
    const free = freeAt(at);
    if (free !== undefined) return free;
    if (at === dirname(at)) return null;
  }
}

/** Free bytes of all the file systems of `paths` together; null when any of them is unknown. */
export function totalFreeSpace(paths: readonly string[]): number | null {
  const byDevice = new Map<number, number>();
  for (const path of paths) {
    const free = freeSpace(path);
    const device = deviceOf(path);
    if (free === null || device === undefined) return null;
    byDevice.set(device, free);
  }
  return [...byDevice.values()].reduce((sum, free) => sum + free, 0);
}

function freeAt(path: string): number | undefined {
  try {
    const { bavail, bsize } = statfsSync(path);
    return bavail * bsize;
  } catch {
    return undefined;
  }
}

function deviceOf(path: string): number | undefined {
  for (let at = path;; at = dirname(at)) {
    try {
      return Deno.statSync(at).dev;
    } catch {
      if (at === dirname(at)) return undefined;
    }
  }
}

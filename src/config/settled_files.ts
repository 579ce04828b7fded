import { systemClock } from "../domain/clock.ts";
import { pause } from "../domain/pause.ts";

/** Whoever writes a file in place goes on within this time. */
const SETTLED_MS = 1000;
/** Files that never rest are taken as they are. */
const ROUNDS = 5;

/**
 * Does what reads these files when nobody is writing them. One that was written a moment ago may be
 * half of what it will be, and valid all the same: a section that is not there yet would be taken
 * for one that nobody wants. So it is waited for, and when the files have changed meanwhile, the
 * work is done again.
 */
export async function withSettledFiles<T>(
  files: readonly string[],
  work: () => Promise<T>,
): Promise<T> {
  for (let round = 1;; round++) {
    const before = await settled(files);
    try {
      const result = await work();
      if (round === ROUNDS || look(files).content === before) return result;
    } catch (error) {
      if (round === ROUNDS || look(files).content === before) throw error;
    }
  }
}

/** What the files hold once it has stayed the same for a while. */
async function settled(files: readonly string[]): Promise<string> {
  let { content, ageMs } = look(files);
  for (let round = 1; round < ROUNDS && ageMs < SETTLED_MS; round++) {
    const seen = content;
    await pause(SETTLED_MS - ageMs);
    ({ content, ageMs } = look(files));
    // Some file systems call every file young.
    if (content === seen) break;
  }
  return content;
}

interface Look {
  readonly content: string;
  /** Since the newest of them was written; by another machine's clock it may be in the future. */
  readonly ageMs: number;
}

function look(files: readonly string[]): Look {
  const now = systemClock.now().getTime();
  let ageMs = Infinity;
  const texts = files.map((file) => {
    try {
      const { isFile, mtime } = Deno.statSync(file);
      if (!isFile) return null; // a pipe can be read only once
      ageMs = Math.min(ageMs, Math.abs(now - mtime!.getTime()));
      return Deno.readTextFileSync(file);
    } catch {
      return null; // whoever loads it tells why
    }
  });
  return { content: JSON.stringify(texts), ageMs };
}

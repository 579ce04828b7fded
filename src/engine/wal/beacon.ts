import { systemClock } from "../../domain/clock.ts";

/** Behind this, whoever lit it is taken for dead. */
const DARK_MS = 1_500;
const BEAT_MS = 250;

/**
 * A file that says "somebody is at work here" as long as it is touched. A wrong answer costs time
 * only: work is done twice, or waited for in vain.
 */
export class Beacon {
  readonly #path: string;
  #timer: ReturnType<typeof setInterval> | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  get isLit(): boolean {
    try {
      const { mtime } = Deno.statSync(this.#path);
      return mtime !== null && Math.abs(systemClock.now().getTime() - mtime.getTime()) < DARK_MS;
    } catch {
      return false;
    }
  }

  /** Lights it and keeps it lit. @returns false when somebody else has. */
  light(): boolean {
    if (this.isLit) return false;
    try {
      Deno.removeSync(this.#path);
    } catch {
      // Nobody has been at work, or another one has removed it just now.
    }
    try {
      Deno.openSync(this.#path, { write: true, createNew: true, mode: 0o600 }).close();
    } catch {
      return false;
    }
    this.#timer = setInterval(() => this.#touch(), BEAT_MS);
    Deno.unrefTimer(this.#timer as unknown as number);
    return true;
  }

  /** Puts it out. */
  quench(): void {
    clearInterval(this.#timer);
    try {
      Deno.removeSync(this.#path);
    } catch {
      // Somebody took us for dead.
    }
  }

  #touch(): void {
    try {
      const now = systemClock.now();
      Deno.utimeSync(this.#path, now, now);
    } catch {
      // Removed: others will not see us, which is no harm.
    }
  }
}

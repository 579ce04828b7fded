/** Binary data that may be transferred between threads. */
export type Bytes = Uint8Array<ArrayBuffer>;

/** 1,024 bytes. */
export const KiB = 1024;
/** 1,048,576 bytes. */
export const MiB = 1024 * KiB;
/** 1,073,741,824 bytes. */
export const GiB = 1024 * MiB;

/**
 * Gives the memory of `bytes` back at once instead of at some later garbage collection: nobody may
 * touch it, or another view of its buffer, again. Where blocks of 1 MiB rush through, this is the
 * difference between a few of them in memory and a few hundred.
 */
export function discard(bytes: Uint8Array<ArrayBufferLike>): void {
  // Small results may be views into a pool that others live in.
  if (bytes.buffer instanceof ArrayBuffer && bytes.buffer.byteLength > POOLED_BYTES) {
    bytes.buffer.transfer(0);
  }
}

/** node:buffer shares pools of 8 KiB; nothing of ours that matters is that small. */
const POOLED_BYTES = 64 * KiB;

/** All of them in one buffer of its own. */
export function joinBytes(parts: readonly Bytes[]): Bytes {
  const whole: Bytes = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

const UNITS = ["B", "kB", "MB", "GB", "TB", "PB"] as const;

/** A size for people, in powers of 1,024 as PostgreSQL's `pg_size_pretty` writes it: `12.4 MB`. */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (Math.abs(value) >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  const digits = unit === 0 || value >= 100 ? 0 : 1;
  return `${value.toFixed(digits)} ${UNITS[unit]}`;
}

/** A duration for people: `0.4 s`, `12 s`, `3 min 05 s`, `2 h 10 min`. */
export function formatSeconds(seconds: number): string {
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes} min ${pad(whole % 60)} s`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours} h ${pad(minutes % 60)} min`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

function pad(value: number): string {
  return String(value).padStart(2, "0");
}

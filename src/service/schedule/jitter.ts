/**
 * A number from 0 up to 1 that is always the same for a text: hosts and restarts agree on it.
 * FNV-1a of 32 bits (draft-eastlake-fnv), its bits mixed once more.
 */
export function jitterFraction(text: string): number {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) hash = Math.imul(hash ^ byte, 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32;
}

import type { Bytes } from "../../domain/bytes.ts";
import { BASE_OFFSETS, FNV_PRIME } from "./page_kernel.ts";

/** The two rounds of zeros that end a checksum. */
const ZERO_ROUNDS = 2;

/**
 * The checksum of one page, in plain JavaScript: what {@link pageKernel} does for many at once.
 *
 * @param block its number in the relation, all segments counted.
 * @returns 1 to 65535.
 */
export function pageChecksum(page: Bytes, block: number): number {
  const view = new DataView(page.buffer, page.byteOffset, page.byteLength);
  const sums = Uint32Array.from(BASE_OFFSETS);
  for (let at = 0; at < page.length; at += 4) {
    const word = at === 8 ? view.getUint16(10, true) * 65536 : view.getUint32(at, true);
    mix(sums, (at >>> 2) % sums.length, word);
  }
  for (let round = 0; round < ZERO_ROUNDS; round++) sums.forEach((_, index) => mix(sums, index, 0));
  const folded = sums.reduce((all, sum) => (all ^ sum) >>> 0, 0);
  return ((folded ^ block) >>> 0) % 65535 + 1;
}

function mix(sums: Uint32Array, index: number, word: number): void {
  const term = sums[index]! ^ word;
  sums[index] = Math.imul(term, FNV_PRIME) ^ (term >>> 17);
}

/** Pages of relations, made by hand. */
import { pageChecksum } from "../../src/postgres/files/page_checksum.ts";

/** PostgreSQL's usual page size. */
export const PAGE = 8192;

/** A page with a right header, right checksum and content that depends on `seed`. */
export function makePage(
  block: number,
  { lsn = 1n, seed = block }: { readonly lsn?: bigint; readonly seed?: number } = {},
): Uint8Array<ArrayBuffer> {
  const page = new Uint8Array(PAGE);
  let state = seed | 1;
  for (let index = 24; index < PAGE; index++) {
    state = (Math.imul(state, 1103515245) + 12345) | 0;
    page[index] = state >>> 16;
  }
  const view = new DataView(page.buffer);
  view.setUint32(0, Number(lsn >> 32n), true);
  view.setUint32(4, Number(lsn & 0xffffffffn), true);
  view.setUint16(12, 24, true);
  view.setUint16(14, 4000, true);
  view.setUint16(16, PAGE, true);
  view.setUint16(18, PAGE + 4, true);
  view.setUint16(8, pageChecksum(page, block), true);
  return page;
}

/** Behind each other. */
export function joinPages(pages: readonly Uint8Array<ArrayBuffer>[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(pages.length * PAGE);
  pages.forEach((page, index) => whole.set(page, index * PAGE));
  return whole;
}

import type { Bytes } from "../../domain/bytes.ts";
import type { Lsn } from "../../domain/lsn.ts";

/** Offsets in a page header (src/include/storage/bufpage.h). */
const PD_LOWER = 12;
const PD_UPPER = 14;
const PD_SPECIAL = 16;
const PD_PAGESIZE_VERSION = 18;
const HEADER_BYTES = 24;
/** PG_PAGE_LAYOUT_VERSION since PostgreSQL 8.3. */
const LAYOUT_VERSION = 4;

/**
 * Which pages may have changed since a position in the WAL: those whose LSN is not before it, those
 * without an LSN, as new ones are, and those whose header cannot be right.
 *
 * @param pages whole ones, from an address that is a multiple of four.
 * @returns indexes, ascending.
 */
export function changedPages(
  pages: Bytes,
  { since, pageBytes }: { readonly since: Lsn; readonly pageBytes: number },
): readonly number[] {
  const words = new Uint32Array(pages.buffer, pages.byteOffset, pages.length >>> 2);
  const view = new DataView(pages.buffer, pages.byteOffset, pages.length);
  const sinceHigh = Number(since >> 32n);
  const sinceLow = Number(since & 0xffffffffn);
  const changed: number[] = [];
  const count = Math.floor(pages.length / pageBytes);
  for (let index = 0; index < count; index++) {
    const at = index * pageBytes;
    const high = words[at >>> 2]!;
    const low = words[(at >>> 2) + 1]!;
    const later = high > sinceHigh || (high === sinceHigh && low >= sinceLow);
    if (later || (high === 0 && low === 0) || !isHeader(view, at, pageBytes)) changed.push(index);
  }
  return changed;
}

/** PageIsVerified's tests (src/backend/storage/page/bufpage.c), and the layout's version. */
function isHeader(view: DataView, at: number, pageBytes: number): boolean {
  const [lower, upper, special] = [PD_LOWER, PD_UPPER, PD_SPECIAL]
    .map((offset) => view.getUint16(at + offset, true)) as [number, number, number];
  return view.getUint16(at + PD_PAGESIZE_VERSION, true) === pageBytes + LAYOUT_VERSION &&
    HEADER_BYTES <= lower && lower <= upper && upper <= special && special <= pageBytes;
}

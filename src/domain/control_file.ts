/**
 * What of global/pg_control is read without asking PostgreSQL. Its layout differs from major to
 * major; two things do not: it begins with the system identifier, and the CRC-32C of everything
 * before it is its last field, with 32 random bytes of initdb in front of that
 * (`mock_authentication_nonce`; PostgreSQL, src/include/catalog/pg_control.h). From 18 on three
 * bytes of padding stand between them, and 29 of the 32 are taken.
 *
 * @module
 */

const NONCE_BYTES = 32;
/** The struct has 296 bytes in PostgreSQL 13 and 18; the file 8192, most of them zeros. */
const LEAST_BYTES = 200;
const MOST_BYTES = 512;
/** The Castagnoli polynomial, its bits reversed. */
const CRC_32C = 0x82f63b78;

/**
 * 32 bytes that every server with a copy of this cluster has, and nobody else.
 *
 * @param bytes the beginning of pg_control: 512 bytes or more.
 * @returns undefined when they are not a whole control file.
 */
export function clusterSecret(bytes: Uint8Array): Uint8Array<ArrayBuffer> | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const last = Math.min(MOST_BYTES, bytes.length - 4);
  const order = isLittleEndian();
  let crc = 0xffff_ffff;
  for (let at = 0; at <= last; at++) {
    const isField = at >= LEAST_BYTES && at % 4 === 0;
    if (isField && (crc ^ 0xffff_ffff) >>> 0 === view.getUint32(at, order)) {
      return bytes.slice(at - NONCE_BYTES, at) as Uint8Array<ArrayBuffer>;
    }
    crc = withByte(crc, bytes[at]!);
  }
  return undefined;
}

function withByte(crc: number, byte: number): number {
  let next = crc ^ byte;
  for (let bit = 0; bit < 8; bit++) next = (next >>> 1) ^ (next & 1 ? CRC_32C : 0);
  return next;
}

/** PostgreSQL writes in the machine's own order. */
function isLittleEndian(): boolean {
  return new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;
}

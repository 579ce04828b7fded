/** Letters of Bech32, by value. BIP 173. */
const LETTERS = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";
const GENERATOR = [0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3] as const;
/** X25519, and the hybrid with ML-KEM-768. https://age-encryption.org/v1 */
const FORM = /^(age|age1pq)1([02-9ac-hj-np-z]{6,4000})$/;

/**
 * Whether a text is an age recipient, its checksum included: a mistyped one would make backups that
 * nobody can open.
 */
export function isAgeRecipient(text: string): boolean {
  const [, prefix, data] = FORM.exec(text) ?? [];
  if (prefix === undefined || data === undefined) return false;
  const letters = [...data].map((letter) => LETTERS.indexOf(letter));
  const codes = [...prefix].map((letter) => letter.charCodeAt(0));
  const values = [...codes.map((code) => code >> 5), 0, ...codes.map((code) => code & 31)];
  return values.concat(letters).reduce(step, 1) === 1;
}

function step(sum: number, value: number): number {
  const top = sum >>> 25;
  const next = ((sum & 0x1ffffff) << 5) ^ value;
  return GENERATOR.reduce((all, term, bit) => (top >> bit) & 1 ? all ^ term : all, next);
}

/**
 * A name as SQL needs it, whatever is in it.
 *
 * @throws {RangeError} for what PostgreSQL cannot have as a name.
 */
export function quoteIdentifier(name: string): string {
  const bytes = new TextEncoder().encode(name).length;
  if (bytes === 0 || bytes > 63 || name.includes("\0")) {
    throw new RangeError(`"${name}" cannot be a name: 1 to 63 bytes without a zero byte`);
  }
  return `"${name.replaceAll('"', '""')}"`;
}

/**
 * Text as SQL needs it, whatever `standard_conforming_strings` is. What PostgreSQL cannot store,
 * zero bytes and halves of surrogate pairs, becomes U+FFFD.
 */
export function quoteLiteral(value: string): string {
  const text = value.toWellFormed().replaceAll("\0", "\u{FFFD}");
  return `E'${text.replaceAll("\\", "\\\\").replaceAll("'", "''")}'`;
}

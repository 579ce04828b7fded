import { UsageError } from "./errors.ts";

const LABEL = /^[A-Za-z0-9._-]{1,64}$/;

/**
 * Checks a backup's label or a cluster's name: 1 to 64 of `A-Z a-z 0-9 . _ -`, and neither `.` nor `..`.
 *
 * @throws {UsageError} naming the value and the grammar.
 */
export function checkLabel(what: string, value: string): string {
  if (LABEL.test(value) && !/^\.+$/.test(value)) return value;
  const shown = value.length > 80 ? `${value.slice(0, 77)}...` : value;
  throw new UsageError(
    `${what} ${JSON.stringify(shown)} is not allowed`,
    "use 1 to 64 letters, digits, dots, underscores and hyphens",
  );
}

/** Whom a password is for. */
export interface PasswordKey {
  /** `localhost` for a Unix socket. */
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
}

/** Streaming replication connections match this database name. PostgreSQL docs, "The Password File". */
const REPLICATION = "replication";

/**
 * The password of the first line that matches, of a file such as `~/.pgpass`: lines of
 * `host:port:database:user:password` with `*` for any, and backslashes before `:` and `\`.
 */
export function findPassword(text: string, key: PasswordKey): string | undefined {
  const databases = [key.database, REPLICATION];
  const wanted = [[key.host], [String(key.port)], databases, [key.user]];
  for (const line of text.split("\n")) {
    const fields = splitLine(line.replace(/\r$/, ""));
    if (line.startsWith("#") || fields.length < 5) continue;
    const matches = wanted.every((values, index) => {
      const field = fields[index]!;
      return field.raw === "*" || values.includes(field.value);
    });
    if (matches) return fields[4]!.value;
  }
  return undefined;
}

/** One line for any server, to be used by one program only. */
export function passwordLine(password: string): string {
  return `*:*:*:*:${password.replaceAll("\\", "\\\\").replaceAll(":", "\\:")}\n`;
}

interface Field {
  readonly raw: string;
  readonly value: string;
}

/** Cuts at colons that no backslash protects. */
function splitLine(line: string): readonly Field[] {
  const fields = [""];
  for (const [piece] of line.matchAll(/\\[\s\S]|[\s\S]/g)) {
    if (piece === ":") fields.push("");
    else fields[fields.length - 1] += piece;
  }
  return fields.map((raw) => ({ raw, value: raw.replace(/\\([\s\S])/g, "$1") }));
}

import { ConfigError } from "../domain/errors.ts";

/**
 * The parameters of a service, from the first file that has it. PostgreSQL docs, "The Connection
 * Service File": `[name]`, then `keyword=value` lines; `#` begins a comment line.
 *
 * @throws {ConfigError} when no file has it, or a line is not one.
 */
export async function readService(
  name: string,
  paths: readonly string[],
): Promise<Readonly<Record<string, string>>> {
  for (const path of paths) {
    const text = await Deno.readTextFile(path).catch(() => undefined);
    const found = text === undefined ? undefined : findService(text, name, path);
    if (found) return found;
  }
  throw new ConfigError(
    `the PostgreSQL service "${name}" is in none of ${paths.join(", ")}`,
    "is its name right? PGSERVICEFILE names another file",
  );
}

function findService(
  text: string,
  name: string,
  path: string,
): Readonly<Record<string, string>> | undefined {
  let found: Record<string, string> | undefined;
  for (const [index, raw] of text.split("\n").entries()) {
    const line = raw.trim();
    if (line === "" || line.startsWith("#")) continue;
    if (line.startsWith("[")) {
      if (found) return found;
      if (line === `[${name}]`) found = {};
      continue;
    }
    if (!found) continue;
    const equals = line.indexOf("=");
    if (equals < 1) throw new ConfigError(`${path}:${index + 1}: not a line of keyword=value`);
    found[line.slice(0, equals).trim()] ??= line.slice(equals + 1).trim();
  }
  return found;
}

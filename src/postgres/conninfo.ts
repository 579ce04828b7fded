import { ConfigError } from "../domain/errors.ts";

/** Parameters by libpq's keywords: `host`, `port`, `user`, `dbname` … */
export type Parameters = Readonly<Record<string, string>>;

/** Keywords of libpq that are understood. PostgreSQL docs, "Parameter Key Words". */
const UNDERSTOOD = new Set([
  ...["host", "hostaddr", "port", "user", "password", "dbname", "passfile", "service"],
  ...["sslmode", "sslrootcert", "sslcert", "sslkey", "connect_timeout", "application_name"],
]);
/** Keywords that change nothing that backupctl does. */
const HARMLESS = new Set([
  ...["keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count"],
  ...["tcp_user_timeout", "gssencmode", "krbsrvname", "gsslib", "gssdelegation", "client_encoding"],
  ...["fallback_application_name", "sslcompression", "sslsni", "sslcertmode", "load_balance_hosts"],
]);

/**
 * Reads a connection string of libpq: a URL (`postgresql://…`, `postgres://…`) or `keyword=value`
 * pairs. PostgreSQL docs, "Connection Strings".
 *
 * @throws {ConfigError} without the string itself, since it may hold a password.
 */
export function parseConninfo(text: string): Parameters {
  const url = /^postgres(?:ql)?:\/\//.exec(text);
  const pairs = url ? urlPairs(text.slice(url[0].length)) : keywordPairs(text);
  return checked(pairs.filter(([, value]) => value !== ""));
}

/**
 * Refuses keywords whose meaning would be lost.
 *
 * @throws {ConfigError}
 */
export function checked(pairs: readonly (readonly [string, string])[]): Parameters {
  const parameters: Record<string, string> = {};
  for (const [keyword, value] of pairs) {
    if (UNDERSTOOD.has(keyword)) parameters[keyword] = value;
    else if (keyword === "ssl" && value === "true") parameters.sslmode = "require";
    else if (!HARMLESS.has(keyword) && !isDefault(keyword, value)) throw unknown(keyword);
  }
  return parameters;
}

/** Values that mean what backupctl does anyway. */
function isDefault(keyword: string, value: string): boolean {
  if (keyword === "channel_binding") return value !== "require";
  return keyword === "target_session_attrs" && value === "any";
}

function unknown(keyword: string): ConfigError {
  return new ConfigError(
    `the connection parameter "${keyword}" is not supported`,
    `use ${[...UNDERSTOOD].join(", ")}`,
  );
}

type Pair = readonly [string, string];

/** `[user[:password]@][host][:port][/dbname][?keyword=value[&…]]`, all of it percent-encoded. */
function urlPairs(text: string): readonly Pair[] {
  const match = /^(?:([^@/?]*)@)?([^/?]*)(?:\/([^?]*))?(?:\?(.*))?$/s.exec(text);
  if (!match) throw new ConfigError("the PostgreSQL URL cannot be read");
  const [, credentials = "", place = "", database = "", query = ""] = match;
  const colon = credentials.indexOf(":");
  const user = colon < 0 ? credentials : credentials.slice(0, colon);
  const password = colon < 0 ? "" : credentials.slice(colon + 1);
  const { host, port } = hostAndPort(place);
  return [
    ["user", decoded(user)],
    ["password", decoded(password)],
    ["host", decoded(host)],
    ["port", decoded(port)],
    ["dbname", decoded(database)],
    ...query.split("&").filter((part) => part !== "").map(queryPair),
  ];
}

function hostAndPort(place: string): { host: string; port: string } {
  if (place.includes(",")) throw severalHosts();
  const match = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::(.*))?$/.exec(place);
  if (!match) throw new ConfigError("the host in the PostgreSQL URL cannot be read");
  return { host: match[1] ?? match[2] ?? "", port: match[3] ?? "" };
}

function queryPair(part: string): Pair {
  const equals = part.indexOf("=");
  if (equals < 0) {
    throw new ConfigError(`the PostgreSQL URL's parameter "${decoded(part)}" has no value`);
  }
  return [decoded(part.slice(0, equals)), decoded(part.slice(equals + 1))];
}

function decoded(text: string): string {
  try {
    const plain = decodeURIComponent(text);
    if (!plain.includes("\0")) return plain;
  } catch {
    // The same as a zero byte: no text.
  }
  throw new ConfigError(
    "the PostgreSQL URL has a percent sign that encodes nothing",
    "write % itself as %25",
  );
}

const QUOTED = /'((?:[^'\\]|\\[\s\S])*)'/y;
const BARE = /((?:[^\s'\\]|\\[\s\S])(?:[^\s\\]|\\[\s\S])*)?/y;
const KEYWORD = /\s*([^\s=]+)\s*=\s*/y;

/** `host=db port = 5432 password='it\'s'`. */
function keywordPairs(text: string): readonly Pair[] {
  const pairs: Pair[] = [];
  let at = 0;
  while (text.slice(at).trim() !== "") {
    const keyword = matchAt(KEYWORD, text, at);
    if (!keyword) throw new ConfigError('the connection string is not made of "keyword=value"');
    at += keyword[0].length;
    const value = matchAt(text[at] === "'" ? QUOTED : BARE, text, at);
    if (!value) throw new ConfigError(`the value of "${keyword[1]}" has no closing quote`);
    at += value[0].length;
    pairs.push([keyword[1]!, (value[1] ?? "").replace(/\\([\s\S])/g, "$1")]);
  }
  return pairs;
}

function matchAt(pattern: RegExp, text: string, index: number): RegExpExecArray | null {
  pattern.lastIndex = index;
  return pattern.exec(text);
}

/** libpq would try one after the other. */
export function severalHosts(): ConfigError {
  return new ConfigError(
    "several PostgreSQL hosts are given",
    "name one: a backup is of one server",
  );
}

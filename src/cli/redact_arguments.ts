import type { Environment } from "../config/config.ts";

/** What stands in the place of a secret. */
const MASK = "********";
/** Variables that hold secrets; those with the name of a file do not. */
const SECRET_VARIABLE = /(?:PASSWORD|SECRET|TOKEN|ACCESS_KEY|PRIVATE_KEY|IDENTITY)/;
/** A shorter value would mask half of what people type. */
const SHORTEST_SECRET = 6;
/** `password=…` of a connection string or of an address's query. */
const PAIR = /((?:password|passwd|secret|token|sslpassword)=)('(?:[^'\\]|\\.)*'|[^\s&;]*)/gi;
/** `//user:password@`; the password may hold anything but the end of the authority. */
const USERINFO = /(\/\/[^/\s:@]*:)[^/\s]*(@)/g;

/**
 * A command line as the audit trail keeps it: quoted as a shell reads it, without anything that is
 * or looks like a secret. backupctl takes none from its arguments; people type them all the same.
 */
export function redactArguments(args: readonly string[], env: Environment): string {
  const secrets = secretsOf(env);
  return ["backupctl", ...args].map((arg) => quoted(redacted(arg, secrets))).join(" ");
}

function redacted(arg: string, secrets: readonly string[]): string {
  const plain = secrets.reduce((text, secret) => text.replaceAll(secret, MASK), arg);
  return plain.replace(USERINFO, `$1${MASK}$2`).replace(PAIR, `$1${MASK}`);
}

/** The longest first, so that none leaves a piece of another. */
function secretsOf(env: Environment): readonly string[] {
  return Object.entries(env)
    .filter(([name]) => SECRET_VARIABLE.test(name.toUpperCase()) && !name.endsWith("_FILE"))
    .flatMap(([, value]) => value !== undefined && value.length >= SHORTEST_SECRET ? [value] : [])
    .sort((a, b) => b.length - a.length);
}

function quoted(arg: string): string {
  if (/^[\w@%+=:,./*-]+$/.test(arg)) return arg;
  return `'${arg.replaceAll("'", `'\\''`)}'`;
}

import type { KeyPath, Tree } from "./layer.ts";

const SECRET_KEYS = new Set([
  "password",
  "secret",
  "listen_token",
  "secret_access_key",
  "session_token",
]);
/** What stands in the place of a secret. */
const MASK = "********";

/** Whether the value at `path` must never be shown. */
export function isSecret(path: KeyPath): boolean {
  const key = path.at(-1);
  return (typeof key === "string" && SECRET_KEYS.has(key)) || hidesSecret(path);
}

/** Addresses that may carry one: the catalogue's password, a webhook's token in its path. */
function hidesSecret(path: KeyPath): boolean {
  return path.at(-1) === "url" && (path[0] === "metadata" || path[0] === "alerts");
}

/** The keys of settings that hold a secret themselves, not just the name of a file with one. */
export function secretKeys(tree: unknown, path: KeyPath = []): readonly KeyPath[] {
  if (typeof tree !== "object" || tree === null) {
    return isSecret(path) && tree !== "auto" && tree !== "off" ? [path] : [];
  }
  if (Array.isArray(tree)) return tree.flatMap((value, at) => secretKeys(value, [...path, at]));
  return Object.entries(tree).flatMap(([key, value]) => secretKeys(value, [...path, key]));
}

/** The same settings with every secret masked, for people's eyes and for logs. */
export function redact(tree: Tree): Tree {
  return redactValue(tree, []) as Tree;
}

function redactValue(value: unknown, path: KeyPath): unknown {
  if (Array.isArray(value)) return value.map((item, index) => redactValue(item, [...path, index]));
  if (typeof value === "object" && value !== null) {
    const entries = Object.entries(value);
    return Object.fromEntries(
      entries.map(([key, item]) => [key, redactValue(item, [...path, key])]),
    );
  }
  if (!isSecret(path)) return value;
  return hidesSecret(path) && typeof value === "string" ? redactUrl(value) : MASK;
}

/** Keeps the scheme and the host: enough to see which one it is. */
function redactUrl(value: string): string {
  const url = URL.parse(value);
  return url === null
    ? (value === "auto" || value === "off" ? value : MASK)
    : `${url.protocol}//${url.host}/${MASK}`;
}

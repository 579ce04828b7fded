import { ConfigError } from "../domain/errors.ts";

/** Where a value stands: keys, and numbers for the places in lists. */
export type KeyPath = readonly (string | number)[];

/** Settings as they were written, before any is checked. */
export type Tree = { readonly [key: string]: unknown };

/** One source of settings; later ones win key by key. */
export interface Layer {
  readonly tree: Tree;
  /** Where a key of this layer was written: `config.yaml:3:7`, `environment variable PG_PORT`. */
  place(path: KeyPath): string;
}

/** One thing that is wrong with the configuration. */
export interface Fault {
  readonly place: string;
  readonly path: KeyPath;
  /** The rest of the sentence `<place>: <key>: …`. */
  readonly message: string;
}

/** `alerts.webhooks[0].url` */
export function formatPath(path: KeyPath): string {
  return path.reduce<string>((text, key) => {
    if (typeof key === "number") return `${text}[${key}]`;
    return text === "" ? key : `${text}.${key}`;
  }, "");
}

/** Whether `value` is a group of keys. */
export function isTree(value: unknown): value is Tree {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The value at `path`, or undefined. */
export function valueAt(tree: unknown, path: KeyPath): unknown {
  return path.reduce<unknown>(
    (node, key) =>
      typeof node === "object" && node !== null && Object.hasOwn(node, key)
        ? (node as Record<string | number, unknown>)[key]
        : undefined,
    tree,
  );
}

/** A tree with `value` at `path`; what was there is replaced. */
export function withValue(tree: Tree, path: readonly string[], value: unknown): Tree {
  const [key, ...rest] = path;
  if (key === undefined) return tree;
  const below = isTree(tree[key]) ? tree[key] : {};
  return { ...tree, [key]: rest.length === 0 ? value : withValue(below, rest, value) };
}

/** `lower` with every key of `upper` laid over it; lists are replaced as a whole. */
export function mergeTrees(lower: Tree, upper: Tree): Tree {
  const merged: Record<string, unknown> = { ...lower };
  for (const [key, value] of Object.entries(upper)) {
    const below = merged[key];
    merged[key] = isTree(below) && isTree(value) ? mergeTrees(below, value) : value;
  }
  return merged;
}

/** All faults in one error, each on its own line. */
export function configError(faults: readonly Fault[]): ConfigError {
  const lines = faults.map(({ place, path, message }) =>
    path.length === 0 ? `${place}: ${message}` : `${place}: ${formatPath(path)}: ${message}`
  );
  const text = lines.length === 1
    ? lines[0]!
    : `the configuration has ${lines.length} faults\n${
      lines.map((line) => `  ${line}`).join("\n")
    }`;
  return new ConfigError(text, 'nothing was done; "backupctl config check" looks again');
}

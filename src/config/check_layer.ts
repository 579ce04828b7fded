import * as v from "valibot";
import { nearest } from "../domain/nearest.ts";
import { type Fault, isTree, type KeyPath, type Layer, valueAt } from "./layer.ts";
import { CONFIG_SCHEMA } from "./schema.ts";
import { isSecret } from "./secrets.ts";

/** A schema with what this module looks at. */
interface Grammar {
  readonly type: string;
  readonly entries?: Readonly<Record<string, Grammar>>;
  readonly wrapped?: Grammar;
  readonly item?: Grammar;
}

/** What somebody else finds wrong with a layer. */
export type LayerCheck = (layer: Layer) => readonly Fault[];

/**
 * Everything that is wrong with one layer by itself, in the order of its keys.
 *
 * @param more is heard where the grammar has nothing to say.
 */
export function checkLayer(layer: Layer, more: LayerCheck = () => []): readonly Fault[] {
  const shape = shapeFaults(layer.tree, { grammar: CONFIG_SCHEMA as Grammar, path: [], layer });
  const covered = shape.map(({ path }) => path);
  const values = v.safeParse(CONFIG_SCHEMA, layer.tree).issues ?? [];
  const faults = values.map((issue) => valueFault(issue, layer))
    .filter(({ path }) => !covered.some((top) => isBelow(path, top)));
  const own = [...shape, ...faults, ...encryptionFaults(layer)];
  const added = more(layer).filter(({ path }) => !own.some((fault) => isBelow(path, fault.path)));
  return [...own, ...added].sort(byPlace);
}

/** Backups in clear text, while somebody believes that they are encrypted, must never be. */
function encryptionFaults(layer: Layer): readonly Fault[] {
  const encryption = layer.tree["encryption"];
  if (encryption === undefined) return [];
  if (!isTree(encryption) || Object.keys(encryption).length > 0) return [];
  const path = ["encryption"];
  const message = "names neither recipients nor an identity_file, so nothing would be encrypted; " +
    "remove the key, or name a recipient";
  return [{ place: layer.place(path), path, message }];
}

/** By line and column within a file. */
function byPlace(one: Fault, other: Fault): number {
  const [lineOne = 0, columnOne = 0] = lineAndColumn(one.place);
  const [lineOther = 0, columnOther = 0] = lineAndColumn(other.place);
  return lineOne - lineOther || columnOne - columnOther;
}

function lineAndColumn(place: string): readonly number[] {
  return /:(\d+):(\d+)$/.exec(place)?.slice(1).map(Number) ?? [];
}

function isBelow(path: KeyPath, top: KeyPath): boolean {
  return top.every((key, index) => path[index] === key);
}

/** Unknown keys, and values where a group of keys is expected: the library reports neither fully. */
function shapeFaults(
  value: unknown,
  { grammar, path, layer }: {
    readonly grammar: Grammar;
    readonly path: KeyPath;
    readonly layer: Layer;
  },
): readonly Fault[] {
  const kind = grammar.wrapped ?? grammar;
  const fault = (at: KeyPath, message: string): Fault => ({
    place: layer.place(at),
    path: at,
    message,
  });
  if (kind.entries) {
    if (!isTree(value)) return [fault(path, "is not a group of keys")];
    const known = kind.entries;
    return Object.keys(value).flatMap((key) => {
      const below = [...path, key];
      if (!Object.hasOwn(known, key)) return [fault(below, unknownKey(key, Object.keys(known)))];
      return shapeFaults(value[key], { grammar: known[key]!, path: below, layer });
    });
  }
  if (!kind.item || !Array.isArray(value)) return [];
  const { item } = kind;
  return value.flatMap((entry, index) =>
    shapeFaults(entry, { grammar: item, path: [...path, index], layer })
  );
}

function unknownKey(key: string, known: readonly string[]): string {
  const meant = nearest(key, known);
  if (meant !== undefined) return `unknown key; did you mean "${meant}"?`;
  return `unknown key; known here are ${known.join(", ")}`;
}

function valueFault(issue: v.BaseIssue<unknown>, layer: Layer): Fault {
  const path = (issue.path ?? []).map((item) => item.key as string | number);
  const place = layer.place(path);
  const value = valueAt(layer.tree, path);
  if (value === undefined) return { place, path, message: "is missing" };
  if (isSecret(path)) return { place, path, message: `the value ${issue.message}` };
  return { place, path, message: `${shown(value)} ${issue.message}` };
}

/** A value within a message: short, and on one line. */
function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

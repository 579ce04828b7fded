import { type Document, isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument } from "yaml";
import type { Node, Pair, YAMLError } from "yaml";
import { type Fault, isTree, type KeyPath, type Layer, type Tree } from "./layer.ts";

/** Bytes of a configuration file at most: real ones have a few thousand. */
const LARGEST = 1024 * 1024;
/** Groups within groups at most; the grammar needs four. */
const DEEPEST = 32;

/** What became of a file: its settings, or what is wrong with its form. */
export interface YamlLayer {
  readonly layer: Layer;
  readonly faults: readonly Fault[];
}

/**
 * Reads YAML 1.2. Messages never quote the text, since it may hold secrets.
 *
 * @param name the file's name, for messages.
 */
export function yamlLayer(text: string, name: string): YamlLayer {
  if (text.length > LARGEST) return broken(name, `is larger than ${LARGEST} bytes`);
  const lines = new LineCounter();
  try {
    const document = parseDocument(text, {
      lineCounter: lines,
      prettyErrors: false,
      stringKeys: true,
      uniqueKeys: true,
    });
    const faults = [...document.errors, ...document.warnings]
      .map((error) => formFault(error, { name, lines }));
    if (faults.length > 0) return { layer: emptyLayer(name), faults };
    const value = plain(document.contents, { document, depth: 0 });
    const layer = { tree: isTree(value) ? value : {}, place: placeIn(document, { name, lines }) };
    if (value === undefined || isTree(value)) return { layer, faults: [] };
    return broken(`${name}:1:1`, "is not a set of keys such as cluster: main");
  } catch (error) {
    if (error instanceof LimitError) return broken(name, error.message);
    return broken(name, "cannot be read as YAML");
  }
}

/** Settings of no file. */
function emptyLayer(name: string): Layer {
  return { tree: {}, place: () => name };
}

function broken(place: string, message: string): YamlLayer {
  return { layer: emptyLayer(place), faults: [{ place, path: [], message }] };
}

class LimitError extends Error {}

/** The value of a node; keys without a value are left out. */
function plain(
  node: unknown,
  { document, depth }: { readonly document: Document.Parsed; readonly depth: number },
): unknown {
  if (depth > DEEPEST) throw new LimitError(`has groups more than ${DEEPEST} deep`);
  if (isAlias(node)) throw new LimitError("uses an alias (*name), which is not allowed here");
  if (isScalar(node)) return node.value ?? undefined;
  if (isSeq(node)) {
    return node.items.map((item) => plain(item, { document, depth: depth + 1 }) ?? null);
  }
  if (!isMap(node)) return undefined;
  const tree: Record<string, unknown> = Object.create(null);
  for (const pair of node.items) {
    const value = plain(pair.value, { document, depth: depth + 1 });
    if (value !== undefined) tree[keyOf(pair)] = value;
  }
  return tree satisfies Tree;
}

function keyOf(pair: Pair): string {
  return String(isScalar(pair.key) ? pair.key.value : pair.key);
}

interface Where {
  readonly name: string;
  readonly lines: LineCounter;
}

function at(offset: number, { name, lines }: Where): string {
  const { line, col } = lines.linePos(offset);
  return `${name}:${line}:${col}`;
}

const FORM_MESSAGES: Readonly<Record<string, string>> = {
  DUPLICATE_KEY: "the key is given twice",
  TAB_AS_INDENT: "a tab indents the line; use spaces",
  BAD_INDENT: "the indentation does not fit",
  MULTIPLE_DOCS: "a second document begins; one file holds one",
  BAD_ALIAS: "the alias is not defined",
  NON_STRING_KEY: "the key is not text",
  TAG_RESOLVE_FAILED: "the tag is not known",
  MISSING_CHAR: "a character is missing, such as a quote, a comma or a bracket",
  BLOCK_AS_IMPLICIT_KEY: "a key and its group stand on one line",
  MULTILINE_IMPLICIT_KEY: "a key spans lines; is its colon missing?",
};

function formFault(error: YAMLError, where: Where): Fault {
  const message = FORM_MESSAGES[error.code] ??
    `the YAML is not well-formed here (${error.code.toLowerCase().replaceAll("_", " ")})`;
  return { place: at(error.pos[0], where), path: [], message };
}

/** Finds where a key stands: itself, or the nearest group around it that is there. */
function placeIn(document: Document.Parsed, where: Where): (path: KeyPath) => string {
  return (path) => {
    let node: unknown = document.contents;
    let offset = 0;
    for (const key of path) {
      if (isMap(node)) {
        const pair = node.items.find((item) => keyOf(item) === key);
        if (!pair) break;
        offset = (pair.key as Node).range?.[0] ?? offset;
        node = pair.value;
      } else if (isSeq(node) && typeof key === "number") {
        node = node.items[key];
        offset = (node as Node | null)?.range?.[0] ?? offset;
      }
    }
    return at(offset, where);
  };
}

import { isAbsolute } from "node:path";
import * as v from "valibot";
import { nearest } from "../domain/nearest.ts";
import { briefReason } from "../log/told_reason.ts";
import { readSecretFile } from "./file_layer.ts";
import { type Fault, type KeyPath, type Layer, type Tree, withValue } from "./layer.ts";
import { RELATIVE } from "./leaves.ts";
import { CONFIG_SCHEMA } from "./schema.ts";
import { yamlLayer } from "./yaml_layer.ts";

/** The environment of a process. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** Names that people have in their environment already, and the keys that they set. */
const COMMON_NAMES: readonly (readonly [name: string, path: readonly string[]])[] = [
  ["PG_HOST", ["postgres", "host"]],
  ["PG_PORT", ["postgres", "port"]],
  ["PG_USER", ["postgres", "user"]],
  ["PG_PASSWORD", ["postgres", "password"]],
  ["PG_DATABASE", ["postgres", "database"]],
  ["S3_BUCKET", ["repository", "bucket"]],
  ["AWS_DEFAULT_REGION", ["repository", "region"]],
  ["AWS_REGION", ["repository", "region"]],
  ["AWS_ENDPOINT_URL", ["repository", "endpoint"]],
  ["AWS_ENDPOINT_URL_S3", ["repository", "endpoint"]],
  ["AWS_ACCESS_KEY_ID", ["repository", "access_key_id"]],
  ["AWS_SECRET_ACCESS_KEY", ["repository", "secret_access_key"]],
  ["AWS_SESSION_TOKEN", ["repository", "session_token"]],
];

/** Variables of backupctl that are no keys of the configuration. */
const OTHER_NAMES = new Set(["BACKUPCTL_CONFIG"]);

/** A schema with what this module looks at. */
interface Grammar {
  readonly entries?: Readonly<Record<string, Grammar>>;
  readonly wrapped?: Grammar;
  readonly type: string;
}

/** What one key's variable is called, its path and how its value is read. */
interface Variable {
  readonly path: readonly string[];
  readonly grammar: Grammar;
}

/** Every `BACKUPCTL_…` variable that sets a key. */
export const VARIABLES: ReadonlyMap<string, Variable> = new Map(
  variables({ path: [], grammar: CONFIG_SCHEMA as Grammar })
    .map((variable) => [`BACKUPCTL_${variable.path.join("_").toUpperCase()}`, variable]),
);

function variables({ path, grammar }: Variable): readonly Variable[] {
  const kind = grammar.wrapped ?? grammar;
  if (!kind.entries) return [{ path, grammar: kind }];
  return Object.entries(kind.entries)
    .flatMap(([key, below]) => variables({ path: [...path, key], grammar: below }));
}

/** Settings from the environment, and what is wrong with their form. */
export interface EnvironmentLayers {
  /** The common names first, then those of backupctl, which win. */
  readonly layers: readonly Layer[];
  readonly faults: readonly Fault[];
}

/** Reads the variables that set keys; with `_FILE` behind, the value is what that file holds. */
export async function environmentLayers(env: Environment): Promise<EnvironmentLayers> {
  const common = new LayerBuilder();
  for (const [name, path] of COMMON_NAMES) {
    const variable = { path, grammar: grammarAt(path) };
    if (env[name]) common.set(name, { variable, text: env[name] });
    else if (env[`${name}_FILE`]) await common.setFromFile(`${name}_FILE`, { variable, env });
  }
  const own = new LayerBuilder();
  for (const name of Object.keys(env).filter((key) => key.startsWith("BACKUPCTL_")).sort()) {
    const exact = VARIABLES.get(name);
    const beside = VARIABLES.get(name.replace(/_FILE$/, ""));
    if (exact) own.set(name, { variable: exact, text: env[name] ?? "" });
    else if (beside && name.endsWith("_FILE")) {
      await own.setFromFile(name, { variable: beside, env });
    } else own.reportUnknown(name);
  }
  return { layers: [common.layer(), own.layer()], faults: [...common.faults, ...own.faults] };
}

function grammarAt(path: readonly string[]): Grammar {
  return VARIABLES.get(`BACKUPCTL_${path.join("_").toUpperCase()}`)!.grammar;
}

/** Collects a layer from variables. */
class LayerBuilder {
  readonly faults: Fault[] = [];
  readonly #names = new Map<string, string>();
  #tree: Tree = {};

  set(name: string, { variable, text }: { readonly variable: Variable; readonly text: string }) {
    // An empty variable is an unset one: Compose files and CI systems write them so.
    // Not for encryption, where a missing recipient must never mean clear text, nor for signing.
    if (text === "" && !isGuarded(variable)) return;
    const { value, fault } = parseValue(text, variable.grammar);
    if (fault !== undefined) {
      this.faults.push({ place: placeOf(name), path: variable.path, message: fault });
    }
    this.#tree = withValue(this.#tree, variable.path, value);
    this.#names.set(variable.path.join("."), name);
  }

  async setFromFile(
    name: string,
    { variable, env }: { readonly variable: Variable; readonly env: Environment },
  ): Promise<void> {
    const file = env[name] ?? "";
    if (file === "" && !isGuarded(variable)) return;
    if (file !== "" && !isAbsolute(file)) {
      const message = `${JSON.stringify(file)} ${RELATIVE}`;
      this.faults.push({ place: placeOf(name), path: variable.path, message });
      return;
    }
    try {
      this.set(name, { variable, text: await readSecretFile(file) });
    } catch (error) {
      const message = `the file ${JSON.stringify(file)} cannot be read: ${briefReason(error)}`;
      this.faults.push({ place: placeOf(name), path: variable.path, message });
    }
  }

  /** Refuses what looks like a misspelt key; other tools may own names of the same beginning. */
  reportUnknown(name: string): void {
    if (OTHER_NAMES.has(name)) return;
    const bare = (variable: string) => variable.replace(/^BACKUPCTL_|_FILE$/g, "");
    const near = nearest(bare(name), [...VARIABLES.keys()].map(bare));
    const meant = near === undefined ? undefined : `BACKUPCTL_${near}`;
    const section = /^BACKUPCTL_([A-Z]+)_/.exec(name)?.[1]?.toLowerCase();
    const known = section !== undefined &&
      [...VARIABLES.values()].some(({ path }) => path.length > 1 && path[0] === section);
    if (meant === undefined && !known) return;
    const remedy = meant ? `did you mean ${meant}?` : "see docs/cli.md for the keys";
    this.faults.push({
      place: placeOf(name),
      path: [],
      message: `no key has this name; ${remedy}`,
    });
  }

  layer(): Layer {
    const names = this.#names;
    return { tree: this.#tree, place: (path) => placeOf(nameFor(names, path)) };
  }
}

function isGuarded({ path: [section] }: Variable): boolean {
  return section === "encryption" || section === "signing";
}

function placeOf(name: string | undefined): string {
  return name === undefined ? "environment" : `environment variable ${name}`;
}

/** The variable that set `path`, or a key around it. */
function nameFor(names: ReadonlyMap<string, string>, path: KeyPath): string | undefined {
  for (let length = path.length; length > 0; length--) {
    const name = names.get(path.slice(0, length).join("."));
    if (name !== undefined) return name;
  }
  return undefined;
}

/** A variable's text as the kind of value that its key wants; text when none fits. */
function parseValue(
  text: string,
  grammar: Grammar,
): { readonly value: unknown; readonly fault?: string } {
  if (grammar.type === "array") return parseList(text, grammar);
  const accepts = (value: unknown) =>
    v.safeParse(grammar as unknown as v.GenericSchema, value).success;
  if (accepts(text)) return { value: text };
  if (/^-?\d+(\.\d+)?$/.test(text) && grammar.type !== "string") return { value: Number(text) };
  if (text === "true" || text === "false") return { value: text === "true" };
  return { value: text };
}

/** Files of age recipients have one a line, and comments. */
function isListed(part: string): boolean {
  return part !== "" && !part.startsWith("#");
}

/** Lists of words are split at commas and lines; lists of groups are YAML, such as `[{name: weekly, …}]`. */
function parseList(text: string, grammar: Grammar) {
  const item = (grammar as unknown as { readonly item: Grammar }).item;
  if (!item.entries) {
    return { value: text.split(/[,\n]/).map((part) => part.trim()).filter(isListed) };
  }
  const { layer, faults } = yamlLayer(`list: ${text}`, "the value");
  if (faults.length > 0) return { value: [], fault: "is not a list in YAML's [{key: value}] form" };
  return { value: layer.tree["list"] ?? [] };
}

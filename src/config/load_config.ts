import * as v from "valibot";
import { listenFault, parseListenAddress } from "../domain/listen_address.ts";
import { checkLayer, type LayerCheck } from "./check_layer.ts";
import { type Environment, environmentLayers } from "./environment_layer.ts";
import { fileLayer, withSecretFiles } from "./file_layer.ts";
import {
  configError,
  type Fault,
  formatPath,
  isTree,
  type KeyPath,
  type Layer,
  mergeTrees,
  type Tree,
  valueAt,
} from "./layer.ts";
import { type Config, CONFIG_SCHEMA } from "./schema.ts";
import { withSettledFiles } from "./settled_files.ts";

/** Read when `--config` names no file; the later wins. */
export const DEFAULT_FILES = ["/etc/backupctl/config.yaml", "config/config.yaml"] as const;

/** Where the configuration comes from. */
export interface LoadOptions {
  /** `--config`: this file instead of the default ones. */
  readonly file?: string;
  /** The default files. @default {DEFAULT_FILES} */
  readonly defaultFiles?: readonly string[];
  readonly env: Environment;
  /** Settings from the command line: key path → flag and value. They win over all others. */
  readonly flags?: readonly FlagSetting[];
  /**
   * Whether what only the daemon refuses is a fault, too. Archiving must not stop because the token
   * of the pages is in the daemon's environment alone.
   */
  readonly daemon?: boolean;
  /** Finds what is wrong with the schedule that counts: its commands are not known here. */
  readonly checkSchedule?: LayerCheck;
  /**
   * Whether a file that was written less than a second ago is waited for. What is stored by half of
   * one may be stored in the clear.
   */
  readonly settled?: boolean;
}

/** A key that a flag sets. */
export interface FlagSetting {
  readonly path: readonly [string, ...string[]];
  readonly flag: string;
  readonly value: string | number | boolean;
}

/** A configuration and where it came from. */
export interface LoadedConfig {
  readonly config: Config;
  /** The settings as they were written, without the defaults. */
  readonly tree: Tree;
  /** The files that were read. */
  readonly files: readonly string[];
  /** Where a key was set; undefined for a default. */
  origin(path: KeyPath): string | undefined;
}

/**
 * Loads the configuration: defaults, files, environment, flags, the later winning key by key.
 *
 * @throws {ConfigError} with every fault on a line of its own, each with its place and key.
 */
export async function loadConfig(options: LoadOptions): Promise<LoadedConfig> {
  if (!options.settled) return await load(options);
  const secrets = Object.entries(options.env).filter(([name]) => SECRET_FILE.test(name));
  const files = [...candidatesOf(options), ...secrets.map(([, file]) => file ?? "")];
  return await withSettledFiles(files, () => load(options));
}

/** Variables that name a file with a value. */
const SECRET_FILE = /^(BACKUPCTL|PG|S3|AWS)_.*_FILE$/;

async function load(options: LoadOptions): Promise<LoadedConfig> {
  const { files, layers, faults: formFaults } = await readLayers(options);
  if (formFaults.length > 0 || checkLayers(layers).length > 0) {
    throw configError(unique([...formFaults, ...checkLayers(layers, options.checkSchedule)]));
  }
  const read = await Promise.all(layers.map(withSecretFiles));
  const complete = withoutStrayToken(read.map(({ layer }) => layer));
  const tree = complete.reduce<Tree>((merged, layer) => mergeTrees(merged, layer.tree), {});
  const origin = (path: KeyPath) => originOf(complete, path);
  const together = [
    ...read.flatMap(({ faults }) => faults),
    // Once more, for what the files of secrets held.
    ...checkLayers(complete, options.checkSchedule),
    ...crossFaults(tree, { layers: complete, origin }),
    ...(options.daemon ? listenerFaults(tree, origin) : []),
  ];
  if (together.length > 0) throw configError(together);
  const config = withRepositoryType(v.parse(CONFIG_SCHEMA, tree), complete);
  return { config, tree, files, origin };
}

/** Each layer's faults; those of a schedule that another layer replaces count for nobody. */
function checkLayers(layers: readonly Layer[], checkSchedule?: LayerCheck): readonly Fault[] {
  const counting = layers.findLast(({ tree }) => tree["schedule"] !== undefined);
  return layers.flatMap((layer) =>
    checkLayer(layer, layer === counting ? checkSchedule : undefined)
  );
}

function namedFile({ file, env }: LoadOptions): string | undefined {
  return file ?? (env["BACKUPCTL_CONFIG"] || undefined);
}

function candidatesOf(options: LoadOptions): readonly string[] {
  const named = namedFile(options);
  return named !== undefined ? [named] : options.defaultFiles ?? DEFAULT_FILES;
}

async function readLayers(options: LoadOptions) {
  const named = namedFile(options);
  const files: string[] = [];
  const layers: Layer[] = [];
  const faults: Fault[] = [];
  for (const file of candidatesOf(options)) {
    const read = await fileLayer(file, { required: named !== undefined });
    if (read === undefined) continue;
    files.push(file);
    layers.push(read.layer);
    faults.push(...read.faults);
  }
  const environment = await environmentLayers(options.env);
  layers.push(...environment.layers, flagLayer(options.flags ?? []));
  return { files, layers, faults: [...faults, ...environment.faults] };
}

function flagLayer(settings: readonly FlagSetting[]): Layer {
  const tree = settings.reduce<Tree>(
    (merged, { path, value }) => mergeTrees(merged, nested(path, value)),
    {},
  );
  const flags = new Map(settings.map(({ path, flag }) => [path.join("."), flag]));
  return { tree, place: (path) => flags.get(path.join(".")) ?? "flag" };
}

function nested(path: readonly string[], value: unknown): Tree {
  const [key, ...rest] = path;
  return { [key!]: rest.length === 0 ? value : nested(rest, value) };
}

const TOKEN = ["repository", "session_token"] as const;

/**
 * Leaves out a session token that came without the key it belongs to: one in the environment would
 * make a file's own keys invalid.
 */
function withoutStrayToken(layers: readonly Layer[]): readonly Layer[] {
  const holder = layers.findLast(({ tree }) =>
    valueAt(tree, ["repository", "secret_access_key"]) !== undefined
  );
  return layers.map((layer) => {
    if (layer === holder || valueAt(layer.tree, TOKEN) === undefined) return layer;
    const { session_token: _, ...repository } = layer.tree["repository"] as Tree;
    return { ...layer, tree: { ...layer.tree, repository } };
  });
}

function unique(faults: readonly Fault[]): readonly Fault[] {
  const seen = new Set<string>();
  return faults.filter(({ place, path, message }) => {
    const line = `${place} ${formatPath(path)} ${message}`;
    return seen.has(line) ? false : seen.add(line);
  });
}

function originOf(layers: readonly Layer[], path: KeyPath): string | undefined {
  const layer = layers.findLast(({ tree }) => valueAt(tree, path) !== undefined);
  return layer?.place(path);
}

/** What is wrong only when the sources are seen together. */
function crossFaults(
  tree: Tree,
  { layers, origin }: {
    readonly layers: readonly Layer[];
    readonly origin: (path: KeyPath) => string | undefined;
  },
): readonly Fault[] {
  const faults: Fault[] = [];
  const add = (path: KeyPath, message: string) =>
    faults.push({ place: origin(path) ?? "configuration", path, message });
  const repository = isTree(tree["repository"]) ? tree["repository"] : {};
  const type = repository["type"] ?? "auto";
  if (type === "s3" && repository["bucket"] === undefined) {
    add(["repository", "type"], "is s3, but repository.bucket (or S3_BUCKET) is not set");
  }
  if (type === "directory" && repository["path"] === undefined) {
    add(["repository", "type"], "is directory, but repository.path is not set");
  }
  if (type === "auto" && inferType(layers) === "both") {
    add(["repository"], "has a bucket and a path; say which with repository.type");
  }
  if (repository["kms_key_id"] !== undefined && repository["sse"] !== "aws:kms") {
    add(["repository", "kms_key_id"], "needs repository.sse: aws:kms");
  }
  const key = repository["access_key_id"] !== undefined;
  if (key !== (repository["secret_access_key"] !== undefined)) {
    const [given, missing] = key
      ? ["access_key_id", "secret_access_key"]
      : ["secret_access_key", "access_key_id"];
    add(["repository", given], `is set, but repository.${missing} is not`);
  }
  return faults;
}

/** What keeps the daemon from showing its pages. */
function listenerFaults(
  { listen, listen_token: token }: Tree,
  origin: (path: KeyPath) => string | undefined,
): readonly Fault[] {
  const hostname = typeof listen === "string" ? parseListenAddress(listen)?.hostname : undefined;
  const fault = listenFault({
    ...(hostname !== undefined && { hostname }),
    ...(typeof token === "string" && { token }),
  });
  if (fault === undefined) return [];
  const path = [fault.ofToken ? "listen_token" : "listen"];
  const value = fault.ofToken ? "the value" : JSON.stringify(listen);
  const message = `${value} ${fault.what}; ${fault.hint}`;
  return [{ place: origin(path) ?? "configuration", path, message }];
}

/** Bucket or path: whichever the strongest source names. */
function inferType(layers: readonly Layer[]): "s3" | "directory" | "both" | "none" {
  for (const { tree } of layers.toReversed()) {
    const bucket = valueAt(tree, ["repository", "bucket"]) !== undefined;
    const path = valueAt(tree, ["repository", "path"]) !== undefined;
    if (bucket && path) return "both";
    if (bucket) return "s3";
    if (path) return "directory";
  }
  return "none";
}

function withRepositoryType(config: Config, layers: readonly Layer[]): Config {
  if (config.repository.type !== "auto") return config;
  const type = inferType(layers);
  if (type !== "s3" && type !== "directory") return config;
  return { ...config, repository: { ...config.repository, type } };
}

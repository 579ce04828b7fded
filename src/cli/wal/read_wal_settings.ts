/**
 * The configuration of the WAL path. Parsing YAML and checking it takes longer than storing a
 * segment, so what it came to is kept, without secrets, under a hash of everything it came from.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { VERSION } from "../version.ts";
import { privateFolder, stateRoot } from "./private_folder.ts";
import type { KeptSettings } from "./keep_wal_settings.ts";
import type { SettingsInput, WalSettings } from "./wal_settings.ts";

/** Read when no file is named; the same as for every other command. */
const DEFAULT_FILES = ["/etc/backupctl/config.yaml", "config/config.yaml"];
const RELEVANT = /^(BACKUPCTL_|PG_|S3_|AWS_)/;

/**
 * The settings: kept ones when nothing has changed, else freshly read.
 *
 * @throws {ConfigError}
 */
export async function readWalSettings(input: SettingsInput): Promise<WalSettings> {
  const place = keptPath(input);
  const key = place === undefined ? undefined : keyOf(input);
  const kept = key === undefined ? undefined : readKept(place!);
  if (kept && kept.key === key) return kept.settings;
  const { loadWalSettings } = await import("./load_wal_settings.ts");
  const settings = await loadWalSettings(input);
  // A file that was being written may have been read as half of it: what came to that is not kept.
  if (key === undefined || keyOf(input) !== key) return settings;
  const { keepWalSettings } = await import("./keep_wal_settings.ts");
  keepWalSettings(place!, { key, settings });
  return settings;
}

/**
 * The settings, and whether they still hold: for who works on when PostgreSQL's calls may read others.
 *
 * @throws {ConfigError}
 */
export async function watchWalSettings(
  input: SettingsInput,
): Promise<{ readonly settings: WalSettings; readonly isCurrent: () => boolean }> {
  const before = keyOf(input); // of what is read after it
  const isCurrent = () => before !== undefined && keyOf(input) === before;
  return { settings: await readWalSettings(input), isCurrent };
}

/** One place for each configuration file and cluster, so that two of them do not push out each other. */
function keptPath({ env, file, cluster, identity }: SettingsInput): string | undefined {
  const root = stateRoot(env);
  const folder = root === undefined ? undefined : privateFolder(`${root}/wal`);
  if (folder === undefined) return undefined;
  const name = hashOf([file ?? env["BACKUPCTL_CONFIG"] ?? "", cluster ?? "", identity ?? ""]).slice(
    0,
    16,
  );
  return `${folder}/settings-${name}.json`;
}

/**
 * Changes with every byte that the settings may depend on, and when a file was written anew.
 *
 * @returns undefined when a file cannot be read: loading it tells why, when it matters.
 */
export function keyOf(input: SettingsInput): string | undefined {
  try {
    return hashedSources(input);
  } catch {
    return undefined;
  }
}

function hashedSources({ env, file, cluster, identity }: SettingsInput): string {
  const named = file ?? (env["BACKUPCTL_CONFIG"] || undefined);
  const files = named === undefined ? DEFAULT_FILES : [named];
  const variables = Object.entries(env).filter(([name]) => RELEVANT.test(name)).sort();
  return hashOf([
    VERSION,
    cluster ?? "",
    identity ?? "",
    ...files.flatMap((path) => [path, contentOf(path)]),
    ...variables.flatMap(([name, value]) => [
      name,
      value ?? "",
      name.endsWith("_FILE") ? contentOf(value ?? "") : "",
    ]),
  ]);
}

function contentOf(path: string): string {
  try {
    const { mode, ino, mtime } = Deno.statSync(path);
    return `${mode}:${ino}:${mtime?.getTime()}:${Deno.readTextFileSync(path)}`;
  } catch (error) {
    if (path === "" || error instanceof Deno.errors.NotFound) return "";
    throw error;
  }
}

/** Lengths in front, so that no two lists hash alike. */
function hashOf(parts: readonly string[]): string {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(`${part.length}:${part}`);
  return hash.digest("hex");
}

function readKept(path: string): KeptSettings | undefined {
  try {
    return JSON.parse(Deno.readTextFileSync(path));
  } catch {
    return undefined;
  }
}

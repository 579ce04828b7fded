import { isAbsolute, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import type { Environment, LoadedConfig } from "../config/config.ts";

/** Variables that backupctl reads its settings from. */
const OWN = /^(BACKUPCTL|AWS|S3)_/;
/** What no setting of PostgreSQL may show: every role can read restore_command. */
const SECRET = /SECRET|PASSWORD|TOKEN|ACCESS_KEY|CREDENTIALS(?!_FILE)/;
const IDENTITY_FILE = ["encryption", "identity_file"] as const;
/** Besides those, what a program needs to find its certificates, proxies and modules. */
const SURROUNDINGS = /^(DENO_DIR|SSL_CERT_(FILE|DIR)|NODE_EXTRA_CA_CERTS|(HTTPS?|NO|ALL)_PROXY)$/i;

/**
 * The words that run this very program with this very configuration from anywhere: its absolute
 * path, its file, its cluster, and the variables that are no secrets.
 */
export function ownCommand(
  { config: { cluster, encryption }, files, origin }: LoadedConfig,
  { env, config }: { readonly env: Environment; readonly config: string | undefined },
): readonly string[] {
  const identity = encryption?.identity_file;
  const file = config ?? (env["BACKUPCTL_CONFIG"] || files.at(-1));
  const variables = Object.entries(env).filter(([name, value]) =>
    value && OWN.test(name) && isPublic(name) && name !== "BACKUPCTL_CONFIG"
  ).map(([name, value]) => `${name}=${absolute(name, value!)}`);
  return [
    ...(variables.length > 0 ? ["env", ...variables.sort()] : []),
    ...executable(),
    ...(file ? ["--config", resolve(file)] : []),
    ...["--cluster", cluster],
    ...(identity !== undefined && origin(IDENTITY_FILE) === "--identity"
      ? ["--identity", resolve(identity)]
      : []),
  ];
}

/** The secrets among the variables that were set: whoever runs the command must have them as well. */
export function secretVariables(env: Environment): readonly string[] {
  return Object.keys(env).filter((name) => env[name] && OWN.test(name) && !isPublic(name)).sort();
}

/** The variables that a server needs so that its commands can reach the repository. */
export function serverEnvironment(env: Environment): Readonly<Record<string, string>> {
  const wanted = Object.entries(env).filter(([name, value]) =>
    value && (OWN.test(name) || SURROUNDINGS.test(name))
  );
  return Object.fromEntries(wanted) as Record<string, string>;
}

/** The name of a file that holds a secret is none. */
function isPublic(name: string): boolean {
  return !SECRET.test(name) || name.endsWith("_FILE");
}

/** Paths must hold in PostgreSQL's working directory as well. */
function absolute(name: string, value: string): string {
  const isPath = name.endsWith("_FILE") || name.endsWith("_PATH");
  return isPath && !isAbsolute(value) ? resolve(value) : value;
}

/** Compiled, it is the executable itself; from source, Deno with main.ts. */
function executable(): readonly string[] {
  if (Deno.build.standalone) return [Deno.execPath()];
  return [Deno.execPath(), "run", "--quiet", "--allow-all", fileURLToPath(Deno.mainModule)];
}

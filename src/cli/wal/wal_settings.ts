/**
 * What the WAL path needs of the configuration.
 *
 * @module
 */
import type { Config } from "../../config/config.ts";
import type { Environment } from "../../config/environment_layer.ts";
import { ConfigError } from "../../domain/errors.ts";
import type { AwsCredentials } from "../../storage/sigv4.ts";

/** Where a secret is to be found. */
export type SecretSource =
  | { readonly env: string }
  | { readonly file: string }
  /** Stands in the configuration itself: never kept. */
  | { readonly text: string };

/** Whose keys the store is asked with. */
export interface CredentialSource {
  readonly accessKeyId: string;
  readonly secret: SecretSource;
  readonly token?: SecretSource;
}

/** What the WAL path needs of the configuration. Times in milliseconds. */
export interface WalSettings {
  readonly cluster: string;
  /** Without its secrets. */
  readonly repository: Config["repository"];
  readonly credentials: CredentialSource | undefined;
  readonly zstdLevel: number;
  readonly lookAhead: number;
  /** `auto` or a folder. */
  readonly spool: string;
  readonly timeout: number;
  readonly log: Config["log"];
  /** Absent: WAL is stored in the clear. */
  readonly encryption?: WalEncryption;
}

/** Public keys, and where the private ones are. */
export interface WalEncryption {
  readonly recipients?: readonly string[];
  readonly identityFile?: string;
}

/** What the settings are read from. */
export interface SettingsInput {
  readonly env: Environment;
  /** `--config`. */
  readonly file: string | undefined;
  /** `--cluster`. */
  readonly cluster: string | undefined;
  /** `--identity`. */
  readonly identity?: string | undefined;
}

/** The keys themselves; undefined when the configuration names none. @throws {ConfigError} */
export function resolveCredentials(
  { credentials }: WalSettings,
  env: Environment,
): AwsCredentials | undefined {
  if (!credentials) return undefined;
  const { accessKeyId, secret, token } = credentials;
  return {
    accessKeyId,
    secretAccessKey: resolveSecret(secret, env),
    ...(token && { sessionToken: resolveSecret(token, env) }),
  };
}

function resolveSecret(source: SecretSource, env: Environment): string {
  if ("text" in source) return source.text;
  if ("env" in source) return env[source.env] ?? "";
  try {
    return Deno.readTextFileSync(source.file).replace(/\r?\n$/, "");
  } catch (cause) {
    throw new ConfigError(`the file ${source.file} with a secret cannot be read`, undefined, {
      cause,
    });
  }
}

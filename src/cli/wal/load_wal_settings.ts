/** The long way to the settings of the WAL path: YAML, the environment, every check. */
import { isAbsolute } from "node:path";
import { parseCodec } from "../../codec/parse_codec.ts";
import {
  type Config,
  type FlagSetting,
  loadConfig,
  type LoadedConfig,
} from "../../config/config.ts";
import type { Environment } from "../../config/environment_layer.ts";
import { RELATIVE } from "../../config/leaves.ts";
import { ConfigError } from "../../domain/errors.ts";
import type {
  CredentialSource,
  SecretSource,
  SettingsInput,
  WalEncryption,
  WalSettings,
} from "./wal_settings.ts";

/** AWS SDKs and Tools Reference Guide, "Location of the shared files" and "Web identity". */
const SDK_FILES = [
  "AWS_SHARED_CREDENTIALS_FILE",
  "AWS_CONFIG_FILE",
  "AWS_WEB_IDENTITY_TOKEN_FILE",
] as const;

type SecretKey = "secret_access_key" | "session_token";

/** Reads the configuration. @throws {ConfigError} */
export async function loadWalSettings(
  { env, file, cluster, identity }: SettingsInput,
): Promise<WalSettings> {
  const flags: FlagSetting[] = [];
  if (cluster !== undefined) flags.push({ path: ["cluster"], flag: "--cluster", value: cluster });
  if (identity !== undefined) {
    flags.push({ path: ["encryption", "identity_file"], flag: "--identity", value: identity });
  }
  const loaded = await loadConfig({
    ...{ env, flags, settled: true },
    ...(file !== undefined && { file }),
  });
  const { config } = loaded;
  if (config.repository.type === "auto") {
    throw new ConfigError("no repository is configured", "set S3_BUCKET, or repository.path");
  }
  const credentials = credentialSource(loaded, env);
  if (config.repository.type === "s3" && !credentials) refuseRelative(env);
  const { secret_access_key: _, session_token: _t, ...repository } = config.repository;
  return {
    cluster: config.cluster,
    repository,
    credentials,
    zstdLevel: zstdLevel(config.compression.wal),
    lookAhead: config.wal.look_ahead,
    spool: config.wal.spool,
    timeout: config.wal.timeout,
    log: config.log,
    ...(config.encryption && { encryption: encryptionOf(config.encryption) }),
  };
}

/**
 * Files of the SDK are read in the working directory, which is PostgreSQL's here: without them it
 * may find another identity, such as the machine's. Undefined variables are fine.
 *
 * @throws {ConfigError}
 */
function refuseRelative(env: Environment): void {
  for (const name of SDK_FILES) {
    const file = env[name];
    if (!file || isAbsolute(file)) continue;
    throw new ConfigError(`environment variable ${name}: ${JSON.stringify(file)} ${RELATIVE}`);
  }
}

function encryptionOf(
  { recipients, identity_file: identityFile }: NonNullable<Config["encryption"]>,
): WalEncryption {
  return { ...(recipients && { recipients }), ...(identityFile !== undefined && { identityFile }) };
}

/** The name of a stored segment ends with .zst, whatever the configuration says later. */
function zstdLevel(text: string): number {
  const { algorithm, level } = parseCodec(text);
  if (algorithm === "zstd") return level;
  throw new ConfigError(`compression.wal: "${text}" is not for WAL`, "use zstd:1 to zstd:19");
}

function credentialSource(
  loaded: LoadedConfig,
  env: Environment,
): CredentialSource | undefined {
  const { access_key_id: accessKeyId, secret_access_key: secret, session_token: token } =
    loaded.config.repository;
  if (accessKeyId === undefined || secret === undefined) return undefined;
  const source = (key: SecretKey, text: string) => sourceOf(loaded, { key, text, env });
  return {
    accessKeyId,
    secret: source("secret_access_key", secret),
    ...(token !== undefined && { token: source("session_token", token) }),
  };
}

function sourceOf(
  { config, origin }: LoadedConfig,
  { key, text, env }: {
    readonly key: SecretKey;
    readonly text: string;
    readonly env: Environment;
  },
): SecretSource {
  const place = origin(["repository", key]);
  const variable = /^environment variable (\S+)$/.exec(place ?? "")?.[1];
  if (variable?.endsWith("_FILE")) return { file: env[variable]! };
  if (variable !== undefined) return { env: variable };
  const file = config.repository.secret_access_key_file;
  const named = origin(["repository", "secret_access_key_file"]);
  return key === "secret_access_key" && file !== undefined && place === named ? { file } : { text };
}

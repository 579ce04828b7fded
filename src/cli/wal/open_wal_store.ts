import type { Environment } from "../../config/environment_layer.ts";
import { ConfigError } from "../../domain/errors.ts";
import type { S3LightOptions } from "../../storage/s3_light.ts";
import type { S3Retry } from "../../storage/s3_options.ts";
import type { ObjectStore } from "../../storage/storage.ts";
import { s3Options } from "../s3_options_of.ts";
import { findCredentials } from "./find_credentials.ts";
import { resolveCredentials, type WalSettings } from "./wal_settings.ts";

/** A store, and a connection to it that is being made. */
export interface WalStore {
  readonly store: ObjectStore;
  /** Connects ahead of the first request. Never throws. */
  readonly warm: () => Promise<void>;
}

/** PEM files that people point other programs to. */
const CA_VARIABLES = ["AWS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "DENO_CERT", "SSL_CERT_FILE"];

/** The store of the WAL path. @throws {ConfigError} when it cannot be opened as configured. */
export async function openWalStore(
  settings: WalSettings,
  { env, deadlineMs, onRetry }: {
    readonly env: Environment;
    readonly deadlineMs: number;
    readonly onRetry: (retry: S3Retry) => void;
  },
): Promise<WalStore> {
  const { repository } = settings;
  if (repository.type === "directory") {
    const { DirectoryStore } = await import("../../storage/directory.ts");
    return { store: new DirectoryStore(repository.path!), warm: () => Promise.resolve() };
  }
  const { S3LightStore } = await import("../../storage/s3_light.ts");
  const credentials = resolveCredentials(settings, env);
  const store = new S3LightStore({
    ...s3Options(repository),
    ...(credentials
      ? { credentials }
      : { findCredentials: findCredentials(env, repository.region) }),
    caCerts: authorities(repository.ca_file, env),
    ...(isProxied(repository, env) && await byFetch()),
    ...{ deadlineMs, onRetry, idleSeconds: 20 },
  });
  return { store, warm: () => store.warm() };
}

async function byFetch(): Promise<Pick<S3LightOptions, "transport">> {
  const { FetchTransport } = await import("../../storage/light_fetch.ts");
  return { transport: (target) => new FetchTransport(target) };
}

function authorities(caFile: string | undefined, env: Environment): readonly string[] {
  const named = CA_VARIABLES.map((name) => env[name]).find((path) => path);
  const path = caFile ?? named;
  if (!path) return [];
  try {
    return [Deno.readTextFileSync(path)];
  } catch (cause) {
    const message = `the file ${path} with certificate authorities cannot be read`;
    throw new ConfigError(message, undefined, { cause });
  }
}

/** The variables that `fetch` obeys. */
function isProxied({ endpoint }: WalSettings["repository"], env: Environment): boolean {
  const url = new URL(endpoint ?? "https://s3.amazonaws.com");
  const name = url.protocol === "https:" ? "https_proxy" : "http_proxy";
  if (!env[name] && !env[name.toUpperCase()] && !env["all_proxy"] && !env["ALL_PROXY"]) {
    return false;
  }
  const exempt = (env["no_proxy"] ?? env["NO_PROXY"] ?? "").split(",").map((host) => host.trim());
  return !exempt.some((host) =>
    host === "*" || (host !== "" && `.${url.hostname}`.endsWith(`.${host.replace(/^\*?\./, "")}`))
  );
}

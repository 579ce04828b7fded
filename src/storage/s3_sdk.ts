/** The SDK and what goes with it, loaded at the first call: it takes longer than small commands. */
import type { S3Client, S3ClientConfig } from "@aws-sdk/client-s3";
import type { LookupFunction } from "node:net";
import { ConfigError } from "../domain/errors.ts";
import { freshSockets } from "./s3_fresh_sockets.ts";
import type { S3Settings } from "./s3_options.ts";

/** The module of the SDK. */
export type Sdk = typeof import("@aws-sdk/client-s3");

/** What the calls need. */
export interface LoadedSdk {
  readonly sdk: Sdk;
  /** CRC-32 of `bytes`, continuing `before`. */
  readonly crc32: (bytes: Uint8Array, before?: number) => number;
}

const CONNECT_TIMEOUT_MS = 10_000;
/** Kept-alive connections: parts of several objects at once. */
const MAX_SOCKETS = 64;

/** Loads the SDK once. */
export async function loadSdk(): Promise<LoadedSdk> {
  const [sdk, zlib] = await Promise.all([import("@aws-sdk/client-s3"), import("node:zlib")]);
  return { sdk, crc32: (bytes, before) => zlib.crc32(bytes, before) };
}

/**
 * A client that leaves retries, timeouts and checksums to us: the calls that are not idempotent
 * need to know about each attempt.
 *
 * @throws {ConfigError} when the CA file cannot be read.
 */
export async function createClient(
  sdk: Sdk,
  settings: S3Settings,
  { lookup, maxIdleMs }: { readonly lookup?: LookupFunction; readonly maxIdleMs?: number },
): Promise<S3Client> {
  const [{ NodeHttpHandler }, http, https] = await Promise.all([
    import("@smithy/node-http-handler"),
    import("node:http"),
    import("node:https"),
  ]);
  const about = { keepAlive: true, maxSockets: MAX_SOCKETS, ...(lookup && { lookup }) };
  const ca = await readAuthorities(settings.caFile);
  const httpAgent = new http.Agent(about);
  const httpsAgent = new https.Agent({ ...about, ...(ca && { ca }) });
  const handler = new NodeHttpHandler({
    connectionTimeout: CONNECT_TIMEOUT_MS,
    throwOnRequestTimeout: true, // without it a timeout is a mere warning
    ...{ httpAgent, httpsAgent },
  });
  return new sdk.S3Client({
    ...clientConfig(settings),
    requestHandler: freshSockets(handler, { agents: [httpAgent, httpsAgent], maxIdleMs }),
  });
}

/** The part of the configuration that is nothing but data. */
export function clientConfig(settings: S3Settings): S3ClientConfig {
  const { region, endpoint, credentials, forcePathStyle, transferAcceleration = false } = settings;
  return {
    ...(region !== undefined && { region }),
    ...(endpoint !== undefined && { endpoint }),
    ...(credentials !== undefined && { credentials }),
    forcePathStyle,
    useAccelerateEndpoint: transferAcceleration,
    maxAttempts: 1,
    // 100-continue would take a new connection for every part.
    expectContinueHeader: false,
    // We send the CRC32 ourselves; the SDK's way for streams is an aws-chunked trailer, which R2,
    // Spaces and others refuse or store as data.
    requestChecksumCalculation: "WHEN_REQUIRED",
    responseChecksumValidation: "WHEN_REQUIRED",
    logger: SILENT,
  };
}

const SILENT = { debug() {}, info() {}, warn() {}, error() {} };

/** Instead of the usual authorities: with all of those, each request would take 8 ms longer. */
async function readAuthorities(path: string | undefined): Promise<string | undefined> {
  if (path === undefined) return undefined;
  const pem = await Deno.readTextFile(path).catch((cause) => {
    throw new ConfigError(`cannot read the CA file ${path}`, undefined, { cause });
  });
  if (!pem.includes("-----BEGIN CERTIFICATE-----")) {
    throw new ConfigError(`the CA file ${path} holds no certificate in PEM`);
  }
  return pem;
}

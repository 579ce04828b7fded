/** The SDK and what goes with it, loaded at the first call: it takes longer than small commands. */
import type { S3Client, S3ClientConfig } from "@aws-sdk/client-s3";
import { ConfigError } from "../domain/errors.ts";
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
  { maxIdleMs }: { readonly maxIdleMs?: number },
): Promise<S3Client> {
  const { caFile, idleMs } = settings;
  const [{ SocketHandler }, { UNSIGNED_PAYLOAD }] = await Promise.all([
    import("./s3_http_handler.ts"),
    import("./sigv4.ts"),
  ]);
  const caCerts = caFile === undefined ? [] : [await readAuthorities(caFile)];
  const requestHandler = new SocketHandler({
    ...{ caCerts, idleMs, maxIdleMs },
    connectMs: CONNECT_TIMEOUT_MS,
  });
  const client = new sdk.S3Client({ ...clientConfig(settings), requestHandler });
  const isPlain = URL.parse(settings.endpoint ?? "")?.protocol === "http:";
  if (!isPlain && settings.checksums) leaveUnsigned(client, UNSIGNED_PAYLOAD);
  return client;
}

/**
 * A body has its CRC-32 with it and goes through TLS, which nobody changes on its way: its SHA-256
 * besides takes as long as to send it. Amazon S3 API Reference, "Authenticating requests".
 */
function leaveUnsigned(client: S3Client, payloadHash: string): void {
  client.middlewareStack.add(
    (next) => (args) => {
      const { headers, body } = args.request as HttpRequest;
      if (body instanceof Uint8Array) headers["x-amz-content-sha256"] = payloadHash;
      return next(args);
    },
    { step: "build", name: "leaveUnsigned" },
  );
}

interface HttpRequest {
  readonly headers: Record<string, string>;
  readonly body?: unknown;
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

/** Authorities to trust besides the usual ones. */
async function readAuthorities(path: string): Promise<string> {
  const pem = await Deno.readTextFile(path).catch((cause) => {
    throw new ConfigError(`cannot read the CA file ${path}`, undefined, { cause });
  });
  if (!pem.includes("-----BEGIN CERTIFICATE-----")) {
    throw new ConfigError(`the CA file ${path} holds no certificate in PEM`);
  }
  return pem;
}

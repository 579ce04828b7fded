import { ConfigError } from "../domain/errors.ts";
import { MiB } from "../domain/bytes.ts";

/** Where and how an {@link S3Store} keeps its objects. */
export interface S3Options {
  /** The bucket, which must exist. */
  readonly bucket: string;
  /** Every key begins with this and a slash. */
  readonly prefix?: string;
  /** Without it the SDK's chain decides, or `us-east-1` at an endpoint of one's own. */
  readonly region?: string;
  /** The URL of another provider than AWS. */
  readonly endpoint?: string;
  /**
   * `true`: `https://endpoint/bucket/key`; `false`: `https://bucket.endpoint/key`; `auto`: the
   * first at an endpoint of one's own and for bucket names with dots, else the second.
   *
   * @default {"auto"}
   */
  readonly pathStyle?: "auto" | boolean;
  /** Such as `STANDARD_IA`; the bucket's own without it. */
  readonly storageClass?: string;
  /** Encryption at rest by the store. */
  readonly sse?: "AES256" | "aws:kms";
  /** Only with `sse: "aws:kms"`; without it AWS takes the account's own key. */
  readonly kmsKeyId?: string;
  /** Fewer calls of KMS. */
  readonly bucketKey?: boolean;
  /** Go through AWS's edge locations: needs a bucket name without dots. @default {false} */
  readonly transferAcceleration?: boolean;
  /** Without them the SDK's chain: environment, profile, web identity, container, instance. */
  readonly credentials?: {
    readonly accessKeyId: string;
    readonly secretAccessKey: string;
    readonly sessionToken?: string;
  };
  /** A PEM file with certificate authorities to trust besides the usual ones. */
  readonly caFile?: string;
  /** Without it `http://` is refused but for this machine. @default {false} */
  readonly allowHttp?: boolean;
  /** Length of the first parts of a large object; later ones grow. @default {16 MiB} */
  readonly partBytes?: number;
  /** How many parts an object may have: 10,000, on Scaleway 1,000. @default {10_000} */
  readonly maxParts?: number;
  /**
   * False: all parts of an object are equal, as Cloudflare R2 demands; an object of unknown
   * length then ends at `maxParts` × `partBytes`. @default {true but on R2}
   */
  readonly growParts?: boolean;
  /** Send CRC32 checksums; some old stores refuse their headers. @default {true} */
  readonly checksums?: boolean;
  /**
   * `bytes`: the store lists in the order of the keys' bytes, as AWS does, and listings stream;
   * `any`: a listing is collected and sorted. @default {"bytes" at AWS, "any" elsewhere}
   */
  readonly listOrder?: "bytes" | "any";
  /**
   * How often a call is tried before it fails. @default {8, and 60 for the parts and the rest of an
   * object under way: hours of work outlast some nine minutes without the store}
   */
  readonly attempts?: number;
  /** Seconds without a byte after which a transfer counts as broken. @default {60} */
  readonly idleSeconds?: number;
  /** Told before each repetition. */
  readonly onRetry?: (retry: S3Retry) => void;
}

/** A call that failed and is made again. */
export interface S3Retry {
  /** The S3 operation, such as `UploadPart`. */
  readonly operation: string;
  /** Of the attempt that failed, counted from 1. */
  readonly attempt: number;
  /** What went wrong, in one line. */
  readonly reason: string;
  /** How long is waited before the next attempt. */
  readonly delaySeconds: number;
}

/** The options with every default filled in. */
export interface S3Settings extends S3Options {
  /** `""` or a prefix that ends with a slash. */
  readonly keyPrefix: string;
  readonly forcePathStyle: boolean;
  readonly partBytes: number;
  readonly maxParts: number;
  readonly growParts: boolean;
  readonly checksums: boolean;
  readonly listOrder: "bytes" | "any";
  readonly attempts: number;
  /** Of a part, and of the rest of an object that is being read. */
  readonly transferAttempts: number;
  readonly idleMs: number;
}

/**
 * Checks the options and fills in the defaults.
 *
 * @throws {ConfigError} when they cannot work together.
 */
export function s3Settings(options: S3Options): S3Settings {
  const url = options.endpoint === undefined ? undefined : parseEndpoint(options.endpoint);
  checkBucket(options.bucket);
  checkTransport(url, options);
  checkAcceleration(options);
  checkEncryption(options);
  const isAws = url === undefined || /\.amazonaws\.com(\.cn)?$/.test(url.hostname);
  const prefix = (options.prefix ?? "").replace(/^\/+|\/+$/g, "");
  const region = options.region ?? (isAws ? undefined : "us-east-1");
  return {
    ...options,
    ...(region !== undefined && { region }),
    keyPrefix: prefix === "" ? "" : `${prefix}/`,
    forcePathStyle: pathStyle(options, url, isAws),
    partBytes: options.partBytes ?? 16 * MiB,
    maxParts: options.maxParts ?? 10_000,
    growParts: options.growParts ?? !url?.hostname.endsWith(".r2.cloudflarestorage.com"),
    checksums: options.checksums ?? true,
    listOrder: options.listOrder ?? (isAws ? "bytes" : "any"),
    attempts: options.attempts ?? 8,
    transferAttempts: options.attempts ?? 60,
    idleMs: (options.idleSeconds ?? 60) * 1000,
  };
}

function parseEndpoint(endpoint: string): URL {
  const url = URL.parse(endpoint);
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw new ConfigError(
      `the S3 endpoint ${JSON.stringify(endpoint)} is no http or https URL`,
      "write it like https://s3.example.com",
    );
  }
  if (url.username === "" && url.password === "") return url;
  throw new ConfigError(
    `the S3 endpoint at ${url.host} holds a user name or password`,
    "give the keys as access key and secret key",
  );
}

/** S3 User Guide, "General purpose bucket naming rules"; other stores are laxer. */
function checkBucket(bucket: string): void {
  if (/^[A-Za-z0-9][A-Za-z0-9._-]{1,254}$/.test(bucket)) return;
  throw new ConfigError(`${JSON.stringify(bucket)} is no name of an S3 bucket`);
}

function checkTransport(url: URL | undefined, { allowHttp = false }: S3Options): void {
  if (url?.protocol !== "http:" || allowHttp || isLoopback(url.hostname)) return;
  throw new ConfigError(
    `the S3 endpoint ${url.origin} is not encrypted`,
    "use https, or allow_http when nobody else can read that network",
  );
}

/** S3 User Guide, "Configuring fast, secure file transfers using Transfer Acceleration". */
function checkAcceleration({ transferAcceleration, bucket, endpoint, pathStyle }: S3Options): void {
  if (!transferAcceleration) return;
  if (bucket.includes(".")) {
    throw new ConfigError(
      `Transfer Acceleration is not possible with the dots of bucket ${bucket}`,
    );
  }
  if (endpoint !== undefined || pathStyle === true) {
    throw new ConfigError(
      "Transfer Acceleration has an endpoint of its own",
      "leave out the endpoint and path_style",
    );
  }
}

function checkEncryption({ sse, kmsKeyId, bucketKey }: S3Options): void {
  if (sse === "aws:kms" || (kmsKeyId === undefined && bucketKey === undefined)) return;
  throw new ConfigError("a KMS key or bucket key needs sse: aws:kms");
}

function pathStyle(options: S3Options, url: URL | undefined, isAws: boolean): boolean {
  if (typeof options.pathStyle === "boolean") return options.pathStyle;
  if (options.transferAcceleration) return false;
  // A certificate for *.s3.amazonaws.com does not cover a bucket name with dots.
  if (options.bucket.includes(".")) return true;
  // These refuse the path style.
  return !isAws && !/\.(aliyuncs|myqcloud)\.com$/.test(url?.hostname ?? "");
}

function isLoopback(hostname: string): boolean {
  return hostname === "localhost" || hostname.endsWith(".localhost") || hostname === "[::1]" ||
    /^127\.\d+\.\d+\.\d+$/.test(hostname);
}

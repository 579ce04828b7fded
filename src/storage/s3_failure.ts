/** What went wrong in a call of S3, freed of everything that could hold a secret. */

/** Whether it is worth trying the call again. */
export type Retryability = "yes" | "no" | "new credentials";

/** A failed call, as its callers judge it. */
export class S3Failure extends Error {
  /** S3's code (`NoSuchKey`), or the operating system's (`ECONNREFUSED`), or `Unknown`. */
  readonly code: string;
  /** The HTTP status; undefined when there was no answer. */
  readonly status: number | undefined;
  readonly requestId: string | undefined;
  /** The region that the bucket is in, when the answer names one. */
  readonly region: string | undefined;
  readonly retryable: Retryability;
  /** Seconds that the server asked to wait. */
  readonly retryAfter: number | undefined;

  constructor(error: unknown) {
    const facts = new Facts(error);
    super(facts.message);
    this.name = "S3Failure";
    this.code = facts.code;
    this.status = facts.status;
    this.requestId = facts.text("$metadata", "requestId");
    this.region = facts.region;
    this.retryAfter = facts.retryAfter;
    this.retryable = retryability(this, facts);
  }

  /** No answer, or one that leaves open whether the request was carried out. */
  get isUncertain(): boolean {
    return this.status === undefined || this.status >= 500 || this.status < 300;
  }

  /** A refusal that does not say why, as HEAD answers. */
  get isBare(): boolean {
    return this.status !== undefined && this.status >= 300 && this.status < 500 &&
      /^(Unknown|NotFound|Forbidden|BadRequest|\d+)$/.test(this.code);
  }

  /** A condition of a write did not hold. */
  get isConditionFailure(): boolean {
    return this.status === 412 || this.code === "PreconditionFailed";
  }
}

const RETRYABLE_CODES = new Set([
  "SlowDown",
  "InternalError",
  "ServiceUnavailable",
  "RequestTimeout",
  "Throttling",
  "ThrottlingException",
  "TooManyRequests",
  "RequestLimitExceeded",
  "BandwidthLimitExceeded",
  // S3 User Guide, "Conditional requests": repeat the upload after these.
  "ConditionalRequestConflict",
  "OperationAborted",
  // The body was damaged on its way.
  "BadDigest",
  "IncompleteBody",
  "XAmzContentSHA256Mismatch",
]);
const EXPIRED_CODES = new Set(["ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired"]);
/** The operating system's codes, and those of Node's sockets and HTTP parser. */
const NETWORK_CODE = /^(E(?!RR_)[A-Z]+(_[A-Z]+)*|HPE_.*|ERR_(SOCKET|STREAM|SSL|HTTP|TLS)_.*)$/;
/** Node's and rustls's names for a certificate that is not to be trusted: trying again is vain. */
const CERTIFICATE = /certificate|CERT_|ALTNAME|UNABLE_TO_VERIFY|SELF_SIGNED|UnknownIssuer/i;

/** Whether the failure is about the server's certificate. */
export function isCertificateFailure({ code, message, status }: S3Failure): boolean {
  return status === undefined && (CERTIFICATE.test(code) || CERTIFICATE.test(message));
}

function retryability(failure: S3Failure, facts: Facts): Retryability {
  const { code, status } = failure;
  if (failure.isConditionFailure) return "no";
  if (EXPIRED_CODES.has(code)) return "new credentials";
  if (RETRYABLE_CODES.has(code) || facts.clockSkewCorrected) return "yes";
  if (status === undefined) {
    return facts.isNetworkFailure && !isCertificateFailure(failure) ? "yes" : "no";
  }
  if (status < 300) return "yes"; // a success whose body cannot be read
  return (status >= 500 && status !== 501) || status === 429 || status === 408 ? "yes" : "no";
}

/** Reads an error of unknown shape. */
class Facts {
  readonly #error: unknown;

  constructor(error: unknown) {
    this.#error = error;
  }

  get status(): number | undefined {
    const status = at(this.#error, "$metadata", "httpStatusCode") ??
      at(this.#error, "$response", "statusCode");
    return typeof status === "number" ? status : undefined;
  }

  get code(): string {
    const named = this.text("Code") ?? this.text("name") ?? "Unknown";
    if (this.status !== undefined) return named;
    return this.text("code") ?? named;
  }

  get message(): string {
    const message = this.text("message") ?? "";
    if (message !== "" && message !== "UnknownError") return message.trim().replace(/\.$/, "");
    return this.status === undefined ? String(this.#error) : `HTTP status ${this.status}`;
  }

  get region(): string | undefined {
    return this.text("$response", "headers", "x-amz-bucket-region") ?? this.text("Region") ??
      this.message.match(/expecting '([a-z0-9-]+)'/)?.[1];
  }

  get clockSkewCorrected(): boolean {
    return at(this.#error, "$metadata", "clockSkewCorrected") === true;
  }

  /** RFC 9110, 10.2.3: seconds or a date. */
  get retryAfter(): number | undefined {
    const header = this.text("$response", "headers", "retry-after");
    if (header === undefined) return undefined;
    const seconds = /^\d+$/.test(header) ? Number(header) : secondsUntil(header, this.#serverDate);
    return Number.isFinite(seconds) ? Math.max(0, seconds) : undefined;
  }

  /** An error of the connection, not of this program or of the search for credentials. */
  get isNetworkFailure(): boolean {
    if (this.text("name") === "CredentialsProviderError") return false;
    return NETWORK_CODE.test(this.text("code") ?? "") || this.text("name") === "TimeoutError" ||
      /socket|connection|aborted/i.test(this.message);
  }

  get #serverDate(): string | undefined {
    return this.text("$response", "headers", "date");
  }

  text(...path: readonly string[]): string | undefined {
    const value = at(this.#error, ...path);
    return typeof value === "string" && value !== "" ? value : undefined;
  }
}

function secondsUntil(date: string, now: string | undefined): number {
  if (now === undefined) return NaN;
  return Math.ceil((Date.parse(date) - Date.parse(now)) / 1000);
}

function at(value: unknown, ...path: readonly string[]): unknown {
  let found = value;
  for (const name of path) {
    if (typeof found !== "object" || found === null) return undefined;
    found = Reflect.get(found, name);
  }
  return found;
}

/**
 * A small S3 for tests, in the test's own process: strict where S3 is strict, lower limits, and
 * faults on demand. The contract suite runs over it and over real servers; what differs stands in
 * tests/contract/s3_differences.ts.
 *
 * @module
 */
import { type FaultAction, type FaultMatch, Faults } from "./faults.ts";
import { type HttpAnswer, type HttpRequest, serveConnection } from "./http_connection.ts";
import { copyObject } from "./copy_api.ts";
import { forward } from "./forward.ts";
import {
  abortUpload,
  completeUpload,
  createUpload,
  listUploads,
  uploadPart,
} from "./multipart_api.ts";
import { deleteObject, deleteObjects, getObject, listObjects, putObject } from "./objects_api.ts";
import type { IamPolicy } from "./iam_policy.ts";
import { faultAnswer, parseRequest, S3Fault, type S3Request } from "./s3_request.ts";
import { checkPayload, checkSignature, type Credentials } from "./signature.ts";
import type { Bucket } from "./stored_object.ts";

/** How the server behaves. Tests change fields while it runs. */
export interface ServerOptions {
  readonly credentials: Credentials;
  readonly region: string;
  readonly buckets: readonly string[];
  /** Also answer `http://BUCKET.<this>:PORT/`. */
  readonly virtualHost: string | undefined;
  /** Smallest part but the last. S3: 5 MiB. */
  readonly minPartBytes: number;
  /** S3: 5 GiB. */
  readonly maxPutBytes: number;
  /** S3: 10,000. */
  readonly maxPartNumber: number;
  /** Keys in a page of a listing. S3: 1,000. */
  readonly pageKeys: number;
  /** Parts but the last must be equal, as on Cloudflare R2. */
  readonly equalParts: boolean;
  /** Silently take If-None-Match and If-Match for nothing, as some stores do. */
  readonly ignoreConditions: boolean;
  /** Give `Content-Encoding: aws-chunked` back, as some stores do. */
  readonly keepAwsChunked: boolean;
  readonly listOrder: "bytes" | "folders" | "backwards";
  /** What the credentials are allowed; undefined: everything. */
  readonly policy: IamPolicy | undefined;
  /** DeleteObjects refuses these keys. */
  readonly undeletable: RegExp | undefined;
  /** False: keep lengths only, for bodies larger than memory. */
  readonly keepBodies: boolean;
  /** Added to the server's clock, in milliseconds. */
  readonly clockSkew: number;
  /** For the faults that happen with a probability; print it when a test fails. */
  readonly seed: number;
  /** Whose answers these are, such as `http://127.0.0.1:9000`; undefined: this server's own. */
  readonly origin: string | undefined;
  /** Certificate and key in PEM: serve https. */
  readonly tls: { readonly cert: string; readonly key: string } | undefined;
}

/** One request as it was answered. */
export interface LoggedRequest {
  readonly method: string;
  readonly bucket: string;
  readonly key: string;
  readonly query: URLSearchParams;
  readonly headers: Headers;
  readonly bodyBytes: number;
  readonly status: number;
  readonly fault: string | undefined;
}

const DEFAULTS: ServerOptions = {
  credentials: { accessKeyId: "testkey", secretAccessKey: "testsecretkey123" },
  region: "us-east-1",
  buckets: ["bucket"],
  virtualHost: undefined,
  minPartBytes: 65_536,
  maxPutBytes: 5 * 1024 ** 3,
  maxPartNumber: 10_000,
  pageKeys: 1_000,
  equalParts: false,
  ignoreConditions: false,
  keepAwsChunked: false,
  listOrder: "bytes",
  policy: undefined,
  undeletable: undefined,
  keepBodies: true,
  clockSkew: 0,
  seed: 1,
  origin: undefined,
  tls: undefined,
};

/** A running server. */
export class S3Server {
  /** Everything that was asked, in the order of the answers. */
  readonly requests: LoggedRequest[] = [];
  readonly port: number;
  /** Connections that were accepted so far. */
  connections = 0;
  options: ServerOptions;
  readonly #buckets: Map<string, Bucket>;
  readonly #faults: Faults;
  readonly #listener: Deno.TcpListener | Deno.TlsListener;
  readonly #connections = new Set<Deno.Conn>();
  readonly #served: Promise<void>;
  readonly #closed = Promise.withResolvers<void>();

  private constructor(options: ServerOptions) {
    this.options = options;
    this.#buckets = new Map(
      options.buckets.map((name) => [name, { objects: new Map(), uploads: new Map() }]),
    );
    this.#faults = new Faults(options.seed);
    const address = { hostname: "127.0.0.1", port: 0 };
    this.#listener = options.tls === undefined
      ? Deno.listen(address)
      : Deno.listenTls({ ...address, ...options.tls });
    this.port = (this.#listener.addr as Deno.NetAddr).port;
    this.#served = this.#serve();
  }

  /** Starts on a free port of the loopback. */
  static start(options: Partial<ServerOptions> = {}): S3Server {
    return new S3Server({ ...DEFAULTS, ...options });
  }

  get endpoint(): string {
    return `${this.options.tls === undefined ? "http" : "https"}://127.0.0.1:${this.port}`;
  }

  /** The content of a bucket, for assertions. */
  bucket(name = "bucket"): Bucket {
    const bucket = this.#buckets.get(name);
    if (bucket === undefined) throw new S3Fault(404, "NoSuchBucket", "no such bucket");
    return bucket;
  }

  /** From now on this goes wrong. */
  fail(match: FaultMatch, action: FaultAction): void {
    this.#faults.add({ match, action });
  }

  /** Nothing goes wrong any more. */
  heal(): void {
    this.#faults.clear();
  }

  /** The logged requests of a kind. */
  requestsOf(method: string, query?: string): readonly LoggedRequest[] {
    return this.requests.filter((request) =>
      request.method === method && (query === undefined || request.query.has(query))
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed.resolve();
    this.#listener.close();
    for (const connection of this.#connections) {
      try {
        connection.close();
      } catch { /* closed already */ }
    }
    await this.#served;
  }

  async #serve(): Promise<void> {
    const running: Promise<void>[] = [];
    for (;;) {
      const connection = await this.#listener.accept().catch(() => undefined);
      if (connection === undefined) break;
      this.#connections.add(connection);
      this.connections += 1;
      if ("setNoDelay" in connection) connection.setNoDelay(true);
      const served = serveConnection(connection, (request) => this.#answer(request));
      running.push(served.finally(() => this.#connections.delete(connection)));
    }
    await Promise.all(running);
  }

  async #answer(http: HttpRequest): Promise<HttpAnswer> {
    const request = parseRequest(http, this.options.virtualHost);
    const fault = this.#faults.choose(request);
    const answer = await this.#answerFaultily(request, fault);
    const { body, ...asked } = request; // a campaign's bodies would not fit into memory
    this.requests.push({
      ...asked,
      bodyBytes: body.length,
      status: answer.status,
      fault: fault?.kind,
    });
    const date = new Date(Date.now() + this.options.clockSkew).toUTCString();
    return { ...answer, headers: { date, ...answer.headers } };
  }

  async #answerFaultily(
    request: S3Request,
    fault: FaultAction | undefined,
  ): Promise<HttpAnswer> {
    switch (fault?.kind) {
      case "error": {
        const answer = faultAnswer(
          new S3Fault(fault.status, fault.code, fault.message ?? fault.code, fault.extra ?? {}),
        );
        const body = fault.body === undefined ? answer.body : new TextEncoder().encode(fault.body);
        return { ...answer, body, headers: { ...answer.headers, ...fault.headers } };
      }
      case "error in 200":
        return { ...faultAnswer(new S3Fault(200, fault.code)), status: 200 };
      case "refused":
        return { status: 0, headers: {}, body: new Uint8Array(0), silent: true };
      case "hang":
        return {
          status: 0,
          headers: {},
          body: new Uint8Array(0),
          silent: true,
          delay: this.#closed.promise,
        };
      case "twice":
        await this.#perform(request, undefined);
    }
    const answer = await this.#perform(request, fault);
    if (fault?.kind !== "stall") return spoil(answer, fault);
    return { ...answer, cutAfter: fault.bytes, closeAfter: this.#closed.promise };
  }

  async #perform(request: S3Request, fault: FaultAction | undefined): Promise<HttpAnswer> {
    if (this.options.origin !== undefined) return await forward(request, this.options.origin);
    try {
      const now = new Date(Date.now() + this.options.clockSkew);
      checkSignature(request, { ...this.options, now });
      checkPayload(request);
      const bucket = this.#buckets.get(request.bucket);
      if (bucket === undefined) {
        throw new S3Fault(404, "NoSuchBucket", "The specified bucket does not exist");
      }
      await Promise.resolve();
      if (fault?.kind === "ignore range") request.headers.delete("range");
      const hide = fault?.kind === "stale list" ? fault.hide : 0;
      return route(bucket, request, allowed(request, this.options), hide);
    } catch (error) {
      if (error instanceof S3Fault) return faultAnswer(error);
      throw error;
    }
  }
}

/** The options for a request that is allowed; each key of a batch is refused by itself, as by S3. */
function allowed(request: S3Request, options: ServerOptions): ServerOptions {
  if (!options.policy || options.policy.allows(request)) return options;
  const batch = request.method === "POST" && request.query.has("delete");
  if (batch) return { ...options, undeletable: /(?:)/ };
  throw new S3Fault(403, "AccessDenied", "Access Denied");
}

function route(
  bucket: Bucket,
  request: S3Request,
  options: ServerOptions,
  hide: number,
): HttpAnswer {
  const { method, key, query, headers } = request;
  if (key === "") {
    if (method === "POST" && query.has("delete")) return deleteObjects(bucket, request, options);
    if (method === "GET" && query.has("uploads")) {
      return listUploads(bucket, request, options.pageKeys);
    }
    if (method === "GET") return listObjects(bucket, request, options, hide);
    if (method === "HEAD") return { status: 200, headers: {}, body: new Uint8Array(0) };
  }
  if (method === "POST" && query.has("uploads")) return createUpload(bucket, request, options);
  if (query.has("uploadId")) {
    if (method === "PUT") return uploadPart(bucket, request, options);
    if (method === "POST") return completeUpload(bucket, request, options);
    if (method === "DELETE") return abortUpload(bucket, request);
  }
  if (method === "PUT" && headers.has("x-amz-copy-source")) {
    return copyObject(bucket, request, options);
  }
  if (method === "PUT") return putObject(bucket, request, options);
  if (method === "GET" || method === "HEAD") return getObject(bucket, request);
  if (method === "DELETE") return deleteObject(bucket, request);
  throw new S3Fault(405, "MethodNotAllowed", "The specified method is not allowed");
}

/** What the network or a proxy makes of a right answer. */
function spoil(answer: HttpAnswer, fault: FaultAction | undefined): HttpAnswer {
  switch (fault?.kind) {
    case "lost answer":
      return { ...answer, silent: true };
    case "body":
      return { ...answer, body: new TextEncoder().encode(fault.body) };
    case "keep alive":
      return { ...answer, keepAliveSpaces: 5 };
    case "truncate":
      return { ...answer, cutAfter: fault.bytes };
    case "close after headers":
      return { ...answer, cutAfter: 0 };
    case "drip":
      return { ...answer, drip: fault.bytesPerSecond };
    case "flip byte": {
      const body = answer.body.slice();
      if (body.length > 0) body[fault.at % body.length]! ^= 1;
      return { ...answer, body };
    }
    case "no etag": {
      const { etag: _lost, ...headers } = answer.headers;
      const xml = new TextDecoder().decode(answer.body).replace(/<ETag>.*?<\/ETag>/, "");
      return { ...answer, headers, body: new TextEncoder().encode(xml) };
    }
  }
  return answer;
}

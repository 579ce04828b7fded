import type { Bytes } from "../domain/bytes.ts";
import type { LightTarget } from "./light_connection.ts";
import { ConnectionError } from "./light_response.ts";
import { SocketTransport } from "./light_transport.ts";
import { answerStream, connectionFailure } from "./s3_light_answer.ts";
import { encodeQuery } from "./sigv4.ts";

/** What the SDK hands to its handler: Smithy's HttpRequest. */
interface HttpRequest {
  readonly method: string;
  /** With the colon. */
  readonly protocol: string;
  readonly hostname: string;
  readonly port?: number;
  /** Encoded. */
  readonly path: string;
  readonly query?: Readonly<Record<string, unknown>>;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

/** What it takes for an answer: Smithy's HttpResponse. */
interface HttpResponse {
  readonly statusCode: number;
  readonly headers: Record<string, string>;
  readonly body: ReadableStream<Bytes>;
}

/** How connections are made. */
export interface HandlerOptions extends Pick<LightTarget, "caCerts" | "connectMs" | "idleMs"> {
  /** See {@link SocketTransport}. */
  readonly maxIdleMs?: number | undefined;
}

/**
 * Carries the SDK's requests over connections of our own. For 512 MB over TLS node:https takes 1.0
 * (Deno 2.9) to 3.0 s (2.6) of CPU to read and 1.0 to 1.6 s to write, this 0.65 and 0.25; and what
 * nobody reads stays with the sender.
 */
export class SocketHandler {
  readonly metadata = { handlerProtocol: "http/1.1" };
  readonly #options: HandlerOptions;
  /** By origin: a bucket may stand in the name of the host. */
  readonly #transports = new Map<string, SocketTransport>();

  constructor(options: HandlerOptions) {
    this.#options = options;
  }

  /** @throws {S3Failure} when the connection breaks before there is an answer. */
  async handle(
    request: HttpRequest,
    { abortSignal }: { readonly abortSignal?: unknown } = {},
  ): Promise<{ readonly response: HttpResponse }> {
    const { method, body } = request;
    const signal = abortSignal instanceof AbortSignal ? abortSignal : new AbortController().signal;
    const light = { method, path: pathOf(request), headers: headersOf(request) };
    try {
      const answer = await this.#transport(request)
        .exchange({ ...light, body: body === undefined ? undefined : bytesOf(body) }, signal);
      const { status: statusCode, headers } = answer;
      const response = {
        statusCode,
        headers: Object.fromEntries(headers),
        body: answerStream(answer, connectionFailure),
      };
      return { response };
    } catch (error) {
      throw error instanceof ConnectionError ? connectionFailure(error) : error;
    }
  }

  destroy(): void {
    for (const transport of this.#transports.values()) transport.close();
    this.#transports.clear();
  }

  #transport({ protocol, hostname, port: asked }: HttpRequest): SocketTransport {
    const tls = protocol === "https:";
    const port = asked ?? (tls ? 443 : 80);
    const origin = `${protocol}//${hostname}:${port}`;
    const known = this.#transports.get(origin);
    if (known) return known;
    const { maxIdleMs, ...options } = this.#options;
    const bare = hostname.replace(/^\[|\]$/g, "");
    const made = new SocketTransport({ ...options, hostname: bare, port, tls }, { maxIdleMs });
    this.#transports.set(origin, made);
    return made;
  }
}

function pathOf({ path, query = {} }: HttpRequest): string {
  const pairs = Object.entries(query).map(([name, value]) => [name, String(value ?? "")] as const);
  return pairs.length === 0 ? path : `${path}?${encodeQuery(Object.fromEntries(pairs))}`;
}

/** Without the length, which the transport says itself. */
function headersOf({ headers }: HttpRequest): Record<string, string> {
  const named = Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]);
  return Object.fromEntries(named.filter(([name]) => name !== "content-length"));
}

function bytesOf(body: unknown): Bytes {
  if (body instanceof Uint8Array) return body as Bytes;
  if (typeof body === "string") return new TextEncoder().encode(body);
  throw new TypeError("a body that is neither bytes nor text");
}

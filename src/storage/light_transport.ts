/**
 * Carries requests: over connections of its own, or by `fetch` where a proxy lies between.
 *
 * @module
 */
import type { Bytes } from "../domain/bytes.ts";
import { LightConnection, type LightTarget } from "./light_connection.ts";
import { ConnectionError } from "./light_response.ts";

/** One request, signed. */
export interface LightRequest {
  readonly method: string;
  /** Encoded, with the query. */
  readonly path: string;
  /** Lower-case names, `host` among them. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Bytes | undefined;
}

/** An answer whose body must be read to its end or given up. */
export interface LightAnswer {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: ReadonlyMap<string, string>;
  /** The next bytes of the body; undefined at its end. @throws {ConnectionError} */
  read(): Promise<Bytes | undefined>;
  /** Ends what is not read. Never throws. */
  discard(): void;
}

/** Sends requests. */
export interface LightTransport {
  /**
   * @param signal ends the exchange, the reading of its body included.
   * @throws {ConnectionError}
   */
  exchange(request: LightRequest, signal: AbortSignal): Promise<LightAnswer>;
  /** Opens a connection ahead of the first request. Never throws. */
  warm(signal: AbortSignal): Promise<void>;
  close(): void;
}

/** Servers close what is idle after 5 s at the earliest, Node's own; most wait for longer. */
const MAX_IDLE_MS = 4_000;

/** Connections of our own, kept while they last. */
export class SocketTransport implements LightTransport {
  readonly #target: LightTarget;
  readonly #maxIdleMs: number;
  readonly #idle: LightConnection[] = [];
  /** One that is being opened ahead of the first request; undefined when it failed. */
  #warming: Promise<LightConnection | undefined> | undefined;
  #closed = false;

  /**
   * @param options.maxIdleMs milliseconds that a connection may have been idle when it is used
   * again: the server may just be closing an old one. @default {4000}
   */
  constructor(
    target: LightTarget,
    { maxIdleMs = MAX_IDLE_MS }: { readonly maxIdleMs?: number | undefined } = {},
  ) {
    this.#target = target;
    this.#maxIdleMs = maxIdleMs;
  }

  async exchange(request: LightRequest, signal: AbortSignal): Promise<LightAnswer> {
    const kept = this.#takeIdle() ?? await this.#takeWarming();
    if (!kept) {
      return await this.#on(await LightConnection.open(this.#target, signal), request, signal);
    }
    try {
      return await this.#on(kept, request, signal);
    } catch (error) {
      signal.throwIfAborted();
      // The peer may have closed a kept connection just now; a body may have been seen, though.
      if (request.body || !(error instanceof ConnectionError) || error.answered) throw error;
      return await this.#on(await LightConnection.open(this.#target, signal), request, signal);
    }
  }

  async warm(signal: AbortSignal): Promise<void> {
    // A failure is met again by the request itself, which tells of it.
    const warming = LightConnection.open(this.#target, signal).catch(() => undefined);
    this.#warming = warming;
    const connection = await warming;
    if (this.#warming !== warming) return; // a request has it
    this.#warming = undefined;
    if (connection) this.#keep(connection);
  }

  /** Two connections at once would cost two handshakes. */
  async #takeWarming(): Promise<LightConnection | undefined> {
    const warming = this.#warming;
    this.#warming = undefined;
    return await warming;
  }

  close(): void {
    this.#closed = true;
    for (const connection of this.#idle.splice(0)) connection.close();
  }

  #takeIdle(): LightConnection | undefined {
    for (let last = this.#idle.pop(); last; last = this.#idle.pop()) {
      if (last.restedMs <= this.#maxIdleMs) return last;
      last.close();
    }
    return undefined;
  }

  async #on(
    connection: LightConnection,
    request: LightRequest,
    signal: AbortSignal,
  ): Promise<LightAnswer> {
    const stop = () => connection.close();
    signal.addEventListener("abort", stop, { once: true });
    const finish = () => {
      signal.removeEventListener("abort", stop);
      if (connection.reusable) this.#keep(connection);
      else connection.close();
    };
    const { method, body } = request;
    try {
      const { status, headers } = await connection.exchange({
        method,
        head: headOf(request),
        body,
      });
      let ended = false;
      const end = () => {
        if (!ended) finish();
        ended = true;
      };
      const read = async () => {
        signal.throwIfAborted();
        const part = ended ? undefined : await connection.body();
        if (part === undefined) end();
        return part;
      };
      return { status, headers, read, discard: end };
    } catch (error) {
      finish();
      throw error;
    }
  }

  #keep(connection: LightConnection): void {
    if (this.#closed) connection.close();
    else this.#idle.push(connection);
  }
}

/** `fetch`, which knows the proxy variables. Redirects are handed back, never followed. */
export class FetchTransport implements LightTransport {
  readonly #origin: string;
  readonly #client: Deno.HttpClient;
  readonly #idleMs: number;

  constructor({ hostname, port, tls, caCerts, idleMs }: LightTarget) {
    this.#origin = `${tls ? "https" : "http"}://${hostname}:${port}`;
    this.#client = Deno.createHttpClient({ caCerts: [...caCerts] });
    this.#idleMs = idleMs;
  }

  async exchange(request: LightRequest, signal: AbortSignal): Promise<LightAnswer> {
    const { method, path, headers: { host: _, ...headers }, body } = request;
    try {
      const answer = await fetch(`${this.#origin}${path}`, {
        ...{ method, headers, body: body ?? null, redirect: "manual" },
        ...{ signal: AbortSignal.any([signal, AbortSignal.timeout(this.#idleMs * 3)]) },
        client: this.#client,
      });
      return fetched(answer, signal);
    } catch (error) {
      signal.throwIfAborted();
      throw new ConnectionError(error instanceof Error ? error.message : String(error), {
        cause: error,
      });
    }
  }

  async warm(): Promise<void> {}

  close(): void {
    this.#client.close();
  }
}

function fetched(answer: Response, signal: AbortSignal): LightAnswer {
  const reader = answer.body?.getReader();
  const expected = Number(answer.headers.get("content-length") ?? NaN);
  let bytes = 0;
  return {
    status: answer.status,
    headers: new Map(answer.headers),
    read: async () => {
      const part = await reader?.read().catch((error: unknown) => {
        signal.throwIfAborted();
        throw new ConnectionError("the answer broke off", { answered: true, cause: error });
      });
      bytes += part?.value?.length ?? 0;
      if (part?.value) return part.value;
      if (!reader || Number.isNaN(expected) || bytes === expected) return undefined;
      throw new ConnectionError("the answer was cut short", { answered: true });
    },
    discard: () => void reader?.cancel().catch(() => {}),
  };
}

function headOf({ method, path, headers, body }: LightRequest): string {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
  const length = body || method === "PUT" ? [`content-length: ${body?.length ?? 0}`] : [];
  return [`${method} ${path} HTTP/1.1`, ...lines, ...length, "", ""].join("\r\n");
}

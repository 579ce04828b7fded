/**
 * Carries requests over connections of our own; `light_fetch.ts` does it where a proxy lies between.
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
      // The peer may have closed it just now, and those that have waited for longer before.
      if (error instanceof ConnectionError && !error.answered) this.#dropIdle();
      // A body may have been seen, though.
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
    this.#dropIdle();
  }

  #dropIdle(): void {
    for (const connection of this.#idle.splice(0)) connection.close();
  }

  /** The one that was used last; those that rested for too long are in front of it. */
  #takeIdle(): LightConnection | undefined {
    const isFresh = ({ restedMs }: LightConnection) => restedMs <= this.#maxIdleMs;
    const first = this.#idle.findIndex(isFresh);
    const old = this.#idle.splice(0, first === -1 ? Infinity : first);
    for (const connection of old) connection.close();
    return this.#idle.pop();
  }

  async #on(
    connection: LightConnection,
    request: LightRequest,
    signal: AbortSignal,
  ): Promise<LightAnswer> {
    const stop = () => connection.close();
    if (signal.aborted) stop(); // it would not be told any more
    signal.throwIfAborted();
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

function headOf({ method, path, headers, body }: LightRequest): string {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
  // RFC 9110, 8.6: these have a length even without a body, and some front ends insist.
  const sized = body || method === "PUT" || method === "POST";
  const length = sized ? [`content-length: ${body?.length ?? 0}`] : [];
  return [`${method} ${path} HTTP/1.1`, ...lines, ...length, "", ""].join("\r\n");
}

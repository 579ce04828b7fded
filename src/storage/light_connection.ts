import { type Bytes, MiB } from "../domain/bytes.ts";
import { systemClock } from "../domain/clock.ts";
import { ConnectionError, type ResponseHead, ResponseReader } from "./light_response.ts";

/** Progress of a large body is noticed in steps of this size. */
const WRITE_BYTES = MiB;
/** Below this, head and body are copied together: one packet more costs more than the copy. */
const SMALL_BODY_BYTES = 64 * 1024;

/** Where to connect to and how long to wait for it. */
export interface LightTarget {
  readonly hostname: string;
  readonly port: number;
  readonly tls: boolean;
  /** PEM; those of the system count besides. */
  readonly caCerts: readonly string[];
  /** Milliseconds until a connection, its TLS handshake included, is given up. */
  readonly connectMs: number;
  /** Milliseconds without a byte in either direction until an exchange is given up. */
  readonly idleMs: number;
}

/**
 * One HTTP/1.1 connection. Nagle's algorithm is off, which neither `fetch` nor `Deno.connectTls`
 * offers: with it every small write waits 40 ms for the peer's delayed acknowledgement.
 */
export class LightConnection {
  readonly #conn: Deno.Conn;
  readonly #idleMs: number;
  readonly #reader: ResponseReader;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #touchedAt = systemClock.monotonic();
  #closed: string | undefined;
  #reusable = true;

  private constructor(conn: Deno.Conn, idleMs: number) {
    this.#conn = conn;
    this.#idleMs = idleMs;
    this.#reader = new ResponseReader((into) => this.#read(into));
  }

  /** @throws {ConnectionError} when nobody answers in time or the certificate is not trusted. */
  static async open(target: LightTarget, signal?: AbortSignal): Promise<LightConnection> {
    const patience = AbortSignal.timeout(target.connectMs);
    const either = signal ? AbortSignal.any([signal, patience]) : patience;
    try {
      return new LightConnection(await connect(target, either), target.idleMs);
    } catch (error) {
      signal?.throwIfAborted();
      const { hostname, port, connectMs } = target;
      const reason = patience.aborted ? `no answer within ${connectMs} ms` : reasonOf(error);
      throw new ConnectionError(`cannot connect to ${hostname}:${port}: ${reason}`, {
        ...{ unsent: true, cause: error },
      });
    }
  }

  /** Whether the last exchange left the connection fit for another. */
  get reusable(): boolean {
    return this.#closed === undefined && this.#reusable && this.#reader.drained;
  }

  /** Milliseconds since the last byte. */
  get restedMs(): number {
    return systemClock.monotonic() - this.#touchedAt;
  }

  /**
   * Sends a request and reads the head of the answer, which may come before the body is sent: a
   * store that refuses says so and closes. Aborting `signal` closes the connection.
   *
   * @throws {ConnectionError}
   */
  async exchange(
    { method, head, body }: {
      readonly method: string;
      readonly head: string;
      readonly body?: Bytes | undefined;
    },
  ): Promise<ResponseHead> {
    let sent = false;
    this.#touch();
    this.#send(head, body).then(() => sent = true, () => {}); // reading tells why it failed
    try {
      const answer = await this.#reader.head(method);
      this.#reusable = answer.keepAlive && sent;
      this.#rest();
      return answer;
    } catch (error) {
      this.close();
      throw this.#failure(error);
    }
  }

  /** The next bytes of the answer's body; undefined at its end. @throws {ConnectionError} */
  async body(): Promise<Bytes | undefined> {
    try {
      this.#touch();
      const part = await this.#reader.body();
      this.#rest(); // the reader may take its time
      return part;
    } catch (error) {
      this.close();
      throw this.#failure(error);
    }
  }

  close(reason = "it was given up"): void {
    this.#rest();
    if (this.#closed !== undefined) return;
    this.#closed = reason;
    this.#conn.close();
  }

  async #send(head: string, body: Bytes | undefined): Promise<void> {
    const first = new TextEncoder().encode(head);
    if (!body || body.length === 0) return await this.#write(first);
    if (body.length <= SMALL_BODY_BYTES) {
      const both = new Uint8Array(first.length + body.length);
      both.set(first);
      both.set(body, first.length);
      return await this.#write(both);
    }
    await this.#write(first);
    await this.#write(body);
  }

  async #write(bytes: Bytes): Promise<void> {
    for (let at = 0; at < bytes.length;) {
      at += await this.#conn.write(bytes.subarray(at, at + WRITE_BYTES));
      this.#touch();
    }
  }

  async #read(into: Bytes): Promise<number | null> {
    const length = await this.#conn.read(into);
    this.#touch();
    return length;
  }

  /** Takes note of a byte. A timer for each read would cost as much as the read. */
  #touch(): void {
    this.#touchedAt = systemClock.monotonic();
    if (this.#closed === undefined) this.#timer ??= setTimeout(() => this.#watch(), this.#idleMs);
  }

  #watch(): void {
    const left = this.#idleMs - this.restedMs;
    if (left <= 0) return this.close(`no byte for ${this.#idleMs} ms`);
    this.#timer = setTimeout(() => this.#watch(), left);
  }

  /** Nothing is waited for. */
  #rest(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #failure(error: unknown): ConnectionError {
    if (error instanceof ConnectionError) return error;
    const idle = this.#closed?.startsWith("no byte") ? this.#closed : undefined;
    return new ConnectionError(idle ?? reasonOf(error), {
      answered: this.#reader.answered,
      cause: error,
    });
  }
}

async function connect(target: LightTarget, signal: AbortSignal): Promise<Deno.Conn> {
  const { hostname, port, tls, caCerts } = target;
  signal.throwIfAborted();
  // RFC 6761, 6.3: such names are this machine; not every resolver knows it.
  const address = hostname.endsWith(".localhost") ? "127.0.0.1" : hostname;
  const tcp = await Deno.connect({ hostname: address, port, signal });
  try {
    tcp.setNoDelay(true);
    if (!tls) return tcp;
    const secure = await Deno.startTls(tcp, { hostname, caCerts: [...caCerts] });
    await shaken(secure, signal);
    return secure;
  } catch (error) {
    try {
      tcp.close();
    } catch {
      // startTls has taken it over and closed it.
    }
    throw error;
  }
}

async function shaken(conn: Deno.TlsConn, signal: AbortSignal): Promise<void> {
  const stop = () => conn.close();
  signal.addEventListener("abort", stop, { once: true });
  if (signal.aborted) stop(); // while TLS was being started
  try {
    await conn.handshake();
    signal.throwIfAborted();
  } catch (error) {
    if (!signal.aborted) conn.close();
    throw error;
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

function reasonOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.replace(/ \(os error \d+\)$/, "") || "the connection was lost";
}

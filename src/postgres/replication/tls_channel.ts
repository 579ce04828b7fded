import type { Buffer } from "node:buffer";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { type Bytes, MiB } from "../../domain/bytes.ts";
import { PostgresError } from "../../domain/errors.ts";
import type { ConnectionOptions } from "../postgres.ts";
import { serverAddress } from "../server_errors.ts";
import { tlsOptions } from "../tls_options.ts";
import type { Channel } from "./channel.ts";
import { sslRequest } from "./wire.ts";

/** Milliseconds until the operating system asks a silent peer whether it is still there. */
const KEEPALIVE_MS = 60_000;
/** Received and not yet read, above which no more is taken from the socket. */
const MOST_QUEUED = 4 * MiB;

/** The server speaks no TLS, or its certificate is not trusted. */
export class TlsRefusedError extends PostgresError {}

/**
 * Opens a connection, asks for TLS (PostgreSQL docs, "SSL Session Encryption"), and verifies the
 * certificate as the sslmode says. By `node:tls`, since `Deno.startTls` trusts further authorities
 * beside the one in `sslrootcert`, and knows neither client certificates nor `require`.
 *
 * @throws {TlsRefusedError} when there is no TLS or no trust.
 */
export async function openTlsChannel(
  connection: ConnectionOptions,
  { signal }: { readonly signal: AbortSignal },
): Promise<Channel> {
  const options = await tlsOptions(connection);
  const socket = connect({ host: connection.host, port: connection.port });
  const abort = () => socket.destroy();
  signal.addEventListener("abort", abort);
  try {
    await once(socket, "connect", { signal });
    socket.setNoDelay(true);
    socket.setKeepAlive(true, KEEPALIVE_MS);
    await negotiate(socket, connection, signal);
    const secure = connectTls({ ...options, socket });
    await handshake(secure, connection, signal);
    return new TlsChannel(secure);
  } catch (error) {
    socket.destroy();
    throw signal.aborted ? signal.reason : error;
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

async function negotiate(
  socket: Socket,
  connection: ConnectionOptions,
  signal: AbortSignal,
): Promise<void> {
  const address = serverAddress(connection);
  const answered = once(socket, "data", { signal });
  const ended = once(socket, "close", { signal }).then(() => [] as unknown[]);
  ended.catch(() => {}); // the abort of the signal is reported by the other
  socket.write(sslRequest());
  const [answer] = await Promise.race([answered, ended]) as [Buffer | undefined];
  if (answer?.length === 1 && answer[0] === 0x53) return;
  if (answer?.length === 1 && answer[0] === 0x4e) {
    throw new TlsRefusedError(
      `PostgreSQL at ${address} does not offer TLS, which sslmode=${connection.sslmode} asks for`,
      "set ssl = on on the server, or another sslmode",
    );
  }
  // More than one byte may be a man in the middle who slips in clear text: CVE-2021-23222.
  throw new PostgresError(
    `${address} did not answer the request for TLS as PostgreSQL does`,
    "is this the port of a PostgreSQL server?",
  );
}

async function handshake(
  secure: TLSSocket,
  connection: ConnectionOptions,
  signal: AbortSignal,
): Promise<void> {
  try {
    await once(secure, "secureConnect", { signal });
  } catch (cause) {
    secure.on("error", () => {}); // what follows the first failure is of no interest
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new TlsRefusedError(
      `no trusted TLS connection to PostgreSQL at ${serverAddress(connection)}: ${why}`,
      /altname|Hostname/i.test(why)
        ? "connect by a name that the server's certificate has, or use sslmode=verify-ca"
        : "does sslrootcert name the authority that signed the server's certificate?",
      { cause },
    );
  }
}

/** Received buffers wait in a queue until they are read. */
class TlsChannel implements Channel {
  readonly encrypted = true;
  readonly #socket: TLSSocket;
  #queue: Buffer[] = [];
  #queued = 0;
  #ended = false;
  #error: Error | undefined;
  #wake: (() => void) | undefined;

  constructor(socket: TLSSocket) {
    this.#socket = socket;
    socket.on("data", (bytes: Buffer) => this.#receive(bytes));
    socket.on("error", (error) => this.#end(error));
    socket.on("close", () => this.#end());
    socket.on("end", () => this.#end());
  }

  async read(buffer: Bytes): Promise<number | null> {
    while (this.#queued === 0) {
      if (this.#error) throw this.#error;
      if (this.#ended) return null;
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
    let filled = 0;
    while (this.#queue.length > 0 && filled < buffer.length) {
      filled += this.#take(buffer.subarray(filled));
    }
    this.#queued -= filled;
    if (this.#queued < MOST_QUEUED && this.#socket.isPaused()) this.#socket.resume();
    return filled;
  }

  async write(bytes: Bytes): Promise<void> {
    await new Promise<void>((resolve, reject) =>
      this.#socket.write(bytes, (error) => error ? reject(error) : resolve())
    );
  }

  close(): void {
    this.#socket.destroy();
    this.#end();
  }

  /** Moves bytes of the first buffer in the queue, and the buffer out of it once it is empty. */
  #take(into: Bytes): number {
    const first = this.#queue[0]!;
    const part = first.length <= into.length ? first : first.subarray(0, into.length);
    into.set(part);
    if (part === first) this.#queue.shift();
    else this.#queue[0] = first.subarray(part.length);
    return part.length;
  }

  #receive(bytes: Buffer): void {
    this.#queue.push(bytes);
    this.#queued += bytes.length;
    if (this.#queued >= MOST_QUEUED) this.#socket.pause();
    this.#wake?.();
  }

  #end(error?: Error): void {
    this.#ended = true;
    this.#error ??= error;
    this.#wake?.();
  }
}

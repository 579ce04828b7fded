import type { Buffer } from "node:buffer";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import {
  connect as connectTls,
  type ConnectionOptions as TlsOptions,
  type TLSSocket,
} from "node:tls";
import { PostgresError } from "../domain/errors.ts";
import type { ConnectionOptions } from "./postgres.ts";
import { isSocketFolder, serverAddress, socketPath } from "./server_errors.ts";
import { tlsOptions } from "./tls_options.ts";

/** Milliseconds until the operating system asks a silent peer whether it is still there. */
const KEEPALIVE_MS = 60_000;
/** An SSLRequest: its length, and its code in place of a protocol version. */
const SSL_REQUEST = new Uint8Array([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]);

/** The server speaks no TLS, or its certificate is not trusted. */
export class TlsRefusedError extends PostgresError {}

/** Opens a connection without TLS, over TCP or a Unix socket. */
export async function openPlainSocket(
  { host, port }: ConnectionOptions,
  { signal }: { readonly signal: AbortSignal },
): Promise<Socket> {
  const socket = isSocketFolder(host) ? connect(socketPath({ host, port })) : connect(port, host);
  return await guarded(socket, signal, async () => {
    await once(socket, "connect", { signal });
    if (isSocketFolder(host)) return socket;
    socket.setNoDelay(true);
    socket.setKeepAlive(true, KEEPALIVE_MS);
    return socket;
  });
}

/**
 * Opens a connection, asks for TLS (PostgreSQL docs, "SSL Session Encryption"), and verifies the
 * certificate as the sslmode says. By `node:tls`, since `Deno.startTls` trusts further authorities
 * beside the one in `sslrootcert`, and knows neither client certificates nor `require`.
 *
 * @throws {TlsRefusedError} when there is no TLS or no trust.
 */
export async function openTlsSocket(
  connection: ConnectionOptions,
  { signal }: { readonly signal: AbortSignal },
): Promise<TLSSocket> {
  const options = await tlsOptions(connection);
  const socket = await openPlainSocket(connection, { signal });
  return await guarded(socket, signal, () => startTls(socket, connection, options));
}

/** Does `work`; when it fails, or the signal comes meanwhile, the socket is destroyed. */
async function guarded<T>(
  socket: Socket,
  signal: AbortSignal,
  work: () => Promise<T>,
): Promise<T> {
  const abort = () => socket.destroy();
  signal.addEventListener("abort", abort);
  try {
    return await work();
  } catch (error) {
    socket.on("error", () => {}); // what follows the first failure is of no interest
    socket.destroy();
    throw signal.aborted ? signal.reason : error;
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

/** In one turn of the event loop: later, Deno 2.6 has begun to read the socket for others. */
function startTls(
  socket: Socket,
  connection: ConnectionOptions,
  options: TlsOptions,
): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    socket.once("error", reject);
    socket.once("close", () => reject(new Error("ECONNRESET: closed before TLS was there")));
    socket.once("data", (answer: Buffer) => {
      const refused = refusedBy(answer, connection);
      if (refused) return reject(refused);
      const secure = connectTls({ ...options, socket });
      secure.once("secureConnect", () => resolve(secure));
      secure.on("error", (cause) => reject(untrusted(cause, connection)));
    });
    socket.write(SSL_REQUEST);
  });
}

/** What is wrong with the answer to an SSLRequest; nothing is when it is a lone `S`. */
function refusedBy(answer: Buffer, connection: ConnectionOptions): PostgresError | undefined {
  const address = serverAddress(connection);
  if (answer.length === 1 && answer[0] === 0x53) return undefined;
  if (answer.length === 1 && answer[0] === 0x4e) {
    return new TlsRefusedError(
      `PostgreSQL at ${address} does not offer TLS, which sslmode=${connection.sslmode} asks for`,
      "set ssl = on on the server, or another sslmode",
    );
  }
  // More than one byte may be a man in the middle who slips in clear text: CVE-2021-23222.
  return new PostgresError(
    `${address} did not answer the request for TLS as PostgreSQL does`,
    "is this the port of a PostgreSQL server?",
  );
}

function untrusted(cause: Error, connection: ConnectionOptions): TlsRefusedError {
  return new TlsRefusedError(
    `no trusted TLS connection to PostgreSQL at ${serverAddress(connection)}: ${cause.message}`,
    /altname|Hostname/i.test(cause.message)
      ? "connect by a name that the server's certificate has, or use sslmode=verify-ca"
      : "does sslrootcert name the authority that signed the server's certificate?",
    { cause },
  );
}

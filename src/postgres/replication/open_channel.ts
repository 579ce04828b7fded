import type { Bytes } from "../../domain/bytes.ts";
import type { ConnectionOptions } from "../postgres.ts";
import { isSocketFolder, socketPath } from "../server_errors.ts";
import { openTlsSocket } from "../tls_socket.ts";
import type { Transport } from "../transports.ts";
import type { Channel } from "./channel.ts";
import { TlsChannel } from "./tls_channel.ts";

/**
 * Opens a connection.
 *
 * @throws {TlsRefusedError} when the server speaks no TLS, or not with us.
 * @throws errors of the network, as they come.
 */
export async function openChannel(
  connection: ConnectionOptions,
  transport: Transport,
  { signal }: { readonly signal: AbortSignal },
): Promise<Channel> {
  if (transport === "tls") {
    return new TlsChannel(await openTlsSocket(connection, { signal }));
  }
  const socket = await connect(connection, signal);
  if (!signal.aborted) return new PlainChannel(socket);
  socket.close();
  throw signal.reason;
}

async function connect(
  { host, port }: ConnectionOptions,
  signal: AbortSignal,
): Promise<Deno.Conn> {
  if (isSocketFolder(host)) {
    return await Deno.connect({ transport: "unix", path: socketPath({ host, port }) });
  }
  const socket = await Deno.connect({ hostname: host, port, signal });
  socket.setNoDelay(true);
  socket.setKeepAlive(true);
  return socket;
}

class PlainChannel implements Channel {
  readonly encrypted = false;
  readonly #socket: Deno.Conn;
  #closed = false;

  constructor(socket: Deno.Conn) {
    this.#socket = socket;
  }

  read(buffer: Bytes): Promise<number | null> {
    return this.#socket.read(buffer);
  }

  async write(bytes: Bytes): Promise<void> {
    let done = 0;
    while (done < bytes.length) done += await this.#socket.write(bytes.subarray(done));
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#socket.close();
  }
}

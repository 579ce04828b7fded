import type { ConnectionOptions } from "./postgres.ts";
import { isSocketFolder, ServerRefusal, unreachable } from "./server_errors.ts";
import { TlsRefusedError } from "./tls_socket.ts";

/** Whether a connection is encrypted. */
export type Transport = "plain" | "tls";

/** Seconds until a connection attempt is given up, unless the options say otherwise. */
export const CONNECT_TIMEOUT_SECONDS = 10;
/** SQLSTATE of a role that no line of pg_hba.conf lets in: another line may, by other transport. */
const NOT_AUTHORIZED = "28000";

/** The transports that libpq's sslmode allows, in the order in which they are tried. */
export function transports({ host, sslmode }: ConnectionOptions): readonly Transport[] {
  if (isSocketFolder(host) || sslmode === "disable") return ["plain"];
  if (sslmode === "allow") return ["plain", "tls"];
  return sslmode === "prefer" ? ["tls", "plain"] : ["tls"];
}

/**
 * Opens a connection by the first transport that the sslmode allows and that works. The second is
 * tried when there is no TLS or pg_hba.conf refuses the first; unlike libpq not after a wrong
 * password, which would come to the same and count as two attempts.
 */
export async function tryTransports<T>(
  connection: ConnectionOptions,
  open: (transport: Transport) => Promise<T>,
): Promise<T> {
  const [first, second] = transports(connection) as [Transport, Transport?];
  try {
    return await open(first);
  } catch (error) {
    if (!second || !mayTryOther(error)) throw error;
    return await open(second).catch((other) => {
      throw error instanceof TlsRefusedError ? other : error;
    });
  }
}

/**
 * Does `work` within the time that connecting may take.
 *
 * @throws {PostgresError} for failures of the network, too.
 */
export async function withinConnectTimeout<T>(
  connection: ConnectionOptions,
  work: (deadline: AbortSignal) => Promise<T>,
  { signal }: { readonly signal?: AbortSignal | undefined } = {},
): Promise<T> {
  signal?.throwIfAborted();
  const seconds = connection.connectTimeout ?? CONNECT_TIMEOUT_SECONDS;
  const controller = new AbortController();
  const late = () => controller.abort(new Error(`ETIMEDOUT: no connection in ${seconds} s`));
  const forward = () => controller.abort(signal?.reason);
  const timer = setTimeout(late, seconds * 1000);
  signal?.addEventListener("abort", forward);
  try {
    return await work(controller.signal);
  } catch (error) {
    signal?.throwIfAborted();
    throw unreachable(controller.signal.aborted ? controller.signal.reason : error, connection);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", forward);
  }
}

function mayTryOther(error: unknown): boolean {
  if (error instanceof TlsRefusedError) return true;
  return error instanceof ServerRefusal && error.sqlstate === NOT_AUTHORIZED;
}

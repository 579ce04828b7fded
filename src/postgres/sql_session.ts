import type { Socket } from "node:net";
import { PostgresError } from "../domain/errors.ts";
import type { ConnectionOptions } from "./postgres.ts";
import { serverAddress } from "./server_errors.ts";
import { client, type Row, sqlFailure, type Value } from "./sql_server.ts";
import { openPlainSocket, openTlsSocket } from "./tls_socket.ts";
import { type Transport, tryTransports, withinConnectTimeout } from "./transports.ts";

/**
 * One connection that is never replaced: what the server keeps for it, such as a backup under way,
 * a snapshot or a temporary slot, ends with it.
 */
export class SqlSession implements AsyncDisposable {
  readonly #connection: ConnectionOptions;
  readonly #lost = new AbortController();
  #sql: ReturnType<typeof client> | undefined;
  #state: "opening" | "open" | "closing" = "opening";

  private constructor(connection: ConnectionOptions) {
    this.#connection = connection;
  }

  /**
   * Connects, with the server's time limits for idle sessions and long statements switched off.
   *
   * @throws {PostgresError}
   */
  static async open(
    connection: ConnectionOptions,
    { signal }: { readonly signal?: AbortSignal } = {},
  ): Promise<SqlSession> {
    signal?.throwIfAborted();
    const session = new SqlSession(connection);
    await tryTransports(connection, (transport) => session.#open(transport));
    session.#state = "open";
    await session.query(NO_LIMITS);
    return session;
  }

  /** Aborts, with a {@link PostgresError}, when the connection ends before {@link close}. */
  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  /** Without parameters there may be several statements; the rows are the last one's. */
  async query(text: string, parameters: readonly Value[] = []): Promise<readonly Row[]> {
    this.lost.throwIfAborted();
    return await this.#run(text, parameters);
  }

  /** Ends the connection, and with it whatever it holds. */
  async close(): Promise<void> {
    this.#state = "closing";
    const sql = this.#sql;
    this.#sql = undefined;
    await sql?.end({ timeout: 0 });
  }

  /** The same as {@link SqlSession.close}. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #open(transport: Transport): Promise<void> {
    let sockets = 0;
    const socket = async (): Promise<Socket> => {
      // The driver would connect again by itself, to a session that knows nothing of ours.
      if (sockets++ > 0) throw this.#lostError();
      const open = transport === "tls" ? openTlsSocket : openPlainSocket;
      const connection = this.#connection;
      return await withinConnectTimeout<Socket>(
        connection,
        (deadline) => open(connection, { signal: deadline }),
      );
    };
    // No time limit of the driver's either: 0 means never.
    const changes = { max: 1, idle_timeout: 0, max_lifetime: 0, onclose: this.#closed };
    const sql = client(this.#connection, socket, changes);
    this.#sql = sql;
    try {
      await this.#run("select 1", []);
    } catch (error) {
      await sql.end({ timeout: 0 });
      throw error;
    }
  }

  readonly #closed = (): void => {
    if (this.#state === "open") this.#lost.abort(this.#lostError());
  };

  async #run(text: string, parameters: readonly Value[]): Promise<readonly Row[]> {
    if (!this.#sql) throw new PostgresError("the session is closed");
    try {
      const values = parameters.map((value) => value === null ? null : String(value));
      const result: readonly unknown[] = await this.#sql.unsafe(text, values);
      const last = Array.isArray(result.at(-1)) ? result.at(-1) as readonly Row[] : result;
      return [...last as readonly Row[]];
    } catch (error) {
      throw sqlFailure(error, this.#connection);
    }
  }

  #lostError(): PostgresError {
    return new PostgresError(
      `the session with PostgreSQL at ${serverAddress(this.#connection)} was lost`,
      "see the server's log; a pooler or firewall in between may end sessions",
    );
  }
}

/** idle_session_timeout is there since PostgreSQL 14; setting what is unknown would fail. */
const NO_LIMITS = `
  select pg_catalog.set_config(name, '0', false) from pg_catalog.pg_settings
   where name in ('statement_timeout', 'lock_timeout', 'idle_session_timeout',
                  'idle_in_transaction_session_timeout', 'transaction_timeout')`;

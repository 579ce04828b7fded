import type { Socket } from "node:net";
import postgres from "postgres";
import type { PostgresError } from "../domain/errors.ts";
import type {
  ConnectionOptions,
  DatabaseInfo,
  PostgresServer,
  ServerIdentity,
} from "./postgres.ts";
import { StreamSource } from "./replication/stream_base_backup.ts";
import {
  refusal,
  serverAddress,
  type ServerMessage,
  ServerRefusal,
  unreachable,
} from "./server_errors.ts";
import { openPlainSocket, openTlsSocket } from "./tls_socket.ts";
import {
  CONNECT_TIMEOUT_SECONDS,
  type Transport,
  tryTransports,
  withinConnectTimeout,
} from "./transports.ts";

/** What a parameter of a statement may be. */
export type Value = string | number | boolean | null;
type Sql = ReturnType<typeof client>;
/** A row of an answer, by column name. */
export type Row = Readonly<Record<string, unknown>>;

/** Connections at most; each is closed after so many idle seconds. */
const MOST_CONNECTIONS = 2;
const IDLE_SECONDS = 30;
/** Sockets in a row that brought no answer; the driver itself would go on opening them for ever. */
const MOST_VAIN_SOCKETS = 3;
/** SQLSTATE of a missing right. */
const INSUFFICIENT_PRIVILEGE = "42501";

/**
 * Types whose parameters the driver would rewrite: boolean, bytea, JSON, dates and times. Values
 * come as text that PostgreSQL reads itself.
 */
const AS_TEXT = Object.fromEntries(
  [16, 17, 114, 3802, 1082, 1083, 1114, 1184].map((oid) => [
    `oid${oid}`,
    { to: oid, from: [], serialize: String, parse: (text: string) => text },
  ]),
);

const IDENTITY = `
  select current_setting('server_version_num')::int as version,
         current_setting('server_version') as version_text,
         current_setting('data_checksums') = 'on' as checksums,
         pg_catalog.pg_is_in_recovery() as in_recovery,
         (select setting::bigint::text from pg_catalog.pg_settings where name = 'wal_segment_size')
           as segment_bytes,
         (select setting from pg_catalog.pg_settings where name = 'data_directory') as directory`;

/** Between a promotion and the next checkpoint only the second of them knows. */
const TIMELINE = `
  select greatest(c.timeline_id, r.min_recovery_end_timeline) as timeline
    from pg_catalog.pg_control_checkpoint() c, pg_catalog.pg_control_recovery() r`;
const SYSTEM_IDENTIFIER =
  `select system_identifier::text as identifier from pg_catalog.pg_control_system()`;

const DATABASES = `
  select datname as name,
         case when pg_catalog.has_database_privilege(oid, 'CONNECT')
              then pg_catalog.pg_database_size(oid)::text end as bytes
    from pg_catalog.pg_database
   where datallowconn and not datistemplate and datconnlimit <> -2
   order by datname`;

/** A server that answers SQL, by npm:postgres. It connects with the first question. */
export class SqlServer implements PostgresServer {
  readonly address: string;
  readonly #connection: ConnectionOptions;
  #opening: Promise<Sql> | undefined;
  #vainSockets = 0;

  /** Contacts nobody yet. */
  constructor(connection: ConnectionOptions) {
    this.#connection = connection;
    this.address = serverAddress(connection);
  }

  /** What the server says of itself. */
  async identity(): Promise<ServerIdentity> {
    const [row = {}] = await this.query(IDENTITY);
    return {
      systemIdentifier: await this.#systemIdentifier(),
      version: Number(row.version),
      versionText: String(row.version_text),
      timeline: await this.#timeline(),
      walSegmentBytes: Number(row.segment_bytes),
      dataChecksums: row.checksums === true,
      inRecovery: row.in_recovery === true,
      dataDirectory: typeof row.directory === "string" ? row.directory : undefined,
    };
  }

  async databases(): Promise<readonly DatabaseInfo[]> {
    const rows = await this.query(DATABASES);
    return rows.map(({ name, bytes }) => ({
      name: String(name),
      sizeBytes: bytes === null ? undefined : Number(bytes),
    }));
  }

  /** Values in pg_settings' base units, such as `16777216` for wal_segment_size. */
  async settings(names: readonly string[]): Promise<ReadonlyMap<string, string>> {
    if (names.length === 0) return new Map();
    const places = names.map((_, index) => `$${index + 1}`).join(", ");
    const text = `select name, setting from pg_catalog.pg_settings where name in (${places})`;
    const rows = await this.query(text, names);
    return new Map(rows.map(({ name, setting }) => [String(name), String(setting)]));
  }

  /** Without parameters there may be several statements; the rows are the last one's. */
  async query(text: string, parameters: readonly Value[] = []): Promise<readonly Row[]> {
    const sql = await this.#connected();
    try {
      return await this.#run(sql, text, parameters);
    } catch (error) {
      if (!(error instanceof ServerRefusal)) await this.#startAfresh(sql);
      throw error;
    }
  }

  /** Ends the connections. */
  async close(): Promise<void> {
    const opening = this.#opening;
    this.#opening = undefined;
    const sql = await opening?.catch(() => undefined);
    await sql?.end({ timeout: 5 });
  }

  /** The same as {@link SqlServer.close}. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** After a lost connection the driver may wait for ever for the next one. */
  async #startAfresh(sql: Sql): Promise<void> {
    this.#opening = undefined;
    await sql.end({ timeout: 0 });
  }

  #connected(): Promise<Sql> {
    const open = (transport: Transport) => this.#open(transport);
    this.#opening ??= tryTransports(this.#connection, open).catch((error) => {
      this.#opening = undefined;
      throw error;
    });
    return this.#opening;
  }

  async #open(transport: Transport): Promise<Sql> {
    this.#vainSockets = 0;
    const sql = client(this.#connection, () => this.#socket(transport));
    try {
      await this.#run(sql, "select 1", []);
      return sql;
    } catch (error) {
      await sql.end({ timeout: 1 });
      throw error;
    }
  }

  /** The driver's own way neither trusts one authority alone nor knows libpq's sslmodes. */
  async #socket(transport: Transport): Promise<Socket> {
    this.#vainSockets += 1;
    if (this.#vainSockets > MOST_VAIN_SOCKETS) {
      throw new Error("ECONNRESET: closed before it answered");
    }
    const open = transport === "tls" ? openTlsSocket : openPlainSocket;
    const connection = this.#connection;
    return await withinConnectTimeout<Socket>(connection, (signal) => open(connection, { signal }));
  }

  async #run(sql: Sql, text: string, parameters: readonly Value[]): Promise<readonly Row[]> {
    try {
      const values = parameters.map((value) => value === null ? null : String(value));
      const result: readonly unknown[] = await sql.unsafe(text, values);
      this.#vainSockets = 0;
      const last = Array.isArray(result.at(-1)) ? result.at(-1) as readonly Row[] : result;
      return [...last as readonly Row[]];
    } catch (error) {
      throw this.#failure(error);
    }
  }

  #failure(error: unknown): unknown {
    return sqlFailure(error, this.#connection);
  }

  /** By SQL; by the replication protocol when the role may not ask by SQL. */
  async #systemIdentifier(): Promise<string> {
    try {
      const [row] = await this.query(SYSTEM_IDENTIFIER);
      return String(row?.identifier);
    } catch (error) {
      if (!isPrivilege(error)) throw error;
      return await this.#identifierByReplication();
    }
  }

  async #identifierByReplication(): Promise<string> {
    try {
      return (await new StreamSource(this.#connection).identify()).systemIdentifier;
    } catch {
      const role = this.#connection.user;
      throw new ServerRefusal(
        `role ${role} may not ask PostgreSQL at ${this.address} for its system identifier`,
        INSUFFICIENT_PRIVILEGE,
        `GRANT EXECUTE ON FUNCTION pg_control_system() TO ${role}, or ALTER ROLE ${role} REPLICATION`,
      );
    }
  }

  async #timeline(): Promise<number> {
    try {
      const [row] = await this.query(TIMELINE);
      return Number(row?.timeline);
    } catch (error) {
      if (!isPrivilege(error)) throw error;
      return (await new StreamSource(this.#connection).identify()).timeline;
    }
  }
}

/** The driver, on sockets of ours. `changes` are options of its own. */
export function client(
  connection: ConnectionOptions,
  socket: () => Promise<Socket>,
  changes: {
    readonly max?: number;
    readonly idle_timeout?: number;
    readonly max_lifetime?: number;
    readonly onclose?: () => void;
  } = {},
) {
  const { port, user, password, database, applicationName = "backupctl" } = connection;
  const options = {
    // The socket is ours, and this host only a name: the driver would cut IPv6 addresses in two.
    ...{ host: "server", port, user, database, password: password ?? "" },
    max: MOST_CONNECTIONS,
    idle_timeout: IDLE_SECONDS,
    connect_timeout: connection.connectTimeout ?? CONNECT_TIMEOUT_SECONDS,
    connection: { application_name: applicationName },
    // Statements without names and no question about types: poolers may sit in between.
    prepare: false,
    fetch_types: false,
    types: AS_TEXT,
    onnotice: () => {},
    ssl: false,
    socket,
    ...changes,
  };
  return postgres(options);
}

/** What the driver threw, as an error of ours. */
export function sqlFailure(error: unknown, connection: ConnectionOptions): PostgresError {
  const said = serverMessage(error);
  if (said) return refusal(said, { connection, replication: false });
  return unreachable(error, connection);
}

/** The driver's error as the server said it; undefined when it is another one. */
function serverMessage(error: unknown): ServerMessage | undefined {
  if (!(error instanceof postgres.PostgresError)) return undefined;
  const { severity, code, message, detail, hint } = error;
  return { severity, code, message, ...(detail && { detail }), ...(hint && { hint }) };
}

function isPrivilege(error: unknown): boolean {
  return error instanceof ServerRefusal && error.sqlstate === INSUFFICIENT_PRIVILEGE;
}

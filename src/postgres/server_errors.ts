import { PostgresError } from "../domain/errors.ts";
import type { ConnectionOptions } from "./postgres.ts";

/**
 * What the server says in an ErrorResponse or NoticeResponse. PostgreSQL docs, "Error and Notice
 * Message Fields".
 */
export interface ServerMessage {
  /** `ERROR`, `FATAL`, `WARNING` …, never translated. */
  readonly severity: string;
  /** SQLSTATE. */
  readonly code: string;
  readonly message: string;
  readonly detail?: string;
  readonly hint?: string;
}

/** The server answered with an error. */
export class ServerRefusal extends PostgresError {
  constructor(
    message: string,
    /** Five characters; PostgreSQL docs, "PostgreSQL Error Codes". */
    readonly sqlstate: string,
    hint?: string,
  ) {
    super(message, hint);
  }
}

/** What a failed request was about. */
export interface RequestContext {
  readonly connection: ConnectionOptions;
  /** Whether the connection is one of the replication protocol. */
  readonly replication: boolean;
}

/** `host:port`, `[address]:port`, or the path of the Unix socket. */
export function serverAddress({ host, port }: Pick<ConnectionOptions, "host" | "port">): string {
  if (isSocketFolder(host)) return socketPath({ host, port });
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Whether `host` is the folder of a Unix socket; libpq: it starts with a slash. */
export function isSocketFolder(host: string): boolean {
  return host.startsWith("/");
}

/** The Unix socket of the server on `port` in the folder `host`. */
export function socketPath({ host, port }: Pick<ConnectionOptions, "host" | "port">): string {
  return `${host.replace(/\/+$/, "")}/.s.PGSQL.${port}`;
}

/** The error for an answer of the server, with the remedy for those that people meet. */
export function refusal(said: ServerMessage, context: RequestContext): ServerRefusal {
  const detail = said.detail ? `: ${said.detail}` : "";
  const text = `PostgreSQL at ${serverAddress(context.connection)} answered "${said.message}"`;
  const hint = remedy(said, context) ?? said.hint;
  return new ServerRefusal(`${text}${detail} (SQLSTATE ${said.code})`, said.code, hint);
}

type Remedy = (said: ServerMessage, context: RequestContext) => string | undefined;

const REMEDIES: Readonly<Record<string, Remedy>> = {
  "28P01": (_, { connection }) =>
    `is the password of role ${connection.user} right? set PG_PASSWORD, or a line in ~/.pgpass`,
  "28000": authorization,
  "3D000": (_, { connection }) =>
    `is "${connection.database}" the database's name? set PG_DATABASE`,
  "42501": privilege,
  "53300": ({ message }) =>
    /max_wal_senders|standby connections/.test(message)
      ? "raise max_wal_senders on the server, or wait until another backup or standby is done"
      : "raise max_connections on the server, or close idle connections",
  "55000": ({ message }) =>
    /WAL level/i.test(message) ? "set wal_level = replica on the server and restart it" : undefined,
  "57P03": () => "the server is starting up, shutting down or in recovery; try again in a moment",
  "57P01": () => "the server was stopped or an administrator ended the connection; run it again",
  "57P02": () => "another process of the server crashed; read the server's log, then run it again",
  "08P01": pooler,
  "0A000": pooler,
  "58P01": ({ message }) =>
    /WAL/.test(message) ? "raise wal_keep_size or max_slot_wal_keep_size on the server" : undefined,
  "XX001": () =>
    "pages on the server's disk are damaged: see its log, and take no older backup away",
};

function remedy(said: ServerMessage, context: RequestContext): string | undefined {
  return REMEDIES[said.code]?.(said, context);
}

function authorization({ message }: ServerMessage, { connection, replication }: RequestContext) {
  const role = connection.user;
  if (/does not exist/.test(message)) return `create it: CREATE ROLE ${role} LOGIN REPLICATION`;
  if (/not permitted to log in/.test(message)) return `ALTER ROLE ${role} LOGIN`;
  if (/client certificate/.test(message)) return "set sslcert and sslkey";
  if (!/pg_hba\.conf/.test(message)) return undefined;
  const kind = isSocketFolder(connection.host) ? "local" : "host";
  const from = kind === "local" ? "" : " <this host's address>/32";
  const database = replication ? "replication" : connection.database;
  const line = `${kind} ${database} ${role}${from} scram-sha-256`;
  return `add "${line}" to the server's pg_hba.conf and reload it; or does it ask for another sslmode?`;
}

function privilege({ message, detail }: ServerMessage, { connection }: RequestContext) {
  if (/replication|walsender|WAL sender/i.test(`${message} ${detail ?? ""}`)) {
    return `ALTER ROLE ${connection.user} REPLICATION`;
  }
  return `does role ${connection.user} have the rights? see the roles in the documentation`;
}

function pooler({ message }: ServerMessage) {
  if (!/startup parameter|replication/i.test(message)) return undefined;
  return "a connection pooler is in between: connect to PostgreSQL's own port directly";
}

/** Causes of failed connections, by what their error's text or code has in it. */
const CAUSES: readonly (readonly [RegExp, string, string])[] = [
  [
    /write UNKNOWN/, // Deno 2.6 tells of a failed TLS handshake with the first write
    "no trusted TLS connection",
    "does sslrootcert name the server's authority, and its certificate this host name?",
  ],
  [
    /ECONNREFUSED|ConnectionRefused|refused/i,
    "connection refused",
    "is PostgreSQL running there, and listening on that address and port?",
  ],
  [
    /ENOTFOUND|EAI_AGAIN|lookup address|resolve|No address/i,
    "unknown host name",
    "is the host name right, and does DNS answer on this machine?",
  ],
  [
    /ENOENT|NotFound|No such file/i,
    "no such Unix socket",
    "is PostgreSQL running, and is this its unix_socket_directories?",
  ],
  [
    /EACCES|PermissionDenied|NotCapable/i,
    "permission denied",
    "may this user reach the socket or the network?",
  ],
  [
    /EHOSTUNREACH|ENETUNREACH|unreachable/i,
    "network unreachable",
    "is there a route to that address?",
  ],
  [
    /ETIMEDOUT|TimedOut|timed out|CONNECT_TIMEOUT/i,
    "no answer in time",
    "is the address right, and does a firewall drop the packets?",
  ],
  [
    /ECONNRESET|EPIPE|ConnectionReset|BrokenPipe|CONNECTION_CLOSED|CONNECTION_ENDED|reset/i,
    "the connection was cut",
    "see the server's log; a proxy or firewall may cut connections",
  ],
];

/** The error for a connection that could not be made or was lost. */
export function unreachable(
  error: unknown,
  connection: Pick<ConnectionOptions, "host" | "port">,
): PostgresError {
  if (error instanceof PostgresError) return error;
  const text = describe(error);
  const address = serverAddress(connection);
  const known = CAUSES.find(([pattern]) => pattern.test(text));
  if (!known) {
    return new PostgresError(`cannot reach PostgreSQL at ${address}: ${text}`, undefined, {
      cause: error,
    });
  }
  const [, message, hint] = known;
  return new PostgresError(`cannot reach PostgreSQL at ${address}: ${message}`, hint, {
    cause: error,
  });
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = "code" in error && typeof error.code === "string" ? ` ${error.code}` : "";
  const inner = error instanceof AggregateError ? error.errors.map(describe).join("; ") : "";
  return `${error.name}: ${error.message}${code}${inner}`;
}

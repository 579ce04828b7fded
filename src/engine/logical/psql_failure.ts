import { PostgresError } from "../../domain/errors.ts";
import { type ConnectionOptions, ProgramError } from "../../postgres/postgres.ts";
import { serverAddress } from "./connection_string.ts";

/** The connection could not be made, or was lost. PostgreSQL docs, psql, "Exit Status". */
const BAD_CONNECTION = 2;
/** What psql and libpq say before they say why. */
const PREFIX = /^psql: (?:error: )?(?:connection to server (?:at|on) .*? failed: )?/;

/** libpq's own remedy, in its middle. */
const QUESTION = /^Is the server running/;

type Remedy = (connection: ConnectionOptions) => string;

/** By libpq's and the server's words, which may be translated: then the last one is given. */
const REMEDIES: readonly (readonly [RegExp, Remedy])[] = [
  [/refused/i, () => "is PostgreSQL running there, and listening on that address and port?"],
  [/translate host name/, () => "is the host name right, and does DNS answer on this machine?"],
  [/timeout|timed out/i, () => "is the address right, and does a firewall drop the packets?"],
  [/No such file/, () => "is PostgreSQL running, and is this its unix_socket_directories?"],
  [/password/, () => "the password comes from PGPASSWORD, PGPASSFILE or a line in ~/.pgpass"],
  [/pg_hba\.conf/, ({ user }) => `add a line for role ${user} to the server's pg_hba.conf`],
  [/role ".*" does not exist/, () => "an address names the role: postgres://ROLE@HOST:PORT/"],
  [/database ".*" does not exist/, () => "is it the database's name, and the right server?"],
  [/too many|remaining connection/, () => "close idle connections, or raise max_connections"],
  [/starting up|shutting down|recovery/, () => "try again in a moment, or see the server's log"],
  [/closed the connection|terminating/, () => "it was connected: see the server's log"],
  [/SSL|certificate/, () => "does the server speak TLS as sslmode and sslrootcert ask for?"],
  [/^/, ({ user }) => `can psql connect there as role ${user}? the server's log may say more`],
];

/** What psql could not do, in words and with a remedy that do not speak of psql's statuses. */
export function psqlFailure(error: PostgresError, connection: ConnectionOptions): PostgresError {
  const address = serverAddress(connection);
  if (!(error instanceof ProgramError) || error.status !== BAD_CONNECTION) {
    return new PostgresError(`${error.message} (at ${address})`, error.hint, { cause: error });
  }
  const said = error.stderr.split("\n").map((line) => line.trim().replace(PREFIX, ""))
    .filter((line) => line !== "" && !QUESTION.test(line)).join("; ");
  const remedy = REMEDIES.find(([words]) => words.test(said))?.[1](connection);
  return new PostgresError(`cannot reach PostgreSQL at ${address}: ${said}`, remedy, {
    cause: error,
  });
}

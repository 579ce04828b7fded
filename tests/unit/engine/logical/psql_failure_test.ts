import assert from "node:assert/strict";
import { psqlFailure } from "../../../../src/engine/logical/psql_failure.ts";
import { type ConnectionOptions, ProgramError } from "../../../../src/postgres/postgres.ts";

const CONNECTION: ConnectionOptions = {
  ...{ host: "db", port: 5432, user: "dba", database: "app", sslmode: "prefer" },
};

/** What psql 15 and 13 write, and what people read. */
const CASES: readonly (readonly [stderr: string, said: string, hint: RegExp])[] = [
  [
    'psql: error: connection to server at "db" (10.0.0.1), port 5432 failed: Connection refused\n' +
    "\tIs the server running on that host and accepting TCP/IP connections?\n",
    "Connection refused",
    /^is PostgreSQL running there/,
  ],
  [
    'psql: error: could not translate host name "db" to address: Name or service not known\n',
    'could not translate host name "db" to address: Name or service not known',
    /host name/,
  ],
  [
    'psql: error: connection to server on socket "/run/.s.PGSQL.5432" failed: FATAL:  password ' +
    'authentication failed for user "dba"\n',
    'FATAL:  password authentication failed for user "dba"',
    /PGPASSWORD/,
  ],
  [
    'psql: error: connection to server at "db" (10.0.0.1), port 5432 failed: FATAL:  no ' +
    "pg_hba.conf entry for host\n",
    "FATAL:  no pg_hba.conf entry for host",
    /role dba to the server's pg_hba\.conf/,
  ],
  [
    'psql: error: FATAL:  database "app" does not exist\n',
    'FATAL:  database "app" does not exist',
    /the database's name/,
  ],
  [
    "psql: Fehler: Verbindung zum Server fehlgeschlagen\n",
    "psql: Fehler: Verbindung zum Server fehlgeschlagen",
    /can psql connect there as role dba\?/,
  ],
];
for (const [stderr, said, hint] of CASES) {
  Deno.test(`psqlFailure() has a remedy for "${said}"`, () => {
    const error = new ProgramError("psql ended with status 2: …", { status: 2, stderr });
    const told = psqlFailure(error, CONNECTION);
    // A psql that does not speak English keeps its own beginning.
    const expected = said.replace(/^psql: /, "");
    assert.equal(told.message, `cannot reach PostgreSQL at db:5432: ${expected}`);
    assert.match(told.hint!, hint);
    assert.equal(told.cause, error);
  });
}

Deno.test("psqlFailure() leaves what a query ended with as it is", () => {
  const error = new ProgramError("psql ended with status 3: ERROR", { status: 3, stderr: "x" });
  assert.equal(psqlFailure(error, CONNECTION).message, `${error.message} (at db:5432)`);
});

import assert from "node:assert/strict";
import { PostgresError } from "../../../src/domain/errors.ts";
import type { ConnectionOptions } from "../../../src/postgres/postgres.ts";
import {
  refusal,
  serverAddress,
  ServerRefusal,
  unreachable,
} from "../../../src/postgres/server_errors.ts";
import { transports } from "../../../src/postgres/transports.ts";

const CONNECTION: ConnectionOptions = {
  ...{ host: "db", port: 5432, user: "backup", database: "app", sslmode: "prefer" },
};

/** What servers say, and the remedy. Texts as PostgreSQL 13 to 18 and PgBouncer write them. */
const ANSWERS: readonly (readonly [string, string, RegExp | undefined, string?])[] = [
  ["28P01", 'password authentication failed for user "backup"', /password of role backup/],
  [
    "28000",
    'no pg_hba.conf entry for replication connection from host "10.0.0.7", user "backup"',
    /add "host replication backup <this host's address>\/32 scram-sha-256"/,
  ],
  ["28000", 'role "backup" does not exist', /CREATE ROLE backup/],
  ["28000", 'role "backup" is not permitted to log in', /ALTER ROLE backup LOGIN/],
  ["28000", "connection requires a valid client certificate", /sslcert/],
  ["28000", "Peer authentication failed", undefined],
  ["3D000", 'database "app" does not exist', /PG_DATABASE/],
  ["42501", "must be superuser or replication role to start walsender", /ALTER ROLE backup REPLIC/],
  [
    "42501",
    "permission denied to start WAL sender",
    /ALTER ROLE backup REPLICATION/,
    "Only roles with the REPLICATION attribute may start a WAL sender process.",
  ],
  ["42501", "permission denied for table t", /rights/],
  [
    "53300",
    "number of requested standby connections exceeds max_wal_senders (currently 0)",
    /raise max_wal_senders/,
  ],
  ["53300", "sorry, too many clients already", /raise max_connections/],
  ["55000", "WAL level not sufficient for making an online backup", /wal_level = replica/],
  ["57P03", "the database system is starting up", /try again/],
  ["58P01", "requested WAL segment 000 has already been removed", /wal_keep_size/],
  ["08P01", "unsupported startup parameter: replication", /pooler/],
  ["08P01", "invalid message format", undefined],
  ["XX001", "checksum verification failure during base backup", /damaged/],
  ["99999", "something new", undefined],
];
for (const [code, message, hint, detail] of ANSWERS) {
  Deno.test(`refusal() knows ${hint ? "a remedy" : "none"} for ${code} "${message}"`, () => {
    const said = { severity: "FATAL", code, message, ...(detail && { detail }) };
    const error = refusal(said, { connection: CONNECTION, replication: true });
    assert.ok(error instanceof ServerRefusal && error instanceof PostgresError);
    assert.equal(error.sqlstate, code);
    assert.equal(error.exitCode, 5);
    assert.ok(error.message.includes(`PostgreSQL at db:5432 answered "${message}"`));
    if (hint) assert.match(error.hint ?? "", hint);
    else assert.equal(error.hint, undefined);
  });
}

Deno.test("refusal() passes on the server's own hint where it knows no better", () => {
  const said = { severity: "ERROR", code: "99999", message: "m", detail: "d", hint: "do this" };
  const error = refusal(said, { connection: CONNECTION, replication: false });
  assert.equal(error.hint, "do this");
  assert.match(error.message, /"m": d \(SQLSTATE 99999\)$/);
});

const CAUSES: readonly (readonly [Error, RegExp])[] = [
  [new Deno.errors.ConnectionRefused("os error 111"), /connection refused$/],
  [new Error("failed to lookup address information: Name or service not known"), /unknown host/],
  [Object.assign(new Error("getaddrinfo ENOTFOUND db"), { code: "ENOTFOUND" }), /unknown host/],
  [new Deno.errors.NotFound("No such file or directory (os error 2)"), /no such Unix socket/],
  [new Deno.errors.PermissionDenied("os error 13"), /permission denied/],
  [Object.assign(new Error("connect"), { code: "EHOSTUNREACH" }), /network unreachable/],
  [new Error("write CONNECT_TIMEOUT db:5432"), /no answer in time/],
  [new Deno.errors.ConnectionReset("os error 104"), /the connection was cut/],
  [
    new AggregateError([Object.assign(new Error("connect"), { code: "ECONNREFUSED" })]),
    /connection refused$/,
  ],
  [new Error("never seen before"), /never seen before$/],
];
for (const [cause, message] of CAUSES) {
  Deno.test(`unreachable() explains ${cause.name} "${cause.message}"`, () => {
    const error = unreachable(cause, CONNECTION);
    assert.match(error.message, message);
    assert.match(error.message, /^cannot reach PostgreSQL at db:5432: /);
    assert.equal(error.cause, cause);
  });
}

const ADDRESSES = [
  { host: "db", shown: "db:5432" },
  { host: "::1", shown: "[::1]:5432" },
  { host: "/run/postgresql/", shown: "/run/postgresql/.s.PGSQL.5432" },
];
for (const { host, shown } of ADDRESSES) {
  Deno.test(`serverAddress() shows ${host} as ${shown}`, () => {
    assert.equal(serverAddress({ host, port: 5432 }), shown);
  });
}

Deno.test("transports() are those of libpq's sslmode, and plain on a Unix socket", () => {
  const of = (sslmode: ConnectionOptions["sslmode"], host = "db") =>
    transports({ ...CONNECTION, sslmode, host }).join(" ");
  assert.deepEqual(
    (["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] as const).map((mode) =>
      of(mode)
    ),
    ["plain", "plain tls", "tls plain", "tls", "tls", "tls"],
  );
  assert.equal(of("verify-full", "/run"), "plain");
});

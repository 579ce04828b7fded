/** Who gets in, by which transport, and what those hear who do not. Both ways: SQL and replication. */
import assert from "node:assert/strict";
import { PostgresError } from "../../src/domain/errors.ts";
import type { ConnectionOptions } from "../../src/postgres/postgres.ts";
import { WalSender } from "../../src/postgres/replication/walsender.ts";
import { SqlServer } from "../../src/postgres/sql_server.ts";
import {
  type Cluster,
  clusterMajors,
  defaultMajor,
  speaksTls,
  startCluster,
} from "../support/postgres_cluster.ts";

type Changes = Partial<ConnectionOptions>;

/** Connects and tells whether TLS protects the connection. */
const WAYS: readonly {
  readonly way: string;
  readonly open: (to: ConnectionOptions) => Promise<boolean>;
}[] = [
  {
    way: "replication",
    open: async (to) => {
      const sender = await WalSender.connect(to);
      const rows = await sender.query("IDENTIFY_SYSTEM");
      assert.match(rows[0]?.[0] ?? "", /^\d{19}$/);
      await sender.close();
      return sender.encrypted;
    },
  },
  {
    way: "SQL",
    open: async (to) => {
      await using server = new SqlServer(to);
      const [row] = await server.query("select ssl from pg_stat_ssl where pid = pg_backend_pid()");
      return row?.ssl === true;
    },
  },
];

interface Expectation {
  /** Encrypted or not, or what the error says. */
  readonly outcome: "tls" | "plain" | RegExp;
  readonly hint?: RegExp;
}

async function check(to: ConnectionOptions, { outcome, hint }: Expectation): Promise<void> {
  for (const { way, open } of WAYS) {
    if (!(outcome instanceof RegExp)) {
      assert.equal(await open(to) ? "tls" : "plain", outcome, way);
      continue;
    }
    await assert.rejects(open(to), (error) => {
      assert.ok(error instanceof PostgresError, `${way}: ${error}`);
      assert.match(error.message, outcome, way);
      if (hint) assert.match(error.hint ?? "", hint, way);
      return true;
    });
  }
}

const ROLES = ["scram", "md5", "password", "only_tls", "only_plain", "certificate", "refused"];
const HBA = [
  "host all,replication scram 127.0.0.1/32 scram-sha-256",
  "local all,replication scram scram-sha-256",
  "host all,replication md5 127.0.0.1/32 md5",
  "host all,replication password 127.0.0.1/32 password",
  "host all,replication refused 127.0.0.1/32 reject",
];
const HBA_TLS = [
  ...HBA,
  "hostssl all,replication only_tls 127.0.0.1/32 scram-sha-256",
  "host all,replication only_tls 127.0.0.1/32 reject",
  "hostnossl all,replication only_plain 127.0.0.1/32 scram-sha-256",
  "host all,replication only_plain 127.0.0.1/32 reject",
  "hostssl all,replication certificate 127.0.0.1/32 trust clientcert=verify-ca",
];
const PASSWORD = "p\u00e4ss, w\u00f6rd=\\'";

async function createRoles(cluster: Cluster): Promise<void> {
  const quoted = `'${PASSWORD.replaceAll("'", "''")}'`;
  for (const role of ROLES) {
    const encryption = role === "md5" ? "md5" : "scram-sha-256";
    await cluster.query(`set password_encryption = '${encryption}';
      create role "${role}" login replication password ${quoted}`);
  }
  await cluster.query(`create role plain_login login; create role nologin replication`);
}

for (const { major, binDir } of clusterMajors()) {
  Deno.test(`${major} lets in who proves himself, and tells the others what is missing`, async (test) => {
    await using cluster = await startCluster({ binDir, hba: HBA });
    await createRoles(cluster);
    const cases: readonly (readonly [string, Changes, Expectation])[] = [
      ["trust", {}, { outcome: "plain" }],
      ["a Unix socket", { host: cluster.socketDir, sslmode: "verify-full" }, { outcome: "plain" }],
      ["scram-sha-256", { user: "scram", password: PASSWORD }, { outcome: "plain" }],
      [
        "scram-sha-256 on a Unix socket",
        { user: "scram", password: PASSWORD, host: cluster.socketDir },
        { outcome: "plain" },
      ],
      ["md5", { user: "md5", password: PASSWORD }, { outcome: "plain" }],
      ["password", { user: "password", password: PASSWORD }, { outcome: "plain" }],
      ...["scram", "md5", "password"].map((user) =>
        [
          `a wrong password by ${user}`,
          { user, password: "wrong" },
          { outcome: /password authentication failed.*28P01/, hint: /password of role.*pgpass/ },
        ] as const
      ),
      [
        "a role that pg_hba.conf refuses",
        { user: "refused", password: PASSWORD },
        {
          outcome: /pg_hba\.conf rejects.*28000/,
          hint: /host (replication|postgres) refused .*scram/,
        },
      ],
      [
        "a role that does not exist",
        { user: "ghost" },
        { outcome: /role "ghost" does not exist/, hint: /CREATE ROLE ghost LOGIN REPLICATION/ },
      ],
      [
        "a role that may not log in",
        { user: "nologin" },
        { outcome: /not permitted to log in/, hint: /ALTER ROLE nologin LOGIN/ },
      ],
      [
        "a port where nobody listens",
        { port: 1 },
        { outcome: /127\.0\.0\.1:1: connection refused/, hint: /running there/ },
      ],
      [
        "a host that does not exist",
        { host: "no-such-host.invalid" },
        { outcome: /unknown host name/, hint: /DNS/ },
      ],
      [
        "a socket folder without a socket",
        { host: "/nonexistent" },
        { outcome: /\/nonexistent\/\.s\.PGSQL\.\d+: no such Unix socket/, hint: /unix_socket_dir/ },
      ],
      [
        "sslmode=require where there is no TLS",
        { sslmode: "require" },
        { outcome: /does not offer TLS/, hint: /ssl = on/ },
      ],
      ["sslmode=prefer where there is no TLS", { sslmode: "prefer" }, { outcome: "plain" }],
    ];
    for (const [name, changes, expectation] of cases) {
      await test.step(name, () => check(cluster.connection(changes), expectation));
    }
    await test.step("a missing password", async () => {
      const to = cluster.connection({ user: "scram" });
      await assert.rejects(WalSender.connect(to), /asks for the password of role scram/);
    });
    await test.step("a role without REPLICATION", async () => {
      const to = cluster.connection({ user: "plain_login" });
      await assert.rejects(WalSender.connect(to), (error) => {
        assert.ok(error instanceof PostgresError);
        assert.equal(error.hint, "ALTER ROLE plain_login REPLICATION");
        return true;
      });
    });
    await test.step("a database that does not exist", async () => {
      await using server = new SqlServer(cluster.connection({ database: "nope" }));
      await assert.rejects(server.query("select 1"), /"nope" does not exist.*3D000/);
    });
  });

  Deno.test(`${major} tells when no walsender is free`, async () => {
    await using cluster = await startCluster({ binDir, settings: { max_wal_senders: 1 } });
    const first = await WalSender.connect(cluster.connection());
    await assert.rejects(WalSender.connect(cluster.connection()), (error) => {
      assert.ok(error instanceof PostgresError);
      assert.match(error.message, /max_wal_senders.*53300/);
      assert.match(error.hint ?? "", /raise max_wal_senders/);
      return true;
    });
    await first.close();
  });
}

const withTls = [defaultMajor(), ...clusterMajors()].find(({ binDir }) => speaksTls(binDir));
if (!withTls) {
  // deno-lint-ignore no-console -- a test that is left out must be seen
  console.warn("SKIPPED: no PostgreSQL with TLS here, sslmode is not tested");
}

Deno.test({
  name: "every sslmode means what libpq says",
  ignore: !withTls,
  fn: async (test) => {
    const { binDir } = withTls!;
    await using cluster = await startCluster({ binDir, hba: HBA_TLS, tls: true });
    await createRoles(cluster);
    const { ca, otherCa, clientCert, clientKey } = cluster.certificates!;
    const client = { sslcert: clientCert, sslkey: clientKey };
    const untrusted = { outcome: /no trusted TLS connection/, hint: /sslrootcert/ };
    const rejected = { outcome: /pg_hba\.conf rejects/, hint: /another sslmode/ };
    const tls = { outcome: "tls" } as const;
    const plain = { outcome: "plain" } as const;
    const cases: readonly (readonly [Changes, Expectation])[] = [
      [{ sslmode: "disable" }, plain],
      [{ sslmode: "allow" }, plain],
      [{ sslmode: "prefer" }, tls],
      [{ sslmode: "prefer", sslrootcert: otherCa }, tls],
      [{ sslmode: "require" }, tls],
      [{ sslmode: "require", sslrootcert: ca }, tls],
      [{ sslmode: "require", sslrootcert: otherCa }, untrusted],
      [{ sslmode: "verify-ca", sslrootcert: ca }, tls],
      [{ sslmode: "verify-ca", sslrootcert: otherCa }, untrusted],
      [{ sslmode: "verify-ca" }, untrusted],
      [{ sslmode: "verify-full", sslrootcert: ca }, tls],
      [{ sslmode: "verify-full", sslrootcert: ca, host: "localhost" }, tls],
      [{ sslmode: "verify-full", sslrootcert: otherCa }, untrusted],
      [{ sslmode: "verify-full", sslrootcert: "system" }, untrusted],
      [{ sslmode: "verify-full", sslrootcert: "/nowhere.pem" }, {
        outcome: /cannot read sslrootcert/,
      }],
      [{ sslmode: "disable", user: "only_tls" }, rejected],
      [{ sslmode: "allow", user: "only_tls" }, tls],
      [{ sslmode: "prefer", user: "only_tls" }, tls],
      [{ sslmode: "prefer", user: "only_plain" }, plain],
      [{ sslmode: "require", user: "only_plain" }, rejected],
      [{ sslmode: "verify-full", sslrootcert: ca, user: "scram" }, tls],
      [
        { sslmode: "require", user: "certificate" },
        { outcome: /valid client certificate/, hint: /sslcert/ },
      ],
      [{ sslmode: "require", user: "certificate", ...client }, tls],
      [{ sslmode: "verify-full", sslrootcert: ca, user: "certificate", ...client }, tls],
    ];
    for (const [changes, expectation] of cases) {
      const { user = "postgres", host = "127.0.0.1", sslmode, sslrootcert, sslcert } = changes;
      const root = { [ca]: "the authority", [otherCa]: "another" }[sslrootcert ?? ""] ??
        sslrootcert;
      const name = [user, host, sslmode, root, sslcert && "certificate"].filter(Boolean).join(" ");
      const to = cluster.connection({ password: PASSWORD, ...changes });
      await test.step(name, () => check(to, expectation));
    }
  },
});

Deno.test({
  name: "verify-full refuses a certificate of another name, verify-ca takes it",
  ignore: !withTls,
  fn: async () => {
    const { binDir } = withTls!;
    await using cluster = await startCluster({ binDir, tls: { names: "DNS:db.example" } });
    const sslrootcert = cluster.certificates!.ca;
    const full = cluster.connection({ sslmode: "verify-full", sslrootcert });
    await check(full, {
      outcome: /no trusted TLS/,
      hint: /name that the server's certificate has/,
    });
    await check({ ...full, sslmode: "verify-ca" }, { outcome: "tls" });
  },
});

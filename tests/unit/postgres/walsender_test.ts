import assert from "node:assert/strict";
import { PostgresError, VersionError } from "../../../src/domain/errors.ts";
import type {
  BaseBackupEvent,
  BaseBackupOptions,
  ConnectionOptions,
} from "../../../src/postgres/postgres.ts";
import { StreamSource } from "../../../src/postgres/replication/stream_base_backup.ts";
import { WalSender } from "../../../src/postgres/replication/walsender.ts";
import { SqlServer } from "../../../src/postgres/sql_server.ts";
import {
  concat,
  errorResponse,
  fakePostgres,
  type FakeSession,
  message,
  READY,
  result,
} from "../../support/fake_postgres.ts";

const OPTIONS: BaseBackupOptions = { label: "x", fastCheckpoint: true, includeWal: false };

function to(port: number, changes: Partial<ConnectionOptions> = {}): ConnectionOptions {
  const fixed = { host: "127.0.0.1", port, user: "u", database: "d", connectTimeout: 5 };
  return { ...fixed, sslmode: "disable", ...changes };
}

/** Both ways to a server: SQL and replication must fail alike. */
const WAYS = [
  { way: "WalSender", open: (to: ConnectionOptions) => WalSender.connect(to) },
  {
    way: "SqlServer",
    open: async (to: ConnectionOptions) => {
      await using server = new SqlServer(to);
      await server.query("select 1");
    },
  },
];

/** What something that is no helpful server may do with a new connection. */
const SCRIPTS: readonly {
  readonly name: string;
  readonly script: (session: FakeSession) => Promise<void>;
  readonly changes?: Partial<ConnectionOptions>;
  readonly message: RegExp;
  readonly hint: RegExp;
}[] = [
  {
    name: "a pooler's refusal",
    script: async (session) => {
      await session.startup();
      await session.send(errorResponse("08P01", "unsupported startup parameter: replication"));
    },
    message: /unsupported startup parameter: replication/,
    hint: /pooler.*directly/,
  },
  {
    name: "a server that closes at once",
    script: async (session) => {
      await session.startup();
      session.close();
    },
    message: /cut/,
    hint: /log|proxy/,
  },
  {
    name: "a server that closes at the request for TLS",
    script: async (session) => {
      await session.startup();
      session.close();
    },
    changes: { sslmode: "require" },
    message: /cut/,
    hint: /log|proxy/,
  },
  {
    name: "a server that never answers",
    script: async (session) => {
      await session.startup();
      await session.startup();
    },
    changes: { connectTimeout: 0.2 },
    message: /no answer in time/,
    hint: /firewall/,
  },
  {
    name: "a server that never answers the request for TLS",
    script: async (session) => {
      await session.startup();
      await session.startup();
    },
    changes: { connectTimeout: 0.2, sslmode: "require" },
    message: /no answer in time/,
    hint: /firewall/,
  },
  {
    name: "no TLS",
    script: async (session) => {
      await session.startup();
      await session.raw(new TextEncoder().encode("N"));
      await session.startup();
    },
    changes: { sslmode: "require" },
    message: /does not offer TLS.*sslmode=require/,
    hint: /ssl = on/,
  },
  {
    name: "clear text slipped in behind the answer about TLS",
    script: async (session) => {
      await session.startup();
      await session.send(concat([new TextEncoder().encode("S"), READY]));
      await session.startup();
    },
    changes: { sslmode: "require" },
    message: /did not answer the request for TLS/,
    hint: /port/,
  },
];
for (const { way, open } of WAYS) {
  for (const { name, script, changes, message, hint } of SCRIPTS) {
    Deno.test(`${way} explains ${name}`, async () => {
      await using server = fakePostgres(script);
      await assert.rejects(open(to(server.port, changes)), (error) => {
        assert.ok(error instanceof PostgresError, String(error));
        assert.match(error.message, message);
        assert.match(error.hint ?? "", hint);
        return true;
      });
    });
  }
}

Deno.test("WalSender explains a server of another protocol", async () => {
  await using server = fakePostgres(async (session) => {
    await session.startup();
    await session.raw(new TextEncoder().encode("HTTP/1.1 400 Bad Request\r\n\r\n"));
    await session.startup();
  });
  await assert.rejects(WalSender.connect(to(server.port)), /PostgreSQL does not send/);
});

for (const sslmode of ["prefer", "allow"] as const) {
  Deno.test(`WalSender tries a wrong password once with sslmode=${sslmode}`, async () => {
    await using server = fakePostgres(async (session) => {
      if ((await session.startup()).code === "80877103") {
        await session.raw(new TextEncoder().encode("N"));
        return;
      }
      await session.send(errorResponse("28P01", "password authentication failed"));
    });
    await assert.rejects(WalSender.connect(to(server.port, { sslmode })), /28P01/);
    assert.equal(server.connections(), sslmode === "prefer" ? 2 : 1); // one to hear of no TLS
  });
}

Deno.test("WalSender.connect() gives up when its signal says so", async () => {
  const controller = new AbortController();
  await using server = fakePostgres(async (session) => {
    await session.startup();
    controller.abort(new Error("enough"));
    await session.startup();
  });
  const { signal } = controller;
  await assert.rejects(WalSender.connect(to(server.port), { signal }), /^Error: enough$/);
  await assert.rejects(WalSender.connect(to(server.port), { signal }), /^Error: enough$/);
  assert.equal(server.connections(), 1);
});

Deno.test("StreamSource refuses PostgreSQL 12", async () => {
  await using server = fakePostgres(async (session) => {
    await session.welcome("12.22 (Debian 12.22-1)");
    await session.message();
  });
  const source = new StreamSource(to(server.port));
  await assert.rejects(source.start(OPTIONS), VersionError);
  await assert.rejects(source.identify(), /12\.22/);
});

const POSITION = result(["0/2000028", "1"]);
const END = result(["0/2000100", "1"]);
const COPY_OUT = message("H", new Uint8Array(3));
const COPY_DONE = message("c");
const DONE = concat([message("C", "BASE_BACKUP\0"), READY]);
const copy = (text: string) => message("d", text);

/** Whole backups as 17 and 14 send them, in pieces that may each be the last. */
const BACKUPS: Readonly<Record<string, readonly Uint8Array[]>> = {
  "17.6": [
    ...[POSITION, result(["16384", "/ts", "1"], [null, null, "2"]), COPY_OUT],
    ...[copy("n16384.tar\0/ts\0"), copy("dfirst"), copy("nbase.tar\0\0"), copy("dsecond")],
    ...[copy("p12345678"), copy("m"), copy("dmanifest"), COPY_DONE, END, DONE],
  ],
  "14.23": [
    ...[POSITION, result(["16384", "/ts", "1"], [null, null, "2"])],
    ...[COPY_OUT, copy("first"), COPY_DONE, COPY_OUT, copy("second"), COPY_DONE],
    ...[COPY_OUT, copy("manifest"), COPY_DONE, END, DONE],
  ],
};

/** A server that sends these pieces in answer to BASE_BACKUP and closes. */
function backupServer(version: string, pieces: readonly Uint8Array[]) {
  return fakePostgres(async (session) => {
    await session.welcome(version);
    await session.message();
    await session.send(...pieces);
  });
}

/** Reads a backup; texts of each kind joined. */
async function take(port: number, options: { readonly idleSeconds?: number } = {}) {
  const source = new StreamSource(to(port), options);
  await using backup = await source.start(OPTIONS);
  const found: string[] = [];
  for await (const event of backup.events()) found.push(shown(event));
  return { found, stop: backup.stop(), backup };
}

function shown(event: BaseBackupEvent): string {
  if (event.type === "archive") return `archive ${event.tablespace?.oid ?? "base"}`;
  return `${event.type} ${new TextDecoder().decode(event.bytes).replace(/\0+/, "zeros")}`;
}

const EXPECTED: Readonly<Record<string, readonly string[]>> = {
  "17.6": ["archive 16384", "data first", "archive base", "data second", "manifest manifest"],
  "14.23": [
    ...["archive 16384", "data first", "data zeros", "archive base", "data second", "data zeros"],
    "manifest manifest",
  ],
};

for (const [version, pieces] of Object.entries(BACKUPS)) {
  Deno.test(`StreamSource reads a whole backup of ${version}`, async () => {
    await using server = backupServer(version, pieces);
    const { found, stop, backup } = await take(server.port);
    assert.deepEqual(found, EXPECTED[version]);
    assert.deepEqual(stop, { stopLsn: 0x2000100n, timeline: 1 });
    assert.equal(backup.startLsn, 0x2000028n);
    assert.equal(backup.estimatedBytes, 3 * 1024);
    assert.deepEqual(backup.tablespaces, [{ oid: 16384, location: "/ts" }]);
  });

  Deno.test(`StreamSource reports a backup of ${version} that is cut at any byte`, async () => {
    const bytes = concat(pieces);
    for (let end = 0; end < bytes.length; end += 7) {
      await using server = backupServer(version, [bytes.subarray(0, end)]);
      await assert.rejects(take(server.port), PostgresError, `cut at byte ${end}`);
    }
  });

  Deno.test(`StreamSource reports a backup of ${version} in which a message is missing`, async () => {
    const optional = new Set([
      "dfirst",
      "dsecond",
      "dmanifest",
      "first",
      "second",
      "manifest",
      "p12345678",
    ]);
    for (const [index, piece] of pieces.entries()) {
      if (optional.has(new TextDecoder().decode(piece.subarray(5)))) continue;
      await using server = backupServer(version, pieces.toSpliced(index, 1));
      await assert.rejects(take(server.port), PostgresError, `without message ${index}`);
    }
  });

  Deno.test(`StreamSource reports an error of ${version} in the middle, with the warnings`, async () => {
    const warning = errorResponse(
      "01000",
      'checksum verification failed in file "./base/1"',
      "WARNING",
    );
    warning[0] = "N".charCodeAt(0);
    const failed = errorResponse("XX001", "checksum verification failure", "ERROR");
    const middle = pieces.length - 4;
    await using server = backupServer(version, [
      ...pieces.slice(0, middle),
      warning,
      failed,
      READY,
    ]);
    await assert.rejects(take(server.port), (error) => {
      assert.ok(error instanceof PostgresError);
      assert.match(error.message, /verification failure.*XX001.*base\/1/);
      return true;
    });
  });
}

Deno.test("StreamSource refuses archives that were not announced, and unknown messages", async () => {
  const begin = BACKUPS["17.6"]!.slice(0, 3);
  for (const [piece, why] of [["n99.tar\0/x\0", /99\.tar/], ["?", /type 63/]] as const) {
    await using server = backupServer("17.6", [...begin, copy(piece)]);
    await assert.rejects(take(server.port), why);
  }
});

Deno.test("StreamSource gives up on a server that falls silent in a copy", async () => {
  await using server = fakePostgres(async (session) => {
    await session.welcome();
    await session.message();
    await session.send(...BACKUPS["17.6"]!.slice(0, 6));
    await session.message();
  });
  await assert.rejects(take(server.port, { idleSeconds: 0.2 }), /no answer in time/);
});

Deno.test("StreamSource's backup ends by its signal, with its reason", async () => {
  const controller = new AbortController();
  await using server = fakePostgres(async (session) => {
    await session.welcome();
    await session.message();
    await session.send(...BACKUPS["17.6"]!.slice(0, 6));
    await session.message();
  });
  const source = new StreamSource(to(server.port));
  await using backup = await source.start({ ...OPTIONS, signal: controller.signal });
  await assert.rejects(async () => {
    for await (const event of backup.events()) {
      if (event.type === "data") controller.abort(new Error("enough"));
    }
  }, /^Error: enough$/);
  assert.throws(() => backup.stop());
});

Deno.test("StreamSource asks for what the options say, in the words of the version", async () => {
  const statements: string[] = [];
  const options = { label: "it's", fastCheckpoint: false, includeWal: true, maxRateKb: 64 };
  for (const version of ["14.23", "15.20"]) {
    await using server = fakePostgres(async (session) => {
      await session.welcome(version);
      for (let count = 0; count < 2; count++) {
        statements.push((await session.message()).text.replace("\0", ""));
        await session.send(
          errorResponse("53400", "all replication slots are in use", "ERROR"),
          READY,
        );
      }
    });
    await assert.rejects(new StreamSource(to(server.port)).start(options), /53400/);
  }
  assert.deepEqual(statements.map((text) => text.replace(/"backupctl_[0-9a-f]{32}"/, '"slot"')), [
    'CREATE_REPLICATION_SLOT "slot" TEMPORARY PHYSICAL RESERVE_WAL',
    "BASE_BACKUP LABEL 'it''s' PROGRESS WAL NOWAIT MAX_RATE 64 MANIFEST 'yes'",
    'CREATE_REPLICATION_SLOT "slot" TEMPORARY PHYSICAL (RESERVE_WAL)',
    "BASE_BACKUP (LABEL 'it''s', PROGRESS true, CHECKPOINT 'spread', WAL true, WAIT false, " +
    "MAX_RATE 64, MANIFEST 'yes')",
  ]);
});

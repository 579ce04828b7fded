import assert from "node:assert/strict";
import fc from "fast-check";
import { ConfigError } from "../../../src/domain/errors.ts";
import { parseConninfo } from "../../../src/postgres/conninfo.ts";

/** The examples of PostgreSQL's documentation, and what people paste. */
const URLS: readonly (readonly [string, Readonly<Record<string, string>>])[] = [
  ["postgresql://", {}],
  ["postgresql://localhost", { host: "localhost" }],
  ["postgresql://localhost:5433", { host: "localhost", port: "5433" }],
  ["postgresql://localhost/mydb", { host: "localhost", dbname: "mydb" }],
  ["postgresql://user@localhost", { host: "localhost", user: "user" }],
  ["postgresql://user:secret@localhost", { host: "localhost", user: "user", password: "secret" }],
  [
    "postgresql://other@localhost/otherdb?connect_timeout=10&application_name=myapp",
    {
      host: "localhost",
      user: "other",
      dbname: "otherdb",
      connect_timeout: "10",
      application_name: "myapp",
    },
  ],
  [
    "postgresql:///mydb?host=localhost&port=5433",
    { dbname: "mydb", host: "localhost", port: "5433" },
  ],
  [
    "postgresql://[2001:db8::1234]:5434/database",
    { host: "2001:db8::1234", port: "5434", dbname: "database" },
  ],
  [
    "postgresql://%2Fvar%2Flib%2Fpostgresql/dbname",
    { host: "/var/lib/postgresql", dbname: "dbname" },
  ],
  ["postgres://u:p%40ss%3Aword%2F@h/d", {
    user: "u",
    password: "p@ss:word/",
    host: "h",
    dbname: "d",
  }],
  ["postgres://u:a:b@h", { user: "u", password: "a:b", host: "h" }],
  [
    "postgres://h/d?sslmode=verify-full&sslrootcert=/ca.pem&channel_binding=prefer",
    { host: "h", dbname: "d", sslmode: "verify-full", sslrootcert: "/ca.pem" },
  ],
  ["postgres://h/d?ssl=true&keepalives=1", { host: "h", dbname: "d", sslmode: "require" }],
];
for (const [url, expected] of URLS) {
  Deno.test(`parseConninfo() reads ${url}`, () => {
    assert.deepEqual(parseConninfo(url), expected);
  });
}

const KEYWORDS: readonly (readonly [string, Readonly<Record<string, string>>])[] = [
  ["host=localhost port=5432 dbname=mydb", { host: "localhost", port: "5432", dbname: "mydb" }],
  ["host = a   port\n=\t1", { host: "a", port: "1" }],
  ["password='it\\'s \\\\ here' user=''", { password: "it's \\ here" }],
  ["password=it\\'s\\ one user=u", { password: "it's one", user: "u" }],
  ["host= port=5", { host: "port=5" }],
  ["", {}],
];
for (const [text, expected] of KEYWORDS) {
  Deno.test(`parseConninfo() reads ${JSON.stringify(text)}`, () => {
    assert.deepEqual(parseConninfo(text), expected);
  });
}

const WRONG = [
  "postgres://a,b/db",
  "postgres://u:hunter2@h:1,i:2/db",
  "postgres://u:hunter2%zz@h/db",
  "postgres://u:hunter2%00@h/db",
  "postgres://[::1/db",
  "postgres://h/d?hunter2",
  "postgres://h/d?channel_binding=require",
  "postgres://h/d?target_session_attrs=read-write",
  "postgres://h/d?options=-c%20x",
  "host",
  "password='hunter2",
  "password='hunter2'x",
  "passwort=hunter2",
];
for (const text of WRONG) {
  Deno.test(`parseConninfo() refuses ${text}, and does not repeat the password`, () => {
    assert.throws(() => parseConninfo(text), (error) => {
      assert.ok(error instanceof ConfigError);
      return text.includes("?hunter2") || !error.message.includes("hunter2");
    });
  });
}

const value = fc.string({ unit: "grapheme", minLength: 1, maxLength: 20 })
  .filter((text) => text.isWellFormed() && !text.includes("\0"));
const fields = { host: value, user: value, password: value, dbname: value };
const settings = fc.record(fields, { noNullPrototype: true });

Deno.test("parseConninfo() reads back any percent-encoded URL", () => {
  fc.assert(fc.property(settings, ({ host, user, password, dbname }) => {
    const [h, u, p, d] = [host, user, password, dbname].map(encodeURIComponent);
    const expected = { host, user, password, dbname };
    assert.deepEqual(parseConninfo(`postgresql://${u}:${p}@${h}/${d}`), expected);
    const query = `host=${h}&user=${u}&password=${p}&dbname=${d}`;
    assert.deepEqual(parseConninfo(`postgresql://?${query}`), expected);
  }));
});

Deno.test("parseConninfo() reads back any quoted and any escaped value", () => {
  fc.assert(fc.property(settings, (expected) => {
    const quoted = Object.entries(expected)
      .map(([name, text]) => `${name}='${text.replace(/[\\']/g, "\\$&")}'`);
    assert.deepEqual(parseConninfo(quoted.join(" ")), expected);
    const escaped = Object.entries(expected)
      .map(([name, text]) => `${name} = ${text.replace(/[\\'\s]/g, "\\$&")}`);
    assert.deepEqual(parseConninfo(escaped.join("\n")), expected);
  }));
});

Deno.test("parseConninfo() answers any text with parameters or a ConfigError", () => {
  const text = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.stringMatching(/^postgres:\/\/[a-z:@\/?&=%\[\],0-9]*$/),
    fc.stringMatching(/^[a-z='\\ ]*$/),
  );
  fc.assert(
    fc.property(text, (input) => {
      try {
        parseConninfo(input);
      } catch (error) {
        assert.ok(error instanceof ConfigError, String(error));
      }
    }),
    { numRuns: 1000 },
  );
});

import assert from "node:assert/strict";
import fc from "fast-check";
import { findPassword, passwordLine } from "../../../src/postgres/password_file.ts";

const KEY = { host: "db.example.com", port: 5432, database: "app", user: "backup" };

const FILES: readonly (readonly [string, string, string | undefined])[] = [
  ["a line that names everything", "db.example.com:5432:app:backup:secret", "secret"],
  ["stars", "*:*:*:*:any", "any"],
  ["the first line that matches", "*:*:*:other:1\n*:*:*:backup:2\n*:*:*:*:3\n", "2"],
  ["a line for replication", "db.example.com:5432:replication:backup:r", "r"],
  ["escaped colons and backslashes", "*:*:*:*:a\\:b\\\\c", "a:b\\c"],
  ["a password up to its next colon", "*:*:*:*:one:two", "one"],
  ["no password at a comment", "#*:*:*:*:commented\n", undefined],
  ["a line with Windows' end", "*:*:*:*:crlf\r\nx", "crlf"],
  ["no password at another port", "db.example.com:5433:app:backup:x", undefined],
  ["no password at another host", "example.com:5432:app:backup:x", undefined],
  ["no password at another database", "db.example.com:5432:apps:backup:x", undefined],
  ["no password at a line that is too short", "db.example.com:5432:app:backup", undefined],
  ["no password in an empty file", "", undefined],
  ["a star that is escaped only for itself", "\\*:*:*:*:x", undefined],
];
for (const [what, text, expected] of FILES) {
  Deno.test(`findPassword() takes ${what}`, () => {
    assert.equal(findPassword(text, KEY), expected);
  });
}

const word = fc.string({ unit: "grapheme", minLength: 1, maxLength: 12 })
  .filter((text) => !/[\r\n]/.test(text) && text !== "*" && !text.startsWith("#"));

Deno.test("findPassword() reads back whatever is written with its escapes", () => {
  const escape = (text: string) => text.replace(/[\\:]/g, "\\$&");
  fc.assert(
    fc.property(word, word, word, word, fc.nat(65535), (host, database, user, password, port) => {
      const fields = [host, String(port), database, user, password].map(escape);
      const text = `# first\n*:*:*:${escape(`${user}x`)}:no\n${fields.join(":")}\n`;
      assert.equal(findPassword(text, { host, port, database, user }), password);
    }),
  );
});

Deno.test("passwordLine() is read back for any server", () => {
  fc.assert(fc.property(word, word, (password, user) => {
    assert.equal(findPassword(passwordLine(password), { ...KEY, user }), password);
  }));
});

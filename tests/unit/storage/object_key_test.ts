import { deepStrictEqual as equal, match, ok, throws } from "node:assert/strict";
import fc from "fast-check";
import { StorageError } from "../../../src/domain/errors.ts";
import { checkKey, checkMetadata, compareKeys, isKey } from "../../../src/storage/object_key.ts";

Deno.test("compareKeys() orders as the UTF-8 bytes do", () => {
  const text = fc.string({ unit: "binary", maxLength: 6 });
  fc.assert(
    fc.property(text, text, (left, right) => {
      const bytes = Buffer.compare(Buffer.from(left), Buffer.from(right));
      equal(Math.sign(compareKeys(left, right)), bytes);
    }),
    { numRuns: 2_000 },
  );
});

Deno.test("checkKey() lets no key out of a folder", () => {
  const part = fc.constantFrom("", ".", "..", "/", "a", "\0", "...", "é", " ");
  fc.assert(
    fc.property(fc.array(part, { maxLength: 6 }), (parts) => {
      const key = parts.join("");
      if (!isKey(key)) return;
      const path = new URL(`file:///root/${key.split("/").map(encodeURIComponent).join("/")}`);
      ok(path.pathname.startsWith("/root/") && !path.pathname.endsWith("/"), key);
      equal(path.pathname.split("/").length, key.split("/").length + 2);
    }),
    { numRuns: 2_000 },
  );
});

Deno.test("checkKey() says what is wrong, on one line of bounded length", () => {
  throws(() => checkKey("a/../b"), /object key "a\/\.\.\/b" has the segment \.\./);
  throws(() => checkKey("a\nb"), /object key "a\\nb" holds a control character/);
  throws(() => checkKey("x".repeat(10_000_000)), (error: Error) => {
    match(error.message, /is longer than 1024 bytes$/);
    return error instanceof StorageError && error.message.length < 300;
  });
});

Deno.test("checkMetadata() takes what fits and refuses the rest", () => {
  checkMetadata({ sha256: "ab", "a-b": "", long: "x".repeat(2_030) });
  for (const value of ["\n", "x\r\ny: z", "ä", "x "]) {
    throws(() => checkMetadata({ name: value }), StorageError);
  }
  throws(() => checkMetadata({ a: "x".repeat(2_048) }), /2049 bytes is above the limit of 2048/);
});

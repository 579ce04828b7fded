import assert from "node:assert/strict";
import { formatCodec, parseCodec } from "../../../src/codec/codec.ts";
import { ConfigError } from "../../../src/domain/errors.ts";

const good = [
  { text: "gzip", algorithm: "gzip", level: 6 },
  { text: "gzip:9", algorithm: "gzip", level: 9 },
  { text: "zstd", algorithm: "zstd", level: 1 },
  { text: "zstd:19", algorithm: "zstd", level: 19 },
] as const;
for (const { text, algorithm, level } of good) {
  Deno.test(`parseCodec() reads ${text}`, () => {
    assert.deepEqual(parseCodec(text), { algorithm, level });
    assert.equal(formatCodec(parseCodec(text)), `${algorithm}:${level}`);
  });
}

for (const text of ["", "lz4", "gzip:0", "gzip:10", "zstd:20", "zstd:-1", "ZSTD", "zstd:1 ", "x"]) {
  Deno.test(`parseCodec() refuses ${JSON.stringify(text)}`, () => {
    assert.throws(() => parseCodec(text), ConfigError);
  });
}

import assert from "node:assert/strict";
import fc from "fast-check";
import type { Bytes } from "../../../src/domain/bytes.ts";
import { ConnectionError, ResponseReader } from "../../../src/storage/light_response.ts";
import { text } from "../../support/bodies.ts";

/** A connection that gives `bytes` in pieces of these lengths and then ends. */
function readerOf(bytes: Bytes, lengths: readonly number[] = []): ResponseReader {
  let at = 0;
  let piece = 0;
  return new ResponseReader((into) => {
    if (at === bytes.length) return Promise.resolve(null);
    const length = Math.min(into.length, lengths[piece++] ?? bytes.length, bytes.length - at);
    into.set(bytes.subarray(at, at + length));
    at += length;
    return Promise.resolve(length);
  });
}

async function bodyOf(reader: ResponseReader): Promise<string> {
  let body = "";
  for (let part = await reader.body(); part; part = await reader.body()) {
    body += new TextDecoder().decode(part);
  }
  return body;
}

const LONG = "x".repeat(300_000);
const ANSWERS = [
  {
    what: "a length",
    head: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n",
    body: "hello",
    raw: "hello",
  },
  {
    what: "chunks",
    head: "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n",
    body: "hello, world",
    raw: "5\r\nhello\r\n7;ext=1\r\n, world\r\n0\r\nTrailer: x\r\n\r\n",
  },
  { what: "nothing", head: "HTTP/1.1 204 No Content\r\n", body: "", raw: "" },
  {
    what: "much",
    head: `HTTP/1.1 200 OK\r\ncontent-length: ${LONG.length}\r\n`,
    body: LONG,
    raw: LONG,
  },
  {
    what: "an interim answer before",
    head: "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200\r\ncontent-length: 2\r\n",
    body: "ok",
    raw: "ok",
  },
];
for (const { what, head, body, raw } of ANSWERS) {
  Deno.test(`ResponseReader reads an answer with ${what} twice on one connection`, async () => {
    const whole = text(`${head}\r\n${raw}`);
    const pieces = fc.array(fc.integer({ min: 1, max: 70 }), { maxLength: 40 });
    await fc.assert(
      fc.asyncProperty(pieces, async (lengths) => {
        const reader = readerOf(text(`${head}\r\n${raw}${head}\r\n${raw}`), lengths);
        for (let times = 0; times < 2; times++) {
          const { status, keepAlive } = await reader.head("GET");
          assert.ok(status < 300 && keepAlive);
          assert.equal(await bodyOf(reader), body);
          assert.ok(reader.finished);
        }
      }),
      { numRuns: 20 },
    );
    if (raw === "") return;
    for (let cut = 0; cut < Math.min(whole.length, 200); cut++) {
      const reader = readerOf(whole.subarray(0, cut));
      await assert.rejects(
        async () => {
          await reader.head("GET");
          await bodyOf(reader);
        },
        ConnectionError,
        `cut at ${cut}`,
      );
    }
  });
}

const BROKEN = [
  { what: "no length", raw: "HTTP/1.1 200 OK\r\n\r\nhello" },
  {
    what: "a length that is no number",
    raw: "HTTP/1.1 200 OK\r\ncontent-length: 5, 5\r\n\r\nhello",
  },
  { what: "another protocol", raw: "SSH-2.0-OpenSSH\r\n\r\n" },
  { what: "a header without a name", raw: "HTTP/1.1 200 OK\r\n: x\r\n\r\n" },
  { what: "a head without an end", raw: `HTTP/1.1 200 OK\r\n${"a: b\r\n".repeat(20_000)}` },
  { what: "a line without an end", raw: `HTTP/1.1 200 OK\r\na: ${"b".repeat(200_000)}` },
  { what: "damaged chunks", raw: "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n" },
];
for (const { what, raw } of BROKEN) {
  Deno.test(`ResponseReader refuses ${what}`, async () => {
    const reader = readerOf(text(raw));
    await assert.rejects(async () => {
      await reader.head("GET");
      await bodyOf(reader);
    }, ConnectionError);
  });
}

Deno.test("ResponseReader reads no body behind the answer to HEAD", async () => {
  const reader = readerOf(text("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nETag: x\r\n\r\n"));
  const { headers } = await reader.head("HEAD");
  assert.equal(headers.get("content-length"), "5");
  assert.equal(await reader.body(), undefined);
  assert.ok(reader.finished);
});

Deno.test("ResponseReader tells when the connection may not be used again", async () => {
  const closing = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
  assert.equal((await readerOf(text(closing)).head("GET")).keepAlive, false);
  const old = "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n";
  assert.equal((await readerOf(text(old)).head("GET")).keepAlive, false);
});

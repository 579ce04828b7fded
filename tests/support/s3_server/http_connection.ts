/**
 * HTTP/1.1 on a bare connection (RFC 9112), so that a test can break an answer at any byte, which
 * `Deno.serve` does not allow.
 */
import type { Bytes } from "../../../src/domain/bytes.ts";

/** One request, read to its end. */
export interface HttpRequest {
  readonly method: string;
  /** Path and query as they were sent. */
  readonly target: string;
  readonly headers: Headers;
  readonly body: Bytes;
}

/** One answer and what goes wrong with it. */
export interface HttpAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Bytes;
  /** Send no more than this of the body, then close. */
  readonly cutAfter?: number;
  /** Wait for this before the connection is closed after a cut. */
  readonly closeAfter?: Promise<unknown>;
  /** Bytes a second. */
  readonly drip?: number;
  /** Wait for this before sending anything. */
  readonly delay?: Promise<unknown>;
  /** Close without a byte. */
  readonly silent?: boolean;
  /** Send these before the body, with chunked encoding, as S3 keeps a slow Complete alive. */
  readonly keepAliveSpaces?: number;
}

const HEAD_END = text("\r\n\r\n");

/** Answers the requests of one connection, one after another. */
export async function serveConnection(
  connection: Deno.Conn,
  answer: (request: HttpRequest) => Promise<HttpAnswer>,
): Promise<void> {
  const input = new BufferedInput(connection);
  try {
    for (;;) {
      const request = await readRequest(input, connection);
      if (request === undefined) return;
      const reply = await answer(request);
      if (!await send(connection, request, reply)) return;
    }
  } catch (error) {
    if (!isBroken(error)) throw error;
  } finally {
    try {
      connection.close();
    } catch { /* closed by the other side, or by the end of the test */ }
  }
}

async function readRequest(
  input: BufferedInput,
  connection: Deno.Conn,
): Promise<HttpRequest | undefined> {
  const head = await input.readUntil(HEAD_END);
  if (head === undefined) return undefined;
  const [first = "", ...lines] = new TextDecoder().decode(head).split("\r\n");
  const [method = "", target = ""] = first.split(" ");
  const headers = new Headers();
  for (const line of lines.filter((line) => line !== "")) {
    const colon = line.indexOf(":");
    headers.append(line.slice(0, colon), line.slice(colon + 1).trim());
  }
  if (headers.get("expect") === "100-continue") {
    await writeAll(connection, text("HTTP/1.1 100 Continue\r\n\r\n"));
  }
  const chunked = headers.get("transfer-encoding") === "chunked";
  const length = Number(headers.get("content-length") ?? 0);
  const body = chunked ? await readChunked(input) : await input.read(length);
  return body && { method, target, headers, body };
}

async function readChunked(input: BufferedInput): Promise<Bytes | undefined> {
  const chunks: Bytes[] = [];
  for (;;) {
    const line = await input.readUntil(text("\r\n"));
    if (line === undefined) return undefined;
    const length = parseInt(new TextDecoder().decode(line), 16);
    const chunk = await input.read(length);
    if (chunk === undefined || await input.read(2) === undefined) return undefined;
    if (length === 0) return join(chunks);
    chunks.push(chunk);
  }
}

/** @returns whether the connection may be used again. */
async function send(
  connection: Deno.Conn,
  request: HttpRequest,
  answer: HttpAnswer,
): Promise<boolean> {
  await answer.delay;
  if (answer.silent) return false;
  const chunked = answer.keepAliveSpaces !== undefined;
  const framing: Record<string, string> = chunked
    ? { "transfer-encoding": "chunked" }
    : { "content-length": answer.headers["content-length"] ?? String(answer.body.length) };
  const headers = Object.entries({ ...answer.headers, ...framing });
  const head = headers.map(([name, value]) => `${name}: ${value}\r\n`).join("");
  const start = text(`HTTP/1.1 ${answer.status} Answer\r\n${head}\r\n`);
  if (request.method === "HEAD" || answer.status === 204) {
    await writeAll(connection, start);
    return true;
  }
  if (chunked) return await sendChunked(connection, { ...answer, start });
  const body = answer.body.subarray(0, answer.cutAfter ?? answer.body.length);
  if (answer.drip === undefined) {
    await writeAll(connection, body.length < 65_536 ? join([start, body]) : start);
    if (body.length >= 65_536) await writeAll(connection, body);
  } else {
    await writeAll(connection, start);
    await writeSlowly(connection, body, answer.drip);
  }
  if (body.length === answer.body.length) return true;
  await answer.closeAfter;
  return false;
}

async function sendChunked(
  connection: Deno.Conn,
  answer: HttpAnswer & { readonly start: Bytes },
): Promise<boolean> {
  await writeAll(connection, answer.start);
  const pieces = Array.from({ length: answer.keepAliveSpaces ?? 0 }, () => text("  \n"));
  for (const piece of [...pieces, answer.body]) {
    if (piece.length === 0) continue;
    const size = text(`${piece.length.toString(16)}\r\n`);
    await writeAll(connection, join([size, piece, text("\r\n")]));
  }
  await writeAll(connection, text("0\r\n\r\n"));
  return true;
}

async function writeSlowly(connection: Deno.Conn, body: Bytes, rate: number): Promise<void> {
  const step = Math.max(1, Math.floor(rate / 20));
  for (let at = 0; at < body.length; at += step) {
    await writeAll(connection, body.subarray(at, at + step));
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function writeAll(connection: Deno.Conn, bytes: Bytes): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await connection.write(bytes.subarray(at));
}

/** Reads ahead, gives out exact amounts. */
class BufferedInput {
  readonly #connection: Deno.Conn;
  #held: Bytes = new Uint8Array(0);

  constructor(connection: Deno.Conn) {
    this.#connection = connection;
  }

  /** The bytes before `end`, which is dropped; undefined when the connection ends first. */
  async readUntil(end: Bytes): Promise<Bytes | undefined> {
    for (;;) {
      const at = indexOf(this.#held, end);
      if (at >= 0) {
        const found = this.#held.slice(0, at);
        this.#held = this.#held.slice(at + end.length);
        return found;
      }
      const more = await this.#receive();
      if (more === undefined) return undefined;
      this.#held = join([this.#held, more]);
    }
  }

  async read(length: number): Promise<Bytes | undefined> {
    const result = new Uint8Array(length);
    let filled = Math.min(length, this.#held.length);
    result.set(this.#held.subarray(0, filled));
    this.#held = this.#held.slice(filled);
    while (filled < length) {
      const count = await this.#connection.read(result.subarray(filled));
      if (count === null) return undefined;
      filled += count;
    }
    return result;
  }

  async #receive(): Promise<Bytes | undefined> {
    const chunk = new Uint8Array(65_536);
    const count = await this.#connection.read(chunk);
    return count === null ? undefined : chunk.subarray(0, count);
  }
}

function isBroken(error: unknown): boolean {
  return error instanceof Deno.errors.ConnectionReset ||
    error instanceof Deno.errors.BrokenPipe ||
    error instanceof Deno.errors.BadResource ||
    error instanceof Deno.errors.Interrupted ||
    error instanceof Deno.errors.UnexpectedEof ||
    error instanceof Deno.errors.InvalidData || // a client that refuses our certificate
    error instanceof Deno.errors.NotConnected;
}

function indexOf(bytes: Bytes, wanted: Bytes): number {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).indexOf(wanted);
}

function text(value: string): Bytes {
  return new TextEncoder().encode(value);
}

function join(chunks: readonly Bytes[]): Bytes {
  const joined = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0));
  let at = 0;
  for (const chunk of chunks) {
    joined.set(chunk, at);
    at += chunk.length;
  }
  return joined;
}

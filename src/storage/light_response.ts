/**
 * Reads one HTTP/1.1 answer off a connection. RFC 9112. An answer that is cut short is an error,
 * never an end.
 *
 * @module
 */
import { type Bytes, KiB } from "../domain/bytes.ts";

const BUFFER_BYTES = 128 * KiB;
/** Longer heads are somebody's attack or mistake. */
const MAX_HEAD_BYTES = 64 * KiB;

/** The peer closed, reset or stalled the connection, or does not speak HTTP. */
export class ConnectionError extends Error {
  override readonly name = "ConnectionError";
  /** Whether a byte of the answer had come. */
  readonly answered: boolean;
  /** There was no connection yet: nothing of the request can have reached the peer. */
  readonly unsent: boolean;

  constructor(
    message: string,
    { answered = false, unsent = false, cause }: {
      readonly answered?: boolean;
      readonly unsent?: boolean;
      readonly cause?: unknown;
    } = {},
  ) {
    super(message, { cause });
    this.answered = answered;
    this.unsent = unsent;
  }
}

/** Where bytes come from; undefined at the end. */
export type ReadBytes = (into: Bytes) => Promise<number | null>;

/** Status line and headers. */
export interface ResponseHead {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: ReadonlyMap<string, string>;
  /** The connection may serve another request behind this answer. */
  readonly keepAlive: boolean;
}

/** Buffers what arrives on a connection and takes answers apart. */
export class ResponseReader {
  readonly #read: ReadBytes;
  readonly #buffer: Bytes = new Uint8Array(BUFFER_BYTES);
  #start = 0;
  #end = 0;
  #answered = false;
  /** Bytes of the body, or of its current chunk, that are still to come. */
  #left = 0;
  #chunked = false;
  #finished = true;

  constructor(read: ReadBytes) {
    this.#read = read;
  }

  /** Whether the last answer has been read to its end. */
  get finished(): boolean {
    return this.#finished;
  }

  /** Whether it has, and nothing lies behind it that would be taken for the next one's. */
  get drained(): boolean {
    return this.#finished && this.#start === this.#end;
  }

  /** Whether a byte of the current answer has come. */
  get answered(): boolean {
    return this.#answered;
  }

  /** Reads a head; interim answers (1xx) are passed over. @throws {ConnectionError} */
  async head(method: string): Promise<ResponseHead> {
    this.#answered = false;
    this.#finished = false;
    while (true) {
      const head = await this.#oneHead();
      if (head.status < 200) continue;
      this.#frame(method, head);
      return head;
    }
  }

  /** The next bytes of the body in a buffer of their own; undefined at its end. */
  async body(): Promise<Bytes | undefined> {
    if (this.#finished) return undefined;
    if (this.#left === 0 && this.#chunked) await this.#nextChunk();
    if (this.#finished) return undefined;
    const part = await this.#take(this.#left);
    this.#left -= part.length;
    if (this.#left > 0) return part;
    if (!this.#chunked) this.#finished = true;
    else if (await this.#line() !== "") throw this.#broken("the answer's chunks are damaged");
    return part;
  }

  #frame(method: string, { status, headers, keepAlive }: ResponseHead): void {
    const length = headers.get("content-length");
    this.#chunked = false;
    this.#left = 0;
    if (method === "HEAD" || status === 204 || status === 304) {
      this.#finished = true;
      return;
    }
    if (/\bchunked\b/i.test(headers.get("transfer-encoding") ?? "")) {
      this.#chunked = true;
      return;
    }
    if (length === undefined && status >= 300 && !keepAlive) {
      this.#finished = true; // its words end with the connection; its status says enough
      return;
    }
    if (length === undefined || !/^\d{1,15}$/.test(length)) {
      throw this.#broken(`the answer has no usable length (${JSON.stringify(length ?? "none")})`);
    }
    this.#left = Number(length);
    this.#finished = this.#left === 0;
  }

  async #oneHead(): Promise<ResponseHead> {
    const status = await this.#line();
    const match = /^HTTP\/1\.([01]) (\d{3})(?: |$)/.exec(status);
    if (!match) {
      throw this.#broken(`it does not speak HTTP/1.1: ${JSON.stringify(status.slice(0, 40))}`);
    }
    const headers = new Map<string, string>();
    let bytes = status.length;
    for (let line = await this.#line(); line !== ""; line = await this.#line()) {
      bytes += line.length;
      if (bytes > MAX_HEAD_BYTES) throw this.#broken("the answer's head never ends");
      const colon = line.indexOf(":");
      if (colon < 1) throw this.#broken("the answer's head is damaged");
      headers.set(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim());
    }
    const keepAlive = match[1] === "1" && !/\bclose\b/i.test(headers.get("connection") ?? "");
    return { status: Number(match[2]), headers, keepAlive };
  }

  async #nextChunk(): Promise<void> {
    const line = await this.#line();
    const size = /^([0-9a-fA-F]{1,12})\s*(?:;|$)/.exec(line)?.[1];
    if (size === undefined) throw this.#broken("the answer's chunks are damaged");
    this.#left = Number.parseInt(size, 16);
    if (this.#left > 0) return;
    while (await this.#line() !== "");
    this.#finished = true;
  }

  async #line(): Promise<string> {
    const decoder = new TextDecoder("latin1");
    let line = "";
    while (true) {
      const feed = this.#buffer.subarray(this.#start, this.#end).indexOf(10);
      if (feed !== -1) {
        line += decoder.decode(this.#buffer.subarray(this.#start, this.#start + feed));
        this.#start += feed + 1;
        return line.endsWith("\r") ? line.slice(0, -1) : line;
      }
      line += decoder.decode(this.#buffer.subarray(this.#start, this.#end));
      if (line.length > MAX_HEAD_BYTES) throw this.#broken("the answer's head never ends");
      await this.#fill();
    }
  }

  async #take(most: number): Promise<Bytes> {
    if (this.#start === this.#end) {
      if (most >= BUFFER_BYTES) return await this.#direct(most);
      await this.#fill();
    }
    const part = this.#buffer.slice(this.#start, Math.min(this.#end, this.#start + most));
    this.#start += part.length;
    return part;
  }

  /** Large bodies pass the buffer by. TLS yields 4 to 16 KiB a time: too little for one each. */
  async #direct(most: number): Promise<Bytes> {
    const part = new Uint8Array(Math.min(most, 4 * BUFFER_BYTES));
    let filled = 0;
    try {
      while (filled < part.length) filled += await this.#some(part.subarray(filled));
    } catch (error) {
      if (filled === 0) throw error; // else the next reading meets it again
    }
    return part.subarray(0, filled);
  }

  async #some(into: Bytes): Promise<number> {
    const length = await this.#read(into);
    if (length === null) throw this.#broken("the connection was closed before the answer's end");
    this.#answered = true;
    return length;
  }

  async #fill(): Promise<void> {
    this.#start = 0;
    this.#end = 0;
    this.#end = await this.#some(this.#buffer);
  }

  #broken(message: string): ConnectionError {
    return new ConnectionError(message, { answered: this.#answered });
  }
}

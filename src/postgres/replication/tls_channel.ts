import type { Buffer } from "node:buffer";
import type { TLSSocket } from "node:tls";
import { type Bytes, MiB } from "../../domain/bytes.ts";
import type { Channel } from "./channel.ts";

/** Received and not yet read, above which no more is taken from the socket. */
const MOST_QUEUED = 4 * MiB;

/** A TLS connection. Received buffers wait in a queue until they are read. */
export class TlsChannel implements Channel {
  readonly encrypted = true;
  readonly #socket: TLSSocket;
  #queue: Buffer[] = [];
  #queued = 0;
  #ended = false;
  #error: Error | undefined;
  #wake: (() => void) | undefined;

  constructor(socket: TLSSocket) {
    this.#socket = socket;
    socket.on("data", (bytes: Buffer) => this.#receive(bytes));
    socket.on("error", (error) => this.#end(error));
    socket.on("close", () => this.#end());
    socket.on("end", () => this.#end());
  }

  async read(buffer: Bytes): Promise<number | null> {
    while (this.#queued === 0) {
      if (this.#error) throw this.#error;
      if (this.#ended) return null;
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
    let filled = 0;
    while (this.#queue.length > 0 && filled < buffer.length) {
      filled += this.#take(buffer.subarray(filled));
    }
    this.#queued -= filled;
    if (this.#queued < MOST_QUEUED && this.#socket.isPaused()) this.#socket.resume();
    return filled;
  }

  async write(bytes: Bytes): Promise<void> {
    await new Promise<void>((resolve, reject) =>
      this.#socket.write(bytes, (error) => error ? reject(error) : resolve())
    );
  }

  close(): void {
    this.#socket.destroy();
    this.#end();
  }

  /** Moves bytes of the first buffer in the queue, and the buffer out of it once it is empty. */
  #take(into: Bytes): number {
    const first = this.#queue[0]!;
    const part = first.length <= into.length ? first : first.subarray(0, into.length);
    into.set(part);
    if (part === first) this.#queue.shift();
    else this.#queue[0] = first.subarray(part.length);
    return part.length;
  }

  #receive(bytes: Buffer): void {
    this.#queue.push(bytes);
    this.#queued += bytes.length;
    if (this.#queued >= MOST_QUEUED) this.#socket.pause();
    this.#wake?.();
  }

  #end(error?: Error): void {
    this.#ended = true;
    this.#error ??= error;
    this.#wake?.();
  }
}

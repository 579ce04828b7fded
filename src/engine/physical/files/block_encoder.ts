import { type CodecSpec, encodeBlock } from "../../../codec/codec.ts";
import { type Bytes, discard } from "../../../domain/bytes.ts";

/** Blocks that wait at a helper at most: enough to keep it busy while its owner compresses one. */
const BLOCKS_AT_HELPER = 4;

/** A block that is being compressed. */
export interface BlockUnderWay {
  readonly bytes: Promise<Bytes>;
  /** Whether the raw bytes are a copy, so that the given ones may be written over at once. */
  readonly isCopied: boolean;
}

interface HelperRequest {
  readonly id: number;
  readonly raw: Bytes;
}

type HelperReply =
  | { readonly id: number; readonly bytes: Bytes }
  | { readonly id: number; readonly fault: string };

/**
 * Compresses the blocks of a chunk: here, or in threads that have no chunk of their own left. Else
 * one large table would keep a single core busy while the others wait.
 */
export class BlockEncoder {
  readonly #codec: CodecSpec;
  #helpers: readonly Helper[] = [];

  constructor(codec: CodecSpec) {
    this.#codec = codec;
  }

  /** How many blocks more than here can be under way. */
  get roomAtHelpers(): number {
    return this.#helpers.length * BLOCKS_AT_HELPER;
  }

  /** Another thread listens at the other end, by {@link helpEncode}. */
  addHelper(port: MessagePort): void {
    this.#helpers = [...this.#helpers, new Helper(port)];
  }

  encode(raw: Bytes): BlockUnderWay {
    const free = this.#helpers.find(({ waiting }) => waiting < BLOCKS_AT_HELPER);
    if (free) return { bytes: free.encode(raw.slice()), isCopied: true };
    return { bytes: encodeBlock(this.#codec, raw), isCopied: false };
  }

  /** The helpers may go. */
  dismiss(): void {
    for (const helper of this.#helpers) helper.close();
    this.#helpers = [];
  }
}

/** Compresses for another thread whatever comes, until it closes the port. */
export function helpEncode(port: MessagePort, codec: CodecSpec): void {
  port.onmessage = async ({ data: { id, raw } }: MessageEvent<HelperRequest>) => {
    const reply = await encodeBlock(codec, raw).then(
      (bytes): HelperReply => ({ id, bytes }),
      (error): HelperReply => ({
        id,
        fault: error instanceof Error ? `${error.stack}` : `${error}`,
      }),
    );
    discard(raw);
    port.postMessage(reply, "bytes" in reply ? [reply.bytes.buffer] : []);
  };
}

/** The owner's end. */
class Helper {
  readonly #port: MessagePort;
  readonly #waiting = new Map<number, PromiseWithResolvers<Bytes>>();
  #last = 0;

  constructor(port: MessagePort) {
    this.#port = port;
    port.onmessage = ({ data }: MessageEvent<HelperReply>) => this.#hear(data);
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  encode(raw: Bytes): Promise<Bytes> {
    const id = ++this.#last;
    const encoded = Promise.withResolvers<Bytes>();
    this.#waiting.set(id, encoded);
    this.#port.postMessage({ id, raw } satisfies HelperRequest, [raw.buffer]);
    return encoded.promise;
  }

  close(): void {
    this.#port.close();
  }

  #hear(reply: HelperReply): void {
    const encoded = this.#waiting.get(reply.id);
    this.#waiting.delete(reply.id);
    if ("bytes" in reply) encoded?.resolve(reply.bytes);
    else encoded?.reject(new Error(`a helping thread threw: ${reply.fault}`));
  }
}

import type { ObjectOpener, ObjectSealer } from "../crypto/crypto.ts";
import type { Bytes } from "../domain/bytes.ts";
import { KeyError } from "../domain/errors.ts";
import type {
  ClearCopies,
  ClearCopy,
  Codec,
  CodecPool,
  CodecSpec,
  ExpectedForm,
} from "./codec_port.ts";
import { StoredFormCheck } from "./stored_form_check.ts";

/** What a pool encrypts and opens with. */
export interface SealingOptions {
  /** Absent: new objects are stored in the clear. */
  readonly sealer?: ObjectSealer;
  /** Absent: encrypted objects cannot be opened. */
  readonly opener?: ObjectOpener;
  /** Read where there is no opener. */
  readonly copies?: ClearCopies;
}

/** Encrypts what another pool compresses, and opens it before that one decompresses it. */
export class SealingPool implements CodecPool {
  readonly #inner: CodecPool;
  readonly #sealer: ObjectSealer | undefined;
  readonly #opener: ObjectOpener | undefined;
  readonly #copies: ClearCopies | undefined;

  /** Wraps `inner`, which is closed with this one. */
  constructor(inner: CodecPool, { sealer, opener, copies }: SealingOptions) {
    this.#inner = inner;
    this.#sealer = sealer;
    this.#opener = opener;
    this.#copies = copies;
  }

  /** How many threads. */
  get size(): number {
    return this.#inner.size;
  }

  /** Whether what is encoded is encrypted as well. */
  get sealing(): boolean {
    return this.#sealer !== undefined;
  }

  /** Both directions of one algorithm. */
  codec(spec: CodecSpec): Codec {
    const inner = this.#inner.codec(spec);
    return {
      spec,
      extension: inner.extension,
      encode: (options = {}) => this.#encoder(inner, options),
      decode: (options = {}) => this.#decoder(inner, options),
    };
  }

  /** Opens an encrypted object and leaves it compressed. */
  unseal(
    name: string,
    { expected = {}, signal }: {
      readonly expected?: ExpectedForm;
      readonly signal?: AbortSignal;
    } = {},
  ): TransformStream<Bytes, Bytes> {
    if (!this.#opener) throw notOpened(name);
    const { storedBytes, sha256 } = expected;
    const check = compared({
      ...(storedBytes !== undefined && { storedBytes }),
      ...(sha256 !== undefined && { sha256 }),
    });
    return chained(check, this.#opener.stream(name), signal);
  }

  /** Encrypts what was compressed elsewhere. */
  seal(name: string): TransformStream<Bytes, Bytes> {
    return this.#sealer?.stream(name) ?? new TransformStream();
  }

  /** Ends the threads; streams under way fail. */
  close(): void {
    this.#inner.close();
  }

  /** The same as {@link SealingPool.close}. */
  [Symbol.dispose](): void {
    this.close();
  }

  #encoder(
    inner: Codec,
    options: NonNullable<Parameters<Codec["encode"]>[0]>,
  ): TransformStream<Bytes, Bytes> {
    const { name, signal } = options;
    const encoder = inner.encode(options);
    if (!this.#sealer) return encoder;
    // Never in the clear, and never under a name that it was not sealed for.
    if (name === undefined) throw new TypeError("an object that is to be encrypted has no name");
    const copy = this.#copies?.keep(name);
    const copied = copy ? chained(encoder, copying(copy), signal) : encoder;
    return chained(copied, this.#sealer.stream(name), signal);
  }

  #decoder(
    inner: Codec,
    { expected = {}, sealedAs, signal }: NonNullable<Parameters<Codec["decode"]>[0]>,
  ): TransformStream<Bytes, Bytes> {
    const stop = signal ? { signal } : {};
    if (sealedAs === undefined) return inner.decode({ expected, ...stop });
    const { rawBytes } = expected;
    const decoder = inner.decode({
      expected: rawBytes === undefined ? {} : { rawBytes },
      ...stop,
    });
    const copy = this.#opener ? undefined : this.#copies?.read(sealedAs);
    if (copy) return replaced(copy.pipeThrough(decoder, stop));
    return chained(this.unseal(sealedAs, { expected, ...stop }), decoder, signal);
  }
}

function chained(
  first: TransformStream<Bytes, Bytes>,
  second: TransformStream<Bytes, Bytes>,
  signal: AbortSignal | undefined,
): TransformStream<Bytes, Bytes> {
  const readable = first.readable.pipeThrough(second, signal ? { signal } : {});
  return { writable: first.writable, readable };
}

/** Lets bytes pass, and keeps them. */
function copying(copy: ClearCopy): TransformStream<Bytes, Bytes> {
  return new TransformStream<Bytes, Bytes>({
    transform(bytes, controller) {
      copy.write(bytes);
      controller.enqueue(bytes);
    },
    flush: () => copy.close(),
    cancel: () => copy.abandon(),
  });
}

/** Whatever is written, `readable` is read. */
function replaced(readable: ReadableStream<Bytes>): TransformStream<Bytes, Bytes> {
  return { writable: new WritableStream<Bytes>(), readable };
}

/** Lets stored bytes pass, and ends only when they were what is expected. */
function compared(expected: ExpectedForm): TransformStream<Bytes, Bytes> {
  const check = new StoredFormCheck(expected);
  return new TransformStream({
    transform(bytes, controller) {
      check.stored(bytes);
      controller.enqueue(bytes);
    },
    flush: () => check.end(),
  });
}

function notOpened(name: string): KeyError {
  return new KeyError(
    `${name} is encrypted, and no identity is given`,
    "name a file with it: encryption.identity_file, or --identity FILE (- for standard input)",
  );
}

import type { Bytes } from "../domain/bytes.ts";

/** An algorithm with its level: gzip 1 to 9, zstd 1 to 19. */
export interface CodecSpec {
  /** The name of the method. */
  readonly algorithm: "gzip" | "zstd";
  /** Higher is smaller and slower. */
  readonly level: number;
}

/** What a stored object must turn out to be. */
export interface StoredForm {
  /** Bytes as stored. */
  readonly storedBytes: number;
  /** Bytes before compression. */
  readonly rawBytes: number;
  /** SHA-256 of the stored bytes, in lower-case hexadecimal. */
  readonly sha256: string;
}

/** What is known of a stored object before it is read; all that is known must turn out true. */
export type ExpectedForm = Partial<StoredForm>;

/** Both directions of one algorithm. */
export interface Codec {
  /** What it was made for. */
  readonly spec: CodecSpec;
  /** What the object's name ends with: `.zst` or `.gz`. */
  readonly extension: ".zst" | ".gz";

  /**
   * Compresses: cuts the input into blocks of 1 MiB, maps them on the workers, joins in order.
   *
   * @param options.cut false when every chunk that is written already is a block of at most 1 MiB
   * (its buffer is transferred: the writer must not touch it again).
   * @param options.name the object's full key in the store: a pool that encrypts binds it to that.
   */
  encode(
    options?: {
      readonly cut?: boolean;
      readonly name?: string;
      readonly signal?: AbortSignal;
    },
  ): TransformStream<Bytes, Bytes>;

  /**
   * Decompresses block by block. Errors with {@link IntegrityError}, after at most the good
   * blocks before the fault, when a block is damaged or cut short, or when the whole is not
   * `expected`.
   *
   * @param options.sealedAs the key under which an encrypted object is stored; absent: it is not
   * encrypted.
   */
  decode(
    options?: {
      readonly expected?: ExpectedForm;
      readonly sealedAs?: string;
      readonly signal?: AbortSignal;
    },
  ): TransformStream<Bytes, Bytes>;
}

/** Clear copies of some objects, for who encrypts and cannot open. None is ever a reason to fail. */
export interface ClearCopies {
  /** Begins a copy; undefined when of this object there shall be none, or there can be none. */
  keep(name: string): ClearCopy | undefined;
  /** What was kept; undefined when nothing was. */
  read(name: string): ReadableStream<Bytes> | undefined;
}

/** A copy that is being made. Its calls never throw. */
export interface ClearCopy {
  /** Takes the next bytes. */
  write(bytes: Bytes): void;
  /** It is whole. */
  close(): void;
  /** It is not wanted any more. */
  abandon(): void;
}

/** Threads that compress. Started at the first block, ended by `close`. */
export interface CodecPool {
  /** How many threads. */
  readonly size: number;
  /** Both directions of one algorithm on these threads. */
  codec(spec: CodecSpec): Codec;
  /** Whether what is encoded is encrypted as well. @default {false} */
  readonly sealing?: boolean;
  /**
   * Opens an encrypted object and leaves it compressed, for who decodes it elsewhere. Errors with
   * {@link KeyError} when no identity opens it.
   *
   * @param name the key under which it is stored.
   */
  unseal?(
    name: string,
    options?: { readonly expected?: ExpectedForm; readonly signal?: AbortSignal },
  ): TransformStream<Bytes, Bytes>;
  /**
   * Encrypts what was compressed elsewhere; there when {@link CodecPool.sealing}.
   *
   * @param name the key under which it will be stored.
   */
  seal?(name: string): TransformStream<Bytes, Bytes>;
  /** Ends the threads; streams under way fail. */
  close(): void;
}

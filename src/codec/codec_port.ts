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
   */
  encode(options?: { readonly cut?: boolean; readonly signal?: AbortSignal }): TransformStream<
    Bytes,
    Bytes
  >;

  /**
   * Decompresses block by block. Errors with {@link IntegrityError}, after at most the good
   * blocks before the fault, when a block is damaged or cut short, or when the whole is not
   * `expected`.
   */
  decode(
    options?: { readonly expected?: StoredForm; readonly signal?: AbortSignal },
  ): TransformStream<Bytes, Bytes>;
}

/** Threads that compress. Started at the first block, ended by `close`. */
export interface CodecPool {
  /** How many threads. */
  readonly size: number;
  /** Both directions of one algorithm on these threads. */
  codec(spec: CodecSpec): Codec;
  /** Ends the threads; streams under way fail. */
  close(): void;
}

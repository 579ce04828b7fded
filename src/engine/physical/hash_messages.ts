/** What the main thread and a hashing thread say to each other. */
import type { ChecksumAlgorithm } from "./file_checksum.ts";

/** A file to be hashed. */
export interface HashJob {
  /** Absolute. Links are not followed. */
  readonly path: string;
  readonly algorithm: ChecksumAlgorithm;
}

/** What a file turned out to be. */
export interface HashedFile {
  readonly bytes: number;
  /** In hexadecimal. */
  readonly checksum: string;
}

/** To the thread: one batch at a time. */
export type HashRequest = readonly HashJob[];

/** From the thread: as many as there were jobs; null for what is no readable file. */
export type HashReply =
  | { readonly type: "hashed"; readonly files: readonly (HashedFile | null)[] }
  | { readonly type: "failed"; readonly message: string };

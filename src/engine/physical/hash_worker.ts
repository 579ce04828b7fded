/** A thread that computes checksums of files. Every call in it is synchronous. */
/// <reference lib="deno.worker" />
import * as fs from "node:fs";
import type { Bytes } from "../../domain/bytes.ts";
import { MiB } from "../../domain/bytes.ts";
import { fileChecksum } from "./file_checksum.ts";
import type { HashedFile, HashJob, HashReply, HashRequest } from "./hash_messages.ts";

declare const self: DedicatedWorkerGlobalScope;

const buffer: Bytes = new Uint8Array(MiB);

self.onmessage = (event: MessageEvent<HashRequest>) => {
  self.postMessage(answer(event.data));
};

function answer(jobs: HashRequest): HashReply {
  try {
    return { type: "hashed", files: jobs.map(hash) };
  } catch (error) {
    return { type: "failed", message: error instanceof Error ? error.message : String(error) };
  }
}

function hash({ path, algorithm }: HashJob): HashedFile | null {
  if (!fs.lstatSync(path, { throwIfNoEntry: false })?.isFile()) return null;
  const descriptor = fs.openSync(path, "r");
  try {
    const checksum = fileChecksum(algorithm);
    let bytes = 0;
    for (;;) {
      const count = fs.readSync(descriptor, buffer, 0, buffer.length, null);
      if (count === 0) return { bytes, checksum: checksum.digest() };
      checksum.update(buffer.subarray(0, count));
      bytes += count;
    }
  } finally {
    fs.closeSync(descriptor);
  }
}

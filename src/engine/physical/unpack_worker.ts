/** A thread that opens chunks and writes their files. Every call in it is synchronous. */
/// <reference lib="deno.worker" />
import { discard } from "../../domain/bytes.ts";
import { DestinationError, IntegrityError } from "../../domain/errors.ts";
import { ChunkReader } from "./chunk_reader.ts";
import { ChunkUnpacker } from "./chunk_unpacker.ts";
import type { UnpackReply, UnpackRequest, UnpackSetup } from "./unpack_messages.ts";

declare const self: DedicatedWorkerGlobalScope;

interface Work {
  readonly setup: UnpackSetup;
  readonly unpacker: ChunkUnpacker;
  reader: ChunkReader | undefined;
}

let work: Work | undefined;

self.onmessage = (event: MessageEvent<UnpackRequest>) => {
  const request = event.data;
  if (request.type === "setup") {
    const { setup } = request;
    work = { setup, unpacker: new ChunkUnpacker(setup.folders, setup), reader: undefined };
    return;
  }
  if (!work) return; // it failed before
  try {
    const reply = answer(work, request);
    if (reply) self.postMessage(reply);
  } catch (error) {
    work.unpacker.abandon();
    work = undefined;
    self.postMessage(failure(error));
  }
};

function answer(
  work: Work,
  request: Exclude<UnpackRequest, { readonly type: "setup" }>,
): UnpackReply | undefined {
  const { setup, unpacker } = work;
  if (request.type === "begin") {
    const { algorithm } = setup;
    work.reader = new ChunkReader(unpacker, { algorithm, expected: request.expected });
    return undefined;
  }
  if (request.type === "bytes") {
    const storedBytes = request.bytes.length;
    const rawBytes = work.reader?.push(request.bytes) ?? 0;
    discard(request.bytes);
    return { type: "taken", storedBytes, rawBytes };
  }
  work.reader?.finish();
  return { type: "done", chunk: unpacker.take() };
}

function failure(error: unknown): UnpackReply {
  if (error instanceof IntegrityError || error instanceof DestinationError) {
    const kind = error instanceof IntegrityError ? "integrity" : "destination";
    return { type: "failed", kind, message: error.message, hint: error.hint };
  }
  const message = error instanceof Error ? `${error.stack}` : String(error);
  return { type: "failed", kind: "fault", message, hint: undefined };
}

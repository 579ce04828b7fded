/** A thread of the {@link WorkerPool}: one block in, one block out, in the order of arrival. */
/// <reference lib="deno.worker" />
import { discard } from "../domain/bytes.ts";
import { IntegrityError } from "../domain/errors.ts";
import { decodeBlock, encodeBlock } from "./block.ts";
import type { CodecJob, CodecReply } from "./codec_job.ts";

declare const self: DedicatedWorkerGlobalScope;

self.onmessage = async (event: MessageEvent<{ readonly id: number; readonly job: CodecJob }>) => {
  const { id, job } = event.data;
  const reply = await answer(id, job);
  self.postMessage(reply, "bytes" in reply ? [reply.bytes.buffer] : []);
};

async function answer(id: number, job: CodecJob): Promise<CodecReply> {
  try {
    const bytes = job.kind === "encode"
      ? await encodeBlock(job.spec, job.bytes)
      : decodeBlock(job.algorithm, job.bytes);
    discard(job.bytes);
    return { id, bytes };
  } catch (error) {
    if (error instanceof IntegrityError) return { id, damage: error.message };
    return { id, fault: error instanceof Error ? `${error.stack}` : String(error) };
  }
}

import type { Bytes } from "../domain/bytes.ts";
import type { CodecSpec } from "./codec_port.ts";

/** One block's work. Its buffer is transferred. */
export type CodecJob =
  | { readonly kind: "encode"; readonly spec: CodecSpec; readonly bytes: Bytes }
  | {
    readonly kind: "decode";
    readonly algorithm: CodecSpec["algorithm"];
    readonly bytes: Bytes;
  };

/** What a worker answers to the job of the same number. */
export type CodecReply =
  | { readonly id: number; readonly bytes: Bytes }
  | { readonly id: number; readonly damage: string }
  | { readonly id: number; readonly fault: string };

/** What the main thread and an unpacking thread say to each other. */
import type { CodecSpec, ExpectedForm } from "../../codec/codec.ts";
import type { Bytes } from "../../domain/bytes.ts";
import type { FileOwner } from "./file_owner.ts";
import type { RestoreFolders } from "./member_path.ts";
import type { Selection } from "./selection.ts";

/** Where a thread writes; said once. */
export interface UnpackSetup {
  readonly folders: RestoreFolders;
  readonly owner: FileOwner | undefined;
  readonly algorithm: CodecSpec["algorithm"];
  /** @default everything */
  readonly selection?: Selection;
}

/** To the thread: `setup` once, then for each chunk `begin`, `bytes` …, `end`. */
export type UnpackRequest =
  | { readonly type: "setup"; readonly setup: UnpackSetup }
  | { readonly type: "begin"; readonly expected: ExpectedForm }
  | { readonly type: "bytes"; readonly bytes: Bytes }
  | { readonly type: "end" };

/** What became of one chunk. */
export interface UnpackedChunk {
  /** That were made; not those that pages were written into. */
  readonly files: number;
  /** Members that backup_manifest lists. */
  readonly listed: number;
  /** Folders that were made for it. */
  readonly created: readonly string[];
  /** Those of the files without which no server starts. */
  readonly required: readonly string[];
}

/** From the thread. */
export type UnpackReply =
  /** One `bytes` message is done. */
  | { readonly type: "taken"; readonly storedBytes: number; readonly rawBytes: number }
  | { readonly type: "done"; readonly chunk: UnpackedChunk }
  /** Nothing follows. */
  | {
    readonly type: "failed";
    readonly kind: "integrity" | "destination" | "fault";
    readonly message: string;
    readonly hint: string | undefined;
  };

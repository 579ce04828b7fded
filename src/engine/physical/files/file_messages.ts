/** What the main thread and a thread that reads the server's files say to each other. */
import type { CodecSpec } from "../../../codec/codec.ts";
import type { Bytes } from "../../../domain/bytes.ts";
import type { Lsn } from "../../../domain/lsn.ts";
import type {
  DamagedPage,
  DataDirectoryOptions,
  DataFileList,
  PageLayout,
} from "../../../postgres/postgres.ts";

/** What tells a file from another one that once had, or will have, its path. */
export interface FileIdentity {
  /** In bytes. */
  readonly size: number;
  readonly inode: number;
  /** Milliseconds since 1970. */
  readonly bornAt: number;
}

/** What a thread works with; said once. */
export interface FileSetup {
  /** Absolute. */
  readonly dataDirectory: string;
  readonly codec: CodecSpec;
  readonly pages: PageLayout;
  /** Of an increment: where its parent began. Pages that are older are in the parent. */
  readonly since?: Lsn;
}

/** One member of a chunk. */
export type ChunkEntry =
  /**
   * A file as it lies in the data directory; when it has vanished, it is left out. When it is still
   * the one that the parent knew, only what changed in it.
   */
  | { readonly type: "file"; readonly path: string; readonly known?: FileIdentity }
  /** A file that must be there and be so long. */
  | { readonly type: "wal"; readonly path: string; readonly size: number | undefined }
  /** A file that the main thread has. */
  | {
    readonly type: "content";
    readonly path: string;
    readonly bytes: Bytes;
    /** Milliseconds since 1970. */
    readonly modifiedAt: number;
    /** Whether it belongs to backup_manifest, which lists no WAL. */
    readonly listed: boolean;
  }
  | { readonly type: "folder"; readonly path: string };

/** To the thread. */
export type FileRequest =
  | { readonly type: "setup"; readonly setup: FileSetup }
  | { readonly type: "list"; readonly options: DataDirectoryOptions }
  | { readonly type: "chunk"; readonly entries: readonly ChunkEntry[] }
  /** A helper listens at the port; for the chunk under way. */
  | { readonly type: "helper"; readonly port: MessagePort }
  /** Compress what comes through the port. */
  | { readonly type: "help"; readonly port: MessagePort }
  /** One block is on its way into the store. */
  | { readonly type: "taken" };

/** A file that was stored. */
export interface PackedFile {
  /** The member's name; of a file of which pages are stored, not the file's own. */
  readonly path: string;
  readonly size: number;
  /** Milliseconds since 1970. */
  readonly modifiedAt: number;
  readonly sha256: string;
  /** For the next increment; absent when nothing could be left out of this file by it. */
  readonly identity?: FileIdentity & {
    /** The file's own. */
    readonly path: string;
  };
  /** Absent when all pages are good, or none were verified. */
  readonly damaged?: readonly DamagedPage[];
}

/** What became of one chunk. What is said of each file is text already: there may be a million. */
export interface PackedChunk {
  /** How many are in backup_manifest. */
  readonly files: number;
  /** Their entries in it, as `manifestEntries` makes them. */
  readonly manifestEntries: Bytes;
  /** Their lines in the list from which an increment knows them. */
  readonly fileList: Bytes;
  /** Those of them that have damaged pages, and those without which there is no backup. */
  readonly notable: readonly PackedFile[];
  readonly rawBytes: number;
  readonly storedBytes: number;
  /** Of the stored bytes. */
  readonly sha256: string;
}

/** From the thread. */
export type FileReply =
  | { readonly type: "listed"; readonly list: DataFileList }
  | { readonly type: "block"; readonly bytes: Bytes; readonly rawBytes: number }
  | { readonly type: "done"; readonly chunk: PackedChunk }
  /** Nothing follows. */
  | {
    readonly type: "failed";
    readonly kind: "postgres" | "fault";
    readonly message: string;
    readonly hint: string | undefined;
  };

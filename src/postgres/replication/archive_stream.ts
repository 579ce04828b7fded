import { PostgresError } from "../../domain/errors.ts";
import type { BaseBackupEvent, Tablespace } from "../postgres.ts";
import type { MessageReader } from "./message_reader.ts";
import { zeroTerminated } from "./wire.ts";

/** What the copies of a base backup mean; it differs between versions. */
export interface ArchiveStream {
  /** A copy begins. */
  copyBegins(): BaseBackupEvent | undefined;
  /** The reader stands at a message of a copy. */
  copyData(reader: MessageReader): BaseBackupEvent | undefined;
  /** A copy ends. */
  copyEnds(): BaseBackupEvent | undefined;
  /** @throws {PostgresError} unless everything has come. */
  checkComplete(): void;
}

/** What ends a tar. PostgreSQL sends it since 15. */
const END_OF_TAR = 1024;

/** Until PostgreSQL 14: a copy for every tablespace in the order of the rows, then the manifest's. */
export class CopyForEach implements ArchiveStream {
  readonly #archives: readonly (Tablespace | undefined)[];
  #copies = 0;
  #open = false;

  constructor(archives: readonly (Tablespace | undefined)[]) {
    this.#archives = archives;
  }

  copyBegins(): BaseBackupEvent | undefined {
    if (this.#open) throw incomplete(`copy ${this.#copies} has no end`);
    this.#open = true;
    this.#copies += 1;
    if (this.#copies > this.#archives.length) return undefined;
    return { type: "archive", tablespace: this.#archives[this.#copies - 1] };
  }

  copyData(reader: MessageReader): BaseBackupEvent {
    if (!this.#open) throw incomplete("data came outside of a copy");
    const bytes = reader.body();
    return { type: this.#copies > this.#archives.length ? "manifest" : "data", bytes };
  }

  copyEnds(): BaseBackupEvent | undefined {
    this.#open = false;
    if (this.#copies > this.#archives.length) return undefined;
    return { type: "data", bytes: new Uint8Array(END_OF_TAR) };
  }

  checkComplete(): void {
    if (!this.#open && this.#copies === this.#archives.length + 1) return;
    throw incomplete(`${this.#copies} of ${this.#archives.length + 1} copies`);
  }
}

const NEW_ARCHIVE = 0x6e;
const DATA = 0x64;
const MANIFEST = 0x6d;
const PROGRESS = 0x70;

/** Since PostgreSQL 15: one copy, whose messages tell by their first byte what they are. */
export class OneCopy implements ArchiveStream {
  readonly #archives: readonly (Tablespace | undefined)[];
  #begun = 0;
  #inManifest = false;
  #state: "before" | "open" | "ended" = "before";

  constructor(archives: readonly (Tablespace | undefined)[]) {
    this.#archives = archives;
  }

  copyBegins(): undefined {
    if (this.#state !== "before") throw incomplete("a second copy came");
    this.#state = "open";
  }

  copyData(reader: MessageReader): BaseBackupEvent | undefined {
    if (this.#state !== "open") throw incomplete("data came outside of the copy");
    switch (reader.byteAt(0)) {
      case DATA:
        return { type: this.#inManifest ? "manifest" : "data", bytes: reader.body(1) };
      case NEW_ARCHIVE:
        return this.#archiveBegins(reader);
      case MANIFEST:
        this.#inManifest = true;
        return undefined;
      case PROGRESS:
        return undefined;
      default:
        throw new PostgresError(
          `a base backup message of type ${reader.byteAt(0)} arrived, which is not known`,
          "is the server newer than this backupctl?",
        );
    }
  }

  copyEnds(): undefined {
    this.#state = "ended";
  }

  checkComplete(): void {
    const all = this.#inManifest && this.#begun === this.#archives.length;
    if (all && this.#state === "ended") return;
    throw incomplete(`${this.#begun} of ${this.#archives.length} archives`);
  }

  /** `base.tar` or `<oid>.tar`, then the tablespace's path. */
  #archiveBegins(reader: MessageReader): BaseBackupEvent {
    const [name = ""] = zeroTerminated(reader.body(1));
    const oid = /^(\d+)\.tar$/.exec(name)?.[1];
    const tablespace = this.#archives.find((known) => known?.oid === Number(oid ?? -1));
    if (name !== "base.tar" && !tablespace) {
      throw new PostgresError(`an archive ${JSON.stringify(name)} arrived that was not announced`);
    }
    this.#begun += 1;
    return { type: "archive", tablespace };
  }
}

function incomplete(what: string): PostgresError {
  return new PostgresError(
    `the base backup ended too early: ${what}`,
    "see the server's log, then take the backup again",
  );
}

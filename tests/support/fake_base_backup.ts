/**
 * A base backup without a server: it replays tars, made by a library of others, in pieces.
 *
 * @module
 */
import { packTar, type TarEntry } from "modern-tar";
import type { Bytes } from "../../src/domain/bytes.ts";
import type {
  BaseBackup,
  BaseBackupEvent,
  BaseBackupSource,
  Tablespace,
} from "../../src/postgres/postgres.ts";

/** A file or folder of an archive; a name with a slash at its end is a folder. */
export interface FakeMember {
  readonly name: string;
  readonly content?: Bytes | string;
  readonly link?: string;
  /** Another type than file, folder or symbolic link, for hostile archives. */
  readonly type?: TarEntry["header"]["type"];
}

/** The data directory's archive, or a tablespace's. */
export interface FakeArchive {
  readonly tablespace?: Tablespace;
  readonly members: readonly FakeMember[];
}

/** What the fake server sends. */
export interface FakeBackupOptions {
  readonly archives: readonly FakeArchive[];
  /** PostgreSQL's backup_manifest; null for none. @default {the list of the archives' files} */
  readonly manifest?: string | null;
  /** Length of the pieces, which are views on one buffer as a real source's are. @default {32768} */
  readonly pieceBytes?: number;
  /** Tablespaces that the server speaks of; those of the archives when absent. */
  readonly tablespaces?: readonly Tablespace[];
  readonly stopTimeline?: number;
  /** Called before each event, with the bytes that were sent so far. */
  readonly onEvent?: (sentBytes: number) => void;
}

/** A tar as the server sends it: without the blocks of zeros at its end. */
export async function serverTar(members: readonly FakeMember[]): Promise<Bytes> {
  const tar = await packTar(members.map(entry));
  return new Uint8Array(tar.subarray(0, tar.length - 1024));
}

function entry({ name, content, link, type }: FakeMember): TarEntry {
  const body = typeof content === "string" ? new TextEncoder().encode(content) : content;
  const kind = link !== undefined ? "symlink" : name.endsWith("/") ? "directory" : "file";
  return {
    header: {
      name,
      type: type ?? kind,
      size: body?.length ?? 0,
      mode: kind === "directory" ? 0o700 : 0o600,
      ...(link !== undefined && { linkname: link }),
    },
    ...(body && { body }),
  };
}

/** The least that a data directory may have, to which a test adds what it is about. */
export const CORE_MEMBERS: readonly FakeMember[] = [
  { name: "backup_label", content: "START WAL LOCATION: 0/2000028\n" },
  { name: "PG_VERSION", content: "15\n" },
  { name: "base/" },
  { name: "global/" },
  { name: "pg_tblspc/" },
  { name: "pg_wal/" },
  { name: "./pg_wal/archive_status/" },
];

/** What the server sends last of the data directory. */
export const CONTROL_MEMBER: FakeMember = { name: "global/pg_control", content: "control" };

/** Starts the same backup each time. */
export class FakeSource implements BaseBackupSource {
  readonly #options: FakeBackupOptions;
  /** How many backups were begun and not disposed of. */
  open = 0;

  constructor(options: FakeBackupOptions) {
    this.#options = options;
  }

  start(): Promise<BaseBackup> {
    this.open += 1;
    const { archives, tablespaces, stopTimeline = 1 } = this.#options;
    const known = tablespaces ?? archives.flatMap(({ tablespace }) => tablespace ?? []);
    return Promise.resolve({
      startLsn: 0x2000028n,
      timeline: 1,
      tablespaces: known,
      estimatedBytes: undefined,
      events: () => this.#events(),
      stop: () => ({ stopLsn: 0x2000100n, timeline: stopTimeline }),
      [Symbol.asyncDispose]: () => {
        this.open -= 1;
        return Promise.resolve();
      },
    });
  }

  async *#events(): AsyncGenerator<BaseBackupEvent> {
    const { archives, manifest = manifestOf(archives), pieceBytes = 32_768, onEvent = () => {} } =
      this.#options;
    const buffer = new Uint8Array(pieceBytes);
    let sent = 0;
    for (const { tablespace, members } of archives) {
      yield { type: "archive", tablespace };
      for (const piece of pieces(await serverTar(members), buffer)) {
        onEvent(sent);
        yield { type: "data", bytes: piece };
        sent += piece.length;
        buffer.fill(0xee); // a view is valid only until the next event
      }
    }
    if (manifest === null) return;
    for (const bytes of pieces(new TextEncoder().encode(manifest), buffer)) {
      yield { type: "manifest", bytes };
    }
  }
}

/** A list of files in PostgreSQL's form. */
export function manifestOf(archives: readonly FakeArchive[]): string {
  const lines = archives.flatMap(({ tablespace, members }) =>
    members.filter((member) => member.link === undefined && !member.name.endsWith("/"))
      .map(({ name, content = "" }) => ({
        Path: tablespace ? `pg_tblspc/${tablespace.oid}/${name}` : name,
        Size: typeof content === "string"
          ? new TextEncoder().encode(content).length
          : content.length,
      }))
      .map((file) => JSON.stringify(file).replace("{", "{ ").replace(/}$/, " }"))
  );
  return `{ "PostgreSQL-Backup-Manifest-Version": 1,\n"Files": [\n${lines.join(",\n")}\n],\n}\n`;
}

function* pieces(bytes: Bytes, buffer: Bytes): Generator<Bytes> {
  for (let at = 0; at < bytes.length; at += buffer.length) {
    const piece = bytes.subarray(at, at + buffer.length);
    buffer.set(piece);
    yield buffer.subarray(0, piece.length);
  }
}

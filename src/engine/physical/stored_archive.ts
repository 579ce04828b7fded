import type { Bytes } from "../../domain/bytes.ts";
import { PostgresError } from "../../domain/errors.ts";
import type { ChunkCutter } from "./chunk_cutter.ts";
import { FileTally, isListed } from "./file_tally.ts";
import { NOT_STORED, REQUIRED_FILES } from "./required_files.ts";
import type { TarMember } from "./tar_member.ts";
import { moveTarHeader } from "./tar_member.ts";
import type { TarHandler } from "./tar_reader.ts";

/** Hands the members of the server's archives to the cutter, under the names they are stored by. */
export class StoredArchive implements TarHandler {
  readonly #cutter: ChunkCutter;
  readonly #oids: ReadonlySet<number>;
  readonly #missing = new Set<string>(REQUIRED_FILES);
  /** What arrived, to be compared with PostgreSQL's own list. */
  readonly tally = new FileTally();
  /** By the number of the chunk: how many files of PostgreSQL's own list it holds. */
  readonly filesOf = new Map<number, number>();
  #oid: number | undefined;
  #skipped = false;

  constructor(cutter: ChunkCutter, tablespaceOids: Iterable<number>) {
    this.#cutter = cutter;
    this.#oids = new Set(tablespaceOids);
  }

  /** The archive of a tablespace begins, or the data directory's. */
  archive(oid: number | undefined): void {
    this.#oid = oid;
  }

  begin(member: TarMember, header: Bytes): void {
    const folder = this.#oid === undefined ? "" : `pg_tblspc/${this.#oid}/`;
    if (member.type === "file") this.tally.add(`${folder}${member.name}`, member.size);
    this.#skipped = this.#oid === undefined && this.#isSkipped(member);
    if (this.#skipped) return;
    if (member.type === "symlink") {
      throw new PostgresError(`the server sent ${member.name}, a symbolic link, as a file`);
    }
    if (this.#oid === undefined) this.#missing.delete(member.name);
    const named = this.#oid === undefined
      ? header
      : moveTarHeader(header, `pg_tblspc/${this.#oid}`);
    this.#cutter.begin(member, named);
    if (member.type !== "file" || !isListed(`${folder}${member.name}`)) return;
    const chunk = this.#cutter.chunk;
    this.filesOf.set(chunk, (this.filesOf.get(chunk) ?? 0) + 1);
  }

  content(bytes: Bytes): void {
    if (!this.#skipped) this.#cutter.content(bytes);
  }

  end(): void {
    if (!this.#skipped) this.#cutter.end();
  }

  /** @throws {PostgresError} when the server left out what no backup can do without. */
  finish(): void {
    const [missing] = this.#missing;
    if (missing === undefined) return;
    throw new PostgresError(`the server sent no ${missing}: this is no usable base backup`);
  }

  #isSkipped(member: TarMember): boolean {
    const match = /^pg_tblspc\/(\d+)(?:\/|$)/.exec(member.name);
    if (!match) return NOT_STORED.has(member.name);
    if (this.#oids.has(Number(match[1]))) return true;
    throw new PostgresError(
      `tablespace ${match[1]} lies inside the data directory (allow_in_place_tablespaces)`,
      "tablespaces made for PostgreSQL's own tests cannot be backed up",
    );
  }
}

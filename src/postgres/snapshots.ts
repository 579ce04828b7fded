/**
 * The port to a moment of one database that several programs read at the same time.
 *
 * @module
 */

/** A table with data of its own. */
export interface SnapshotTable {
  /** Its schema, not quoted. */
  readonly schema: string;
  /** Its name, not quoted. */
  readonly name: string;
  /** With its TOAST table, without indexes. */
  readonly bytes: number;
  /** An extension made it: pg_dump decides about its data by rules of its own. */
  readonly ofExtension: boolean;
}

/** A moment that is held for as long as the session lasts: dispose to let it go. */
export interface HeldSnapshot extends AsyncDisposable {
  /** For `pg_dump --snapshot`. */
  readonly id: string;
  /** Ordinary tables and partitions, the largest first. */
  readonly tables: readonly SnapshotTable[];
  /** Bytes of all large objects together, as far as the role may know. */
  readonly largeObjectBytes: number;
  /** Asks whether it is still held. @throws {PostgresError} when it is not. */
  check(): Promise<void>;
}

/** Where snapshots come from. */
export interface SnapshotSource {
  /**
   * Takes a snapshot of a database, with all its tables locked against what a snapshot does not
   * protect from: TRUNCATE and rewrites leave tables empty for those who look later.
   *
   * @throws {PostgresError}
   */
  hold(
    database: string,
    options?: { readonly signal?: AbortSignal },
  ): Promise<HeldSnapshot>;
}

/** PostgreSQL's base backups leave out what is called so: its chapter on the replication protocol. */
export const AHEAD_LINK = "pgsql_tmp_backupctl";

/**
 * A link in the data directory to the segments that were fetched ahead, so that a restore_command
 * can move one without starting a program that does the same. It is there as long as somebody sees
 * to it that they are the right ones.
 */
export class AheadLink {
  readonly #path: string;
  readonly #folder: string;

  /** @param folder an absolute path. */
  constructor(dataDirectory: string, folder: string) {
    this.#path = `${dataDirectory}/${AHEAD_LINK}`;
    this.#folder = folder;
  }

  /** Lays it, in place of one that is left over. Where it cannot be, each segment takes a call. */
  lay(): void {
    const fresh = `${this.#path}.${Deno.pid}`;
    try {
      Deno.symlinkSync(this.#folder, fresh);
      Deno.renameSync(fresh, this.#path);
    } catch {
      remove(fresh);
    }
  }

  /** Removes it, unless it leads elsewhere meanwhile. */
  remove(): void {
    try {
      if (Deno.readLinkSync(this.#path) === this.#folder) Deno.removeSync(this.#path);
    } catch {
      // It is gone.
    }
  }
}

function remove(path: string): void {
  try {
    Deno.removeSync(path);
  } catch {
    // It was not laid.
  }
}

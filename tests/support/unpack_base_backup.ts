import type { BaseBackup } from "../../src/postgres/postgres.ts";

/** What came of a base backup. */
export interface Unpacked {
  /** The data directory. */
  readonly dataDir: string;
  /** Folders of the tablespaces by oid. */
  readonly tablespaces: ReadonlyMap<number, string>;
  /** Bytes of all tars. */
  readonly tarBytes: number;
}

/**
 * Unpacks a base backup with the system's own `tar`, tablespaces into folders beside the data
 * directory, and lets `pg_tblspc` point there.
 */
export async function unpackBaseBackup(backup: BaseBackup, folder: string): Promise<Unpacked> {
  const dataDir = `${folder}/data`;
  const tablespaces = new Map(
    backup.tablespaces.map(({ oid }) => [oid, `${folder}/tablespace_${oid}`]),
  );
  for (const target of [dataDir, ...tablespaces.values()]) {
    await Deno.mkdir(target, { mode: 0o700 });
  }
  const manifest: Uint8Array<ArrayBuffer>[] = [];
  let tar: Tar | undefined;
  let tarBytes = 0;
  for await (const event of backup.events()) {
    if (event.type === "manifest") {
      manifest.push(event.bytes.slice());
    } else if (event.type === "data") {
      tarBytes += event.bytes.length;
      await tar!.write(event.bytes);
    } else {
      await tar?.close();
      const oid = event.tablespace?.oid;
      tar = new Tar(oid === undefined ? dataDir : tablespaces.get(oid)!);
    }
  }
  await tar?.close();
  await Deno.writeFile(`${dataDir}/backup_manifest`, new Blob(manifest).stream());
  for (const [oid, target] of tablespaces) {
    await Deno.remove(`${dataDir}/pg_tblspc/${oid}`);
    await Deno.symlink(target, `${dataDir}/pg_tblspc/${oid}`);
  }
  return { dataDir, tablespaces, tarBytes };
}

class Tar {
  readonly #child: Deno.ChildProcess;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;

  constructor(target: string) {
    const args = ["-x", "-f", "-", "-C", target];
    this.#child = new Deno.Command("tar", { args, stdin: "piped", stdout: "null" }).spawn();
    this.#writer = this.#child.stdin.getWriter();
  }

  async write(bytes: Uint8Array): Promise<void> {
    await this.#writer.write(bytes.slice());
  }

  async close(): Promise<void> {
    await this.#writer.close();
    const { success } = await this.#child.status;
    if (!success) throw new Error("tar refuses the archive");
  }
}

import { dirname } from "node:path";
import { type Bytes, MiB } from "../../domain/bytes.ts";
import { DestinationError } from "../../domain/errors.ts";
import { inTemporaryFolder } from "../../domain/in_temporary_folder.ts";
import { freeSpace } from "../destination/free_space.ts";
import { ArchiveCheck, type ArchiveFacts } from "./archive_check.ts";
import { SPOOL_FILE, SPOOL_PREFIX, sweepSpools } from "./sweep_spools.ts";

/** In an entry of the table of contents: the data's offset is known. pg_backup_custom.c. */
const OFFSET_KNOWN = 2;

/** A dump in a temporary file; disposing removes it. */
export interface SpooledDump extends AsyncDisposable {
  readonly path: string;
  readonly facts: ArchiveFacts;
}

/** The folder that temporary files go to: the runtime tells it only by making one there. */
export async function temporaryFolder(): Promise<string> {
  const folder = inTemporaryFolder(() => Deno.makeTempDirSync({ prefix: "backupctl-" }));
  await Deno.remove(folder);
  return dirname(folder);
}

/**
 * Whether a dump of that many bytes fits into the folder for temporary files, with room left over.
 * Unknown counts as yes: the write will tell.
 */
export async function fitsSpool(bytes: number): Promise<boolean> {
  const free = freeSpace(await temporaryFolder());
  return free === null || free > bytes * 1.05 + 16 * MiB;
}

/**
 * Writes a dump into a temporary file of mode 0600, checks that it is whole, and writes the
 * offsets of its data into its table of contents: pg_dump could not, since it wrote into a pipe,
 * and without them each of pg_restore's jobs reads the file from its beginning to find its data.
 *
 * @throws {IntegrityError} when the archive is not whole.
 * @throws {DestinationError} when the file cannot be written.
 */
export async function spoolDump(raw: ReadableStream<Bytes>): Promise<SpooledDump> {
  const folder = inTemporaryFolder(() => Deno.makeTempDirSync({ prefix: SPOOL_PREFIX }));
  let file: Deno.FsFile | undefined;
  const remove = async () => {
    file?.close();
    await Deno.remove(folder, { recursive: true });
  };
  try {
    await sweepSpools(dirname(folder));
    await Deno.chmod(folder, 0o700);
    const path = `${folder}/${SPOOL_FILE}`;
    file = await Deno.open(path, { write: true, createNew: true, mode: 0o600 });
    await file.lock(true); // others see by it that it is in use
    const facts = await writeDump(path, { file, raw });
    return { path, facts, [Symbol.asyncDispose]: remove };
  } catch (error) {
    await remove();
    throw error;
  }
}

async function writeDump(
  path: string,
  { file, raw }: { readonly file: Deno.FsFile; readonly raw: ReadableStream<Bytes> },
): Promise<ArchiveFacts> {
  const check = new ArchiveCheck();
  for await (const bytes of raw) {
    check.push(bytes);
    await writeAll(file, { path, bytes });
  }
  const facts = check.finish();
  await writeOffsets(file, { path, facts });
  return facts;
}

async function writeOffsets(
  file: Deno.FsFile,
  { path, facts: { head, data } }: { readonly path: string; readonly facts: ArchiveFacts },
): Promise<void> {
  if (!head) return;
  for (const { offsetAt, position } of data) {
    const bytes = new Uint8Array(1 + head.offSize);
    bytes[0] = OFFSET_KNOWN;
    for (let index = 0; index < head.offSize; index++) {
      bytes[1 + index] = Math.floor(position / 2 ** (8 * index)) % 256;
    }
    await file.seek(offsetAt, Deno.SeekMode.Start);
    await writeAll(file, { path, bytes });
  }
}

async function writeAll(
  file: Deno.FsFile,
  { path, bytes }: { readonly path: string; readonly bytes: Bytes },
): Promise<void> {
  try {
    for (let at = 0; at < bytes.length;) at += await file.write(bytes.subarray(at));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new DestinationError(
      `cannot write the temporary file ${path}: ${reason}`,
      "set TMPDIR to a folder with room for the largest dump, or restore with --jobs 1",
      { cause: error },
    );
  }
}

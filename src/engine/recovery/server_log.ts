/** What a server's log says of a recovery, and what to do about it. */

/** More of a log than anybody reads. */
const TAIL_BYTES = 256 * 1024;
const SHOWN_LINES = 8;

/** Lines that tell why a server ended; in a log of another language the words are the same or absent. */
const GRAVE = /\b(FATAL|PANIC)\b/;
/** Only somebody who knocked too early. */
const HARMLESS = /the database system is (starting up|not yet accepting|shutting down|in recovery)/;

const REMEDIES: readonly (readonly [pattern: RegExp, hint: string])[] = [
  [
    /recovery ended before configured recovery target was reached/,
    "the archive ends before the target: nothing later than the target is archived yet, or the " +
    "target lies on another timeline; SELECT pg_switch_wal() on the original server archives what it " +
    "has written since, and --latest restores all that there is",
  ],
  [
    /requested recovery stop point is before consistent recovery point/,
    "the backup ended after the target: choose an older one with --backup-id",
  ],
  [
    /is not a child of this server's history|does not contain minimum recovery point/,
    "the backup is not on that timeline: choose another with --timeline or --backup-id",
  ],
  [
    /could not restore file/,
    "restore_command failed, so the server stopped rather than open with data missing: its own " +
    'message is in the log; "backupctl wal verify" reads the archive back',
  ],
  [
    /Address already in use|could not create any TCP\/IP sockets|lock file .*\.s\.PGSQL/,
    "another server has its port: start it by hand with another one, pg_ctl -o '-p 5433'",
  ],
  [
    /insufficient parameter settings|is a lower setting than on the (primary|master) server/,
    "the server that was backed up had larger settings later: raise those that the log names in " +
    "the restored copy, then start it again",
  ],
];

/** The log of a server from one start on, wherever its settings send it. */
export class ServerLog {
  /** Where standard error goes. */
  readonly file: string;
  readonly #dataDirectory: string;
  readonly #start: LogEnd;
  readonly #collected: LogEnd | undefined;

  private constructor(dataDirectory: string, start: LogEnd, collected: LogEnd | undefined) {
    this.#dataDirectory = dataDirectory;
    this.file = start.path;
    this.#start = start;
    this.#collected = collected;
  }

  /** Call it before the start: what is there already belongs to another life. */
  static async open(dataDirectory: string, name: string): Promise<ServerLog> {
    const collected = await collectorLog(dataDirectory);
    return new ServerLog(
      dataDirectory,
      await logEnd(`${dataDirectory}/${name}`),
      collected === undefined ? undefined : await logEnd(collected),
    );
  }

  /** All that was logged since, or the last 256 KiB of each file. */
  async read(): Promise<string> {
    const collected = await collectorLog(this.#dataDirectory);
    const text = await readSince(this.#start);
    if (collected === undefined) return text;
    const known = collected === this.#collected?.path;
    return text + await readSince(known ? this.#collected : { path: collected, size: 0 });
  }
}

/** How long a log was. */
interface LogEnd {
  readonly path: string;
  readonly size: number;
}

/** Names the files that the logging collector writes to. PostgreSQL docs, "Error Reporting". */
const COLLECTOR_FILE = "current_logfiles";

async function collectorLog(dataDirectory: string): Promise<string | undefined> {
  const text = await Deno.readTextFile(`${dataDirectory}/${COLLECTOR_FILE}`).catch(ifMissing(""));
  const path = /^\w+ (.+)$/m.exec(text)?.[1];
  if (path === undefined) return undefined;
  return path.startsWith("/") ? path : `${dataDirectory}/${path}`;
}

async function logEnd(path: string): Promise<LogEnd> {
  const info = await Deno.stat(path).catch(ifMissing({ size: 0 }));
  return { path, size: info.size };
}

async function readSince({ path, size: offset }: LogEnd): Promise<string> {
  const file = await Deno.open(path).catch(ifMissing(undefined));
  if (!file) return "";
  using _ = file;
  const { size } = await file.stat();
  const from = Math.max(Math.min(offset, size), size - TAIL_BYTES);
  await file.seek(from, Deno.SeekMode.Start);
  return new TextDecoder().decode(await readUpTo(file, size - from));
}

function ifMissing<Value>(value: Value): (error: unknown) => Value {
  return (error) => {
    if (error instanceof Deno.errors.NotFound) return value;
    throw error;
  };
}

async function readUpTo(file: Deno.FsFile, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  let filled = 0;
  while (filled < length) {
    const read = await file.read(bytes.subarray(filled));
    if (read === null) break;
    filled += read;
  }
  return bytes.subarray(0, filled);
}

/** The lines that tell why the server ended, or else its last ones. */
export function graveLines(log: string): readonly string[] {
  const lines = log.split("\n").map((line) => line.trim()).filter((line) => line !== "");
  const grave = lines.filter((line) => GRAVE.test(line) && !HARMLESS.test(line));
  return (grave.length > 0 ? grave : lines).slice(-SHOWN_LINES);
}

/** What to do about a log that ends badly. */
export function remedyOf(log: string): string | undefined {
  return REMEDIES.find(([pattern]) => pattern.test(log))?.[1];
}

/** When the last transaction that was replayed committed, as the log says it. */
export function lastReplayedCommit(log: string): string | undefined {
  return [...log.matchAll(/last completed transaction was at log time (.+)/g)].at(-1)?.[1]?.trim();
}

/** Whether recovery stands still at its target. */
export function saysPaused(log: string): boolean {
  return /pausing at the end of recovery|recovery has paused/.test(log);
}

/** Whether recovery stands still because a setting is too small: it never goes on by itself. */
export function saysTooSmall(log: string): boolean {
  return /insufficient parameter settings/.test(log) && saysPaused(log);
}

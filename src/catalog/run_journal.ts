import { mapLimited } from "../domain/map_limited.ts";
import type { AuditEvent } from "./audit_event.ts";
import { type JournalEntry, journalLine, parseJournalLine } from "./journal_entry.ts";
import type { RunRecord } from "./run_record.ts";
import type { StorageSample } from "./storage_sample.ts";

const JOURNAL = "runs.jsonl";
/** Only this user may read what failed and why. */
const FILE_MODE = 0o600;
const FOLDER_MODE = 0o700;

/** By folder, the end of the last write of this process. */
const UNDER_WAY = new Map<string, Promise<void>>();

/** Where a journal delivers to. */
export interface RunSink {
  recordRun(run: RunRecord): Promise<void>;
  recordAudit(event: AuditEvent): Promise<void>;
  recordStorage(sample: StorageSample): Promise<void>;
}

/** What became of something that was to be recorded. */
export interface RecordResult {
  readonly recorded: boolean;
  /** Why it waits in the journal. */
  readonly reason?: unknown;
}

/** What a {@link RunJournal.reconcile} did. */
export interface ReconcileReport {
  readonly delivered: number;
  /** Lines that nobody understands: cut short by a crash. They are dropped. */
  readonly unreadable: number;
}

/**
 * Runs, and what else could not be recorded in PostgreSQL, kept in a local file until it can: JSON
 * lines in `<folder>/runs.jsonl`. Several processes may use one folder.
 */
export class RunJournal {
  readonly #folder: string;

  /** @param folder a state folder; made at the first write. */
  constructor(folder: string) {
    this.#folder = folder.replace(/\/+$/, "");
  }

  /**
   * Records a run, and the waiting ones before it; when the sink fails, the run joins them.
   *
   * @param sink undefined when there is none: the run is kept.
   * @throws {Error} when the file cannot be written either.
   */
  async record(run: RunRecord, sink: RunSink | undefined): Promise<RecordResult> {
    return await this.recordEntry({ type: "run", run }, sink);
  }

  /** The same for anything. */
  async recordEntry(entry: JournalEntry, sink: RunSink | undefined): Promise<RecordResult> {
    let reason: unknown;
    try {
      if (sink) {
        await this.reconcile(sink);
        await deliver(entry, sink);
        return { recorded: true };
      }
    } catch (error) {
      reason = error;
    }
    await this.appendEntry(entry);
    return { recorded: false, reason };
  }

  /** Adds a run, durable when it returns. */
  async append(run: RunRecord): Promise<void> {
    await this.appendEntry({ type: "run", run });
  }

  /** Adds an entry, durable when it returns. */
  async appendEntry(entry: JournalEntry): Promise<void> {
    // A crash may have left half a line behind: the newline in front keeps it from growing on.
    const line = new TextEncoder().encode(`\n${journalLine(entry)}\n`);
    await Deno.mkdir(this.#folder, { recursive: true, mode: FOLDER_MODE });
    await this.#locked(async () => {
      const path = `${this.#folder}/${JOURNAL}`;
      using file = await Deno.open(path, { create: true, append: true, mode: FILE_MODE });
      await writeAll(file, line);
      await file.sync();
      await syncFolder(this.#folder);
    });
  }

  /** The runs that wait, oldest first. */
  async pending(): Promise<readonly RunRecord[]> {
    const entries = await this.pendingEntries();
    return entries.flatMap((entry) => entry.type === "run" ? [entry.run] : []);
  }

  /** Everything that waits, oldest first. */
  async pendingEntries(): Promise<readonly JournalEntry[]> {
    const names = await this.#files();
    const texts = await mapLimited(names, 1, (name) => readIfThere(`${this.#folder}/${name}`));
    return texts.flatMap((text) => parseLines(text).entries);
  }

  /**
   * Delivers what waits. Each may be delivered twice when a crash comes in between, which
   * the sink must make one.
   *
   * @throws {Error} the sink's; what was not delivered stays.
   */
  async reconcile(sink: RunSink): Promise<ReconcileReport> {
    await this.#setAside();
    let [delivered, unreadable] = [0, 0];
    for (const name of await this.#files()) {
      if (name === JOURNAL) continue;
      const path = `${this.#folder}/${name}`;
      const lines = parseLines(await readIfThere(path));
      for (const entry of lines.entries) await deliver(entry, sink);
      await Deno.remove(path).catch(ignoreMissing);
      delivered += lines.entries.length;
      unreadable += lines.unreadable;
    }
    return { delivered, unreadable };
  }

  /** Renames the journal, so that others go on writing a new one while this one is delivered. */
  async #setAside(): Promise<void> {
    const path = `${this.#folder}/${JOURNAL}`;
    if (await Deno.stat(path).catch(ignoreClosed) === undefined) return;
    await this.#locked(async () => {
      const waiting = (await this.#files()).filter((name) => name !== JOURNAL);
      const last = Number(/^runs-(\d+)-/.exec(waiting.at(-1) ?? "")?.[1] ?? 0);
      // The number keeps the order; the UUID keeps a name that was delivered from coming back.
      const name = `runs-${String(last + 1).padStart(9, "0")}-${crypto.randomUUID()}.jsonl`;
      await Deno.rename(path, `${this.#folder}/${name}`).catch(ignoreMissing);
    });
  }

  /** The journals set aside, then the one that is being written. */
  async #files(): Promise<string[]> {
    try {
      const entries = await Array.fromAsync(Deno.readDir(this.#folder));
      const names = entries.map(({ name }) => name).filter((name) => /^runs.*\.jsonl$/.test(name));
      return names.sort();
    } catch (error) {
      ignoreClosed(error);
      return [];
    }
  }

  /** Waits for this process's others first: each lock that is waited for occupies a thread. */
  async #locked(work: () => Promise<void>): Promise<void> {
    const before = UNDER_WAY.get(this.#folder) ?? Promise.resolve();
    const mine = before.then(() => this.#withFileLock(work));
    UNDER_WAY.set(this.#folder, mine.catch(() => {}));
    await mine;
  }

  async #withFileLock(work: () => Promise<void>): Promise<void> {
    const path = `${this.#folder}/runs.lock`;
    using file = await Deno.open(path, { create: true, write: true, mode: FILE_MODE });
    await file.lock(true);
    try {
      await work();
    } finally {
      await file.unlock();
    }
  }
}

async function deliver(entry: JournalEntry, sink: RunSink): Promise<void> {
  if (entry.type === "run") return await sink.recordRun(entry.run);
  if (entry.type === "audit") return await sink.recordAudit(entry.event);
  return await sink.recordStorage(entry.sample);
}

function parseLines(text: string): { entries: JournalEntry[]; unreadable: number } {
  const lines = text.split("\n").filter((line) => line !== "");
  const entries = lines.map(parseJournalLine).filter((entry) => entry !== undefined);
  return { entries, unreadable: lines.length - entries.length };
}

async function readIfThere(path: string): Promise<string> {
  return await Deno.readTextFile(path).catch(ignoreMissing) ?? "";
}

/** In a folder that is closed to this user, nothing of this user's waits. */
function ignoreClosed(error: unknown): undefined {
  if (!(error instanceof Deno.errors.PermissionDenied)) ignoreMissing(error);
}

function ignoreMissing(error: unknown): undefined {
  if (!(error instanceof Deno.errors.NotFound)) throw error;
}

async function writeAll(file: Deno.FsFile, bytes: Uint8Array): Promise<void> {
  let written = 0;
  while (written < bytes.length) written += await file.write(bytes.subarray(written));
}

async function syncFolder(folder: string): Promise<void> {
  using handle = await Deno.open(folder);
  await handle.sync();
}

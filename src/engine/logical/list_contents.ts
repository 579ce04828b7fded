import type { Bytes } from "../../domain/bytes.ts";
import { IntegrityError } from "../../domain/errors.ts";
import type { ClientPrograms, Program, RunningProgram } from "../../postgres/postgres.ts";

/** An archive has at least its encoding, its string syntax and its search path. */
const LEAST_ENTRIES = 3;
/** The head of the listing is much shorter. */
const HEAD_BYTES = 64 * 1024;

/**
 * `pg_restore --list` reading along an archive while it is made: PostgreSQL's own opinion on its
 * table of contents. It stops reading where that ends.
 */
export class ContentsListing {
  readonly #running: RunningProgram;
  readonly #writer: WritableStreamDefaultWriter<Bytes>;
  readonly #head: Promise<string>;
  readonly #ended: Promise<unknown>;
  #isOpen = true;

  constructor(
    programs: ClientPrograms,
    pgRestore: Program,
    { signal }: { readonly signal?: AbortSignal } = {},
  ) {
    this.#running = programs.run(pgRestore, ["--list"], {
      stdin: "piped",
      ...(signal && { signal }),
    });
    this.#writer = this.#running.stdin.getWriter();
    this.#writer.closed.catch(() => {}); // it may stop reading whenever it likes
    this.#head = readHead(this.#running.stdout);
    this.#ended = this.#running.finished();
    this.#head.catch(() => {});
    this.#ended.catch(() => {}); // reported by finish()
  }

  /** Whether it still wants bytes. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Gives it the next bytes of the archive; ignored when it has read enough. */
  async push(bytes: Bytes): Promise<void> {
    if (!this.#isOpen) return;
    try {
      await this.#writer.write(bytes);
    } catch {
      this.#isOpen = false; // its exit status tells whether it was content
    }
  }

  /** The table of contents is complete. */
  async close(): Promise<void> {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    await this.#writer.close().catch(() => {});
  }

  /**
   * Waits for its verdict.
   *
   * @param expected entries that the archive was found to have; undefined when nobody counted.
   * @throws {IntegrityError} when it could not read the archive or counts otherwise.
   */
  async finish(expected: number | undefined): Promise<void> {
    await this.close();
    try {
      await this.#ended;
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new IntegrityError(`pg_restore cannot read it: ${reason}`, undefined, { cause: error });
    }
    const match = /^; +TOC Entries: (\d+)$/m.exec(await this.#head);
    const entries = Number(match?.[1] ?? 0);
    if (entries >= LEAST_ENTRIES && entries === (expected ?? entries)) return;
    throw new IntegrityError(
      `pg_restore counts ${entries} entries in it, ${expected ?? "more"} are expected`,
    );
  }

  /** Ends it when the backup failed. */
  async kill(): Promise<void> {
    this.#isOpen = false;
    await this.#running.kill();
    await this.#writer.abort().catch(() => {}); // closed already, or broken by the kill
  }
}

/** Reads to the end, so that the writer never waits, and keeps the beginning. */
async function readHead(stream: ReadableStream<Bytes>): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const bytes of stream) {
    if (text.length < HEAD_BYTES) text += decoder.decode(bytes, { stream: true });
  }
  return text;
}

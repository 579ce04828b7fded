import type { Bytes } from "../../domain/bytes.ts";
import { PostgresError, VersionError } from "../../domain/errors.ts";
import { type Lsn, parseLsn } from "../../domain/lsn.ts";
import type {
  BaseBackup,
  BaseBackupEvent,
  BaseBackupOptions,
  BaseBackupSource,
  ConnectionOptions,
  ServerDamage,
  Tablespace,
} from "../postgres.ts";
import { IncrementRefusedError } from "../postgres.ts";
import { serverAddress, ServerRefusal } from "../server_errors.ts";
import { type ArchiveStream, CopyForEach, OneCopy } from "./archive_stream.ts";
import {
  baseBackupStatement,
  INCREMENTS_SINCE,
  ONE_COPY_SINCE,
  reserveWalStatement,
} from "./base_backup_statement.ts";
import { serverDamage } from "./server_damage.ts";
import { type Row, WalSender } from "./walsender.ts";
import { dataRow, MESSAGE } from "./wire.ts";

/** The first major version whose base backups have a manifest. */
const OLDEST_MAJOR = 13;
/** Seconds without a byte in the middle of a copy after which the server is taken for gone. */
const IDLE_SECONDS = 600;

/** Base backups over the replication protocol: remote, all tablespaces, PostgreSQL 13 and later. */
export class StreamSource implements BaseBackupSource {
  readonly #connection: ConnectionOptions;
  readonly #idleSeconds: number;

  /** Contacts nobody yet. */
  constructor(
    connection: ConnectionOptions,
    { idleSeconds = IDLE_SECONDS }: { readonly idleSeconds?: number } = {},
  ) {
    this.#connection = connection;
    this.#idleSeconds = idleSeconds;
  }

  /**
   * Whether base backups are possible: connects for replication and asks who is there.
   *
   * @throws {PostgresError} with the remedy. @throws {VersionError} before PostgreSQL 13.
   */
  async identify({ signal }: { readonly signal?: AbortSignal } = {}): Promise<
    { readonly systemIdentifier: string; readonly timeline: number; readonly version: string }
  > {
    const sender = await this.#connect(signal);
    try {
      const [[systemIdentifier, timeline] = []] = await sender.query("IDENTIFY_SYSTEM");
      const version = sender.versionText;
      return { systemIdentifier: systemIdentifier ?? "", timeline: Number(timeline), version };
    } finally {
      await sender.close();
    }
  }

  async start(options: BaseBackupOptions): Promise<BaseBackup> {
    const sender = await this.#connect(options.signal);
    try {
      const major = majorOf(sender.versionText);
      if (options.includeWal) await reserveWal(sender, major);
      if (options.parentManifest) await uploadManifest(sender, major, options.parentManifest);
      await sender.send(baseBackupStatement(major, options));
      const [position] = await firstRows(sender, options);
      const archives = await resultRows(sender);
      return new StreamBaseBackup(sender, {
        connection: this.#connection,
        idleSeconds: this.#idleSeconds,
        major,
        position,
        archives,
      });
    } catch (error) {
      sender.abandon();
      throw error;
    }
  }

  async #connect(signal: AbortSignal | undefined): Promise<WalSender> {
    const sender = await WalSender.connect(this.#connection, signal ? { signal } : {});
    if (majorOf(sender.versionText) >= OLDEST_MAJOR) return sender;
    const version = sender.versionText;
    await sender.close();
    throw new VersionError(
      `PostgreSQL at ${
        serverAddress(this.#connection)
      } is ${version}; base backups need 13 or later`,
      "take a logical backup, or upgrade the server",
    );
  }
}

interface Begun {
  readonly connection: ConnectionOptions;
  readonly idleSeconds: number;
  readonly major: number;
  /** Of the first result: LSN and timeline. */
  readonly position: Row | undefined;
  /** Of the second result: oid, location and kilobytes, null for the data directory. */
  readonly archives: readonly Row[];
}

class StreamBaseBackup implements BaseBackup {
  readonly startLsn: Lsn;
  readonly timeline: number;
  readonly tablespaces: readonly Tablespace[];
  readonly estimatedBytes: number | undefined;
  readonly #sender: WalSender;
  readonly #stream: ArchiveStream;
  readonly #idleSeconds: number;
  readonly #connection: ConnectionOptions;
  #begun = false;
  #lastRow: Row | undefined;
  #stopped: ReturnType<BaseBackup["stop"]> | undefined;
  #damage: ServerDamage | undefined;

  constructor(sender: WalSender, begun: Begun) {
    const { lsn, timeline } = walPosition(begun.position);
    this.startLsn = lsn;
    this.timeline = timeline;
    const archives = begun.archives.map(tablespace);
    this.tablespaces = archives.filter((archive) => archive !== undefined);
    this.estimatedBytes = estimate(begun.archives);
    this.#stream = begun.major >= ONE_COPY_SINCE
      ? new OneCopy(archives)
      : new CopyForEach(archives);
    this.#sender = sender;
    this.#idleSeconds = begun.idleSeconds;
    this.#connection = begun.connection;
  }

  async *events(): AsyncGenerator<BaseBackupEvent> {
    if (this.#begun) throw new Error("the events of a base backup can be read once");
    this.#begun = true;
    const sender = this.#sender;
    const reader = sender.reader;
    do {
      while (!reader.advance()) await sender.fill(this.#idleSeconds);
      const event = reader.type === MESSAGE.copyData
        ? this.#stream.copyData(reader)
        : this.#other(reader.type);
      if (event) yield event;
    } while (reader.type !== MESSAGE.ready);
    this.#stream.checkComplete();
    const { lsn, timeline } = walPosition(this.#lastRow);
    const damage = this.#damage;
    this.#stopped = { stopLsn: lsn, timeline, ...(damage && { damage }) };
  }

  stop(): ReturnType<BaseBackup["stop"]> {
    if (!this.#stopped) throw new Error("the events of the base backup are not read to their end");
    return this.#stopped;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#stopped) await this.#sender.close();
    else this.#sender.abandon();
  }

  /** Messages that are no data: they end copies, tell the last position, or report a failure. */
  #other(type: number): BaseBackupEvent | undefined {
    switch (type) {
      case MESSAGE.copyOut:
        return this.#stream.copyBegins();
      case MESSAGE.copyDone:
        return this.#stream.copyEnds();
      case MESSAGE.dataRow:
        this.#lastRow = dataRow(this.#sender.reader.body());
        return undefined;
      case MESSAGE.rowDescription:
      case MESSAGE.commandComplete:
      case MESSAGE.ready:
        return undefined;
      default:
        this.#expected();
        return undefined;
    }
  }

  /** The position at the end is the last that a server sends before it tells of damage. */
  #isDamageOnly(error: unknown): boolean {
    return error instanceof ServerRefusal && error.sqlstate === DATA_CORRUPTED &&
      this.#lastRow !== undefined;
  }

  #expected(): void {
    try {
      if (this.#sender.handled()) return;
    } catch (error) {
      if (!this.#isDamageOnly(error)) throw withWarnings(error, this.#sender);
      this.#damage = serverDamage(this.#sender.notices.map(({ message }) => message));
      return;
    }
    throw new PostgresError(
      `${
        serverAddress(this.#connection)
      } sent a message of type ${this.#sender.reader.type} in a base backup`,
    );
  }
}

/** "Data corrupted": the server has sent everything by then, the damaged pages as well. */
const DATA_CORRUPTED = "XX001";

/** What the server warned of before, such as the files with wrong page checksums. */
function withWarnings(error: unknown, sender: WalSender): unknown {
  if (!(error instanceof ServerRefusal) || sender.notices.length === 0) return error;
  const warnings = sender.notices.map(({ message }) => message).join("; ");
  return new ServerRefusal(`${error.message}; before: ${warnings}`, error.sqlstate, error.hint);
}

/** Makes a temporary slot; without a free one the server itself fails when WAL is gone. */
async function reserveWal(sender: WalSender, major: number): Promise<void> {
  const name = `backupctl_${crypto.randomUUID().replaceAll("-", "")}`;
  try {
    await sender.query(reserveWalStatement(major, name));
  } catch (error) {
    if (!(error instanceof ServerRefusal)) throw error;
  }
}

/** "Prerequisite not met": the server's word for everything that stands against an increment. */
const NOT_IN_PREREQUISITE_STATE = "55000";

/** Tells the server what the parent holds. @throws {IncrementRefusedError} */
async function uploadManifest(
  sender: WalSender,
  major: number,
  manifest: AsyncIterable<Bytes>,
): Promise<void> {
  if (major < INCREMENTS_SINCE) {
    throw new IncrementRefusedError(`PostgreSQL ${major} sends no increments`);
  }
  try {
    await sender.upload("UPLOAD_MANIFEST", manifest);
  } catch (error) {
    if (!(error instanceof ServerRefusal)) throw error;
    throw new IncrementRefusedError(error.message, error.hint, { cause: error });
  }
}

/** The first answer to BASE_BACKUP, which comes after the server has looked at its summaries. */
async function firstRows(
  sender: WalSender,
  { parentManifest }: BaseBackupOptions,
): Promise<readonly Row[]> {
  try {
    return await resultRows(sender);
  } catch (error) {
    const refused = parentManifest && error instanceof ServerRefusal &&
      error.sqlstate === NOT_IN_PREREQUISITE_STATE;
    if (!refused) throw error;
    throw new IncrementRefusedError(error.message, error.hint, { cause: error });
  }
}

/** The rows of the next result. @throws {PostgresError} when none comes. */
async function resultRows(sender: WalSender): Promise<readonly Row[]> {
  const rows: Row[] = [];
  for (;;) {
    switch (await sender.next()) {
      case MESSAGE.rowDescription:
        break;
      case MESSAGE.dataRow:
        rows.push(dataRow(sender.reader.body()));
        break;
      case MESSAGE.commandComplete:
        return rows;
      default:
        throw new PostgresError(
          `the server answered BASE_BACKUP with a message of type ${sender.reader.type}`,
        );
    }
  }
}

function walPosition(row: Row | undefined): { readonly lsn: Lsn; readonly timeline: number } {
  const [lsn, timeline] = row ?? [];
  try {
    if (lsn && timeline) return { lsn: parseLsn(lsn), timeline: Number(timeline) };
  } catch {
    // No LSN: reported with the case that there is none.
  }
  throw new PostgresError("the server did not tell the base backup's WAL position");
}

function tablespace([oid, location]: Row): Tablespace | undefined {
  return oid && location ? { oid: Number(oid), location } : undefined;
}

function estimate(archives: readonly Row[]): number | undefined {
  const kilobytes = archives.map((row) => row[2] ?? null);
  if (kilobytes.includes(null)) return undefined;
  return kilobytes.reduce((total, size) => total + Number(size) * 1024, 0);
}

/** 17 of `17.6 (Debian 17.6-1)` and of `17beta1`; 0 when it is no version. */
function majorOf(versionText: string): number {
  return Number(/^\d+/.exec(versionText)?.[0] ?? 0);
}

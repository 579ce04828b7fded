import type { Bytes } from "../../domain/bytes.ts";
import { PostgresError } from "../../domain/errors.ts";
import type { ConnectionOptions } from "../postgres.ts";
import { refusal, type ServerMessage, ServerRefusal, unreachable } from "../server_errors.ts";
import { type Transport, tryTransports, withinConnectTimeout } from "../transports.ts";
import { Authenticator } from "./authenticate.ts";
import type { Channel } from "./channel.ts";
import { MessageReader } from "./message_reader.ts";
import { openChannel } from "./open_channel.ts";
import {
  copyDataMessage,
  copyDoneMessage,
  dataRow,
  MESSAGE,
  queryMessage,
  serverMessage,
  startupMessage,
  terminateMessage,
  zeroTerminated,
} from "./wire.ts";

/** Notices kept for the message of an error. */
const MOST_NOTICES = 20;

/** A row of text values. */
export type Row = readonly (string | null)[];

/**
 * A connection of the physical replication protocol. PostgreSQL docs, "Streaming Replication
 * Protocol". One query at a time; after a failure only {@link close} is of use, unless the server
 * itself answered with an error.
 */
export class WalSender {
  readonly #connection: ConnectionOptions;
  readonly #channel: Channel;
  readonly #reader: MessageReader;
  readonly #signal: AbortSignal | undefined;
  readonly #onAbort = () => this.#channel.close();
  readonly #parameters = new Map<string, string>();
  readonly #notices: ServerMessage[] = [];
  #silent: Error | undefined;

  private constructor(connection: ConnectionOptions, channel: Channel, signal?: AbortSignal) {
    this.#connection = connection;
    this.#channel = channel;
    this.#reader = new MessageReader(channel);
    this.#signal = signal;
    signal?.addEventListener("abort", this.#onAbort);
  }

  /**
   * Connects, by each transport that the sslmode allows.
   *
   * @param options.signal also ends the connection later on.
   * @throws {PostgresError} with the remedy: unreachable, no TLS, wrong password, no right …
   */
  static async connect(
    connection: ConnectionOptions,
    { signal }: { readonly signal?: AbortSignal } = {},
  ): Promise<WalSender> {
    const attempt = (transport: Transport) =>
      withinConnectTimeout(
        connection,
        (deadline) => WalSender.#open(connection, { transport, deadline, signal }),
        { signal },
      );
    return await tryTransports(connection, attempt);
  }

  /** Whether TLS protects the connection. */
  get encrypted(): boolean {
    return this.#channel.encrypted;
  }

  /** `server_version`, such as `17.6 (Debian 17.6-1)`. */
  get versionText(): string {
    return this.#parameters.get("server_version") ?? "unknown";
  }

  /** Warnings of the server since the connection was made, the first few. */
  get notices(): readonly ServerMessage[] {
    return this.#notices;
  }

  /** Messages as they come, for copies. Failures are those of {@link next}. */
  get reader(): MessageReader {
    return this.#reader;
  }

  /**
   * Goes to the next message that is not a notice or a changed parameter.
   *
   * @throws {PostgresError} when it is an error, or the connection ends.
   */
  async next(): Promise<number> {
    do {
      await this.#read();
    } while (this.handled());
    return this.#reader.type;
  }

  /**
   * Deals with the current message if it is one that may come at any time.
   *
   * @throws {ServerRefusal} when it is an error.
   */
  handled(): boolean {
    const { type } = this.#reader;
    if (type === MESSAGE.error) throw this.#refusal();
    if (type === MESSAGE.notice) this.#keepNotice();
    else if (type === MESSAGE.parameterStatus) this.#keepParameter();
    else return type === MESSAGE.backendKey || type === MESSAGE.negotiateVersion;
    return true;
  }

  /** Sends a statement; its answer is to be read by the caller. */
  async send(statement: string): Promise<void> {
    await this.#write(queryMessage(statement));
  }

  /**
   * Runs a statement that answers with rows at most.
   *
   * @throws {ServerRefusal} after which the connection can still be used.
   */
  async query(statement: string): Promise<readonly Row[]> {
    await this.send(statement);
    const rows: Row[] = [];
    try {
      while (await this.next() !== MESSAGE.ready) {
        if (this.#reader.type === MESSAGE.dataRow) rows.push(dataRow(this.#reader.body()));
      }
    } catch (error) {
      if (error instanceof ServerRefusal) await this.#untilReady();
      throw error;
    }
    return rows;
  }

  /**
   * Runs a statement that takes a copy, and hands `data` over. What the server says against it
   * meanwhile is heard at the end: it reads and drops the rest of a copy that failed.
   *
   * @throws {ServerRefusal}
   */
  async upload(statement: string, data: AsyncIterable<Bytes>): Promise<void> {
    await this.send(statement);
    const type = await this.next();
    if (type !== MESSAGE.copyIn) {
      throw new PostgresError(`the server answered ${statement} with a message of type ${type}`);
    }
    for await (const bytes of data) await this.#write(copyDataMessage(bytes));
    await this.#write(copyDoneMessage());
    while (await this.next() !== MESSAGE.ready);
  }

  /**
   * Reads more bytes for {@link reader}.
   *
   * @param idleSeconds after which a silent server is taken for gone; 0 waits without end.
   * @throws {PostgresError} at the end of the connection.
   */
  async fill(idleSeconds = 0): Promise<void> {
    const late = () => {
      this.#silent = new Error(`ETIMEDOUT: not a byte in ${idleSeconds} s`);
      this.#channel.close();
    };
    const timer = idleSeconds > 0 ? setTimeout(late, idleSeconds * 1000) : undefined;
    try {
      if (!await this.#reader.fill()) {
        throw new Error("ECONNRESET: the server closed the connection");
      }
    } catch (error) {
      throw this.#lost(this.#silent ?? error);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Ends the connection, politely when the server listens. May be called again. */
  async close(): Promise<void> {
    this.#signal?.removeEventListener("abort", this.#onAbort);
    await this.#channel.write(terminateMessage()).catch(() => {}); // it may be gone already
    this.#channel.close();
  }

  /** Ends the connection at once. */
  abandon(): void {
    this.#signal?.removeEventListener("abort", this.#onAbort);
    this.#channel.close();
  }

  async #write(message: Bytes): Promise<void> {
    try {
      await this.#channel.write(message);
    } catch (error) {
      throw this.#lost(error);
    }
  }

  async #read(): Promise<void> {
    while (!this.#reader.advance()) await this.fill();
  }

  async #untilReady(): Promise<void> {
    do {
      await this.#read();
    } while (this.#reader.type !== MESSAGE.ready);
  }

  #refusal(): ServerRefusal {
    const context = { connection: this.#connection, replication: true };
    return refusal(serverMessage(this.#reader.body()), context);
  }

  #keepNotice(): void {
    if (this.#notices.length >= MOST_NOTICES) return;
    this.#notices.push(serverMessage(this.#reader.body()));
  }

  #keepParameter(): void {
    const [name = "", value = ""] = zeroTerminated(this.#reader.body());
    this.#parameters.set(name, value);
  }

  #lost(error: unknown): unknown {
    return this.#signal?.aborted ? this.#signal.reason : unreachable(error, this.#connection);
  }

  static async #open(
    connection: ConnectionOptions,
    { transport, deadline, signal }: {
      readonly transport: Transport;
      readonly deadline: AbortSignal;
      readonly signal: AbortSignal | undefined;
    },
  ): Promise<WalSender> {
    const channel = await openChannel(connection, transport, { signal: deadline });
    const sender = new WalSender(connection, channel, signal);
    const stop = () => channel.close();
    deadline.addEventListener("abort", stop);
    try {
      await sender.#start();
      return sender;
    } catch (error) {
      sender.abandon();
      throw error;
    } finally {
      deadline.removeEventListener("abort", stop);
    }
  }

  async #start(): Promise<void> {
    const { user, database, applicationName = "backupctl" } = this.#connection;
    const application_name = applicationName;
    const parameters = { user, database, replication: "true", application_name };
    await this.#channel.write(startupMessage(parameters));
    const authenticator = new Authenticator(this.#connection);
    while (await this.next() !== MESSAGE.ready) {
      if (this.#reader.type !== MESSAGE.authentication) throw notPostgres(this.#connection);
      const answer = await authenticator.answer(this.#reader.body());
      if (answer) await this.#channel.write(answer);
    }
  }
}

function notPostgres({ host, port }: ConnectionOptions): PostgresError {
  return new PostgresError(
    `${host}:${port} does not answer as PostgreSQL does`,
    "is this the port of a PostgreSQL server?",
  );
}

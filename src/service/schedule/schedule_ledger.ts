/**
 * Who runs the schedule of a cluster, and what became of its entries: one object of the repository,
 * written only if it is still the one that was read. So a daemon that was stopped or cut off cannot
 * begin a run that another one has begun since.
 *
 * @module
 */
import type { Bytes } from "../../domain/bytes.ts";
import type { Clock } from "../../domain/clock.ts";
import { ObjectExistsError, ObjectMissingError } from "../../domain/errors.ts";
import type { ObjectStore } from "../../storage/storage.ts";
import { type LedgerDocument, type LedgerHolder, parseLedger } from "./ledger_document.ts";
import type { EntryStates, ProcessMark } from "./schedule_entry.ts";

/** Milliseconds that a leader may be silent until another one takes over. */
const LEASE = 120_000;
/** Milliseconds from one sign of life to the next. */
const RENEWAL = 40_000;

/** Whose ledger it is and who this daemon is. */
export interface LedgerOptions {
  readonly cluster: string;
  readonly clock: Clock;
  readonly host: string;
  readonly process: ProcessMark;
  /** Whether a process of this host is alive, when that can be told: a dead one leads no more. */
  readonly isAlive: (process: ProcessMark) => Promise<boolean | undefined>;
}

/** The object as it was last seen. */
interface Seen {
  readonly document: LedgerDocument;
  readonly etag: string;
  /** By the monotonic clock: hosts' clocks differ, and a lease ends by the watcher's own. */
  readonly since: number;
}

/** `<cluster>/schedule.json` */
export function ledgerKey(cluster: string): string {
  return `${cluster}/schedule.json`;
}

/** The leader's chair of one cluster. */
export class ScheduleLedger {
  readonly #store: ObjectStore;
  readonly #options: LedgerOptions;
  readonly #me: LedgerHolder;
  #seen: Seen | undefined;
  /** By the monotonic clock; undefined while somebody else leads. */
  #ownUntil: number | undefined;
  #renewedAt = 0;

  constructor(store: ObjectStore, options: LedgerOptions) {
    this.#store = store;
    this.#options = options;
    const { host, process } = options;
    this.#me = { id: crypto.randomUUID(), host, process };
  }

  /** Whether this daemon may begin runs now. */
  get leads(): boolean {
    return this.#ownUntil !== undefined && this.#options.clock.monotonic() < this.#ownUntil;
  }

  /** `host/pid` of whoever leads, as far as known. */
  get holder(): string | undefined {
    const holder = this.leads ? this.#me : this.#seen?.document.holder;
    return holder ? `${holder.host}/${holder.process.pid}` : undefined;
  }

  /** What the leader wrote last; empty before the first time. */
  get states(): EntryStates {
    return new Map(Object.entries(this.#seen?.document.entries ?? {}));
  }

  /**
   * Becomes the leader when nobody is, and gives a sign of life when it is time for one.
   *
   * @returns whether this daemon leads.
   * @throws {StorageError} when the repository cannot be asked.
   */
  async attend(signal?: AbortSignal): Promise<boolean> {
    const now = this.#options.clock.monotonic();
    if (this.leads && now - this.#renewedAt < RENEWAL) return true;
    if (this.#ownUntil !== undefined) {
      if (await this.#write(this.states, signal)) return true;
      this.#ownUntil = undefined;
    }
    await this.#look(signal);
    if (!await this.#isFree()) return false;
    return await this.#write(this.states, signal);
  }

  /**
   * Keeps what became of the entries, durable when it returns.
   *
   * @returns false when another daemon leads by now: nothing was written, nothing may begin.
   */
  async save(states: EntryStates, signal?: AbortSignal): Promise<boolean> {
    if (this.#ownUntil === undefined) return false;
    if (await this.#write(states, signal)) return true;
    this.#ownUntil = undefined;
    return false;
  }

  /** Gives the chair up, so that another daemon need not wait. */
  async release(signal?: AbortSignal): Promise<void> {
    if (this.#ownUntil === undefined) return;
    await this.#write(this.states, signal, null);
    this.#ownUntil = undefined;
  }

  /** Reads the object, and notes since when it has been as it is. */
  async #look(signal?: AbortSignal): Promise<void> {
    const key = ledgerKey(this.#options.cluster);
    const info = await this.#store.head(key, reading(signal));
    if (info === undefined) {
      this.#seen = undefined;
      return;
    }
    const etag = info.etag ?? "";
    if (this.#seen?.etag === etag) return;
    const since = this.#options.clock.monotonic();
    try {
      const text = await new Response(await this.#store.get(key, reading(signal))).text();
      this.#seen = { document: parseLedger(text, key), etag, since };
    } catch (error) {
      if (!(error instanceof ObjectMissingError)) throw error;
      this.#seen = undefined;
    }
  }

  async #isFree(): Promise<boolean> {
    if (!this.#seen) return true;
    const { document: { holder }, since } = this.#seen;
    if (holder === null || holder.id === this.#me.id) return true;
    if (this.#options.clock.monotonic() - since >= LEASE) return true;
    if (holder.host !== this.#options.host) return false;
    return await this.#options.isAlive(holder.process) === false;
  }

  /** @returns false when the object is not the one that was read any more. */
  async #write(
    states: EntryStates,
    signal: AbortSignal | undefined,
    holder: LedgerHolder | null = this.#me,
  ): Promise<boolean> {
    const { cluster, clock } = this.#options;
    const began = clock.monotonic();
    const document: LedgerDocument = {
      schema: "backupctl.schedule/1",
      write: crypto.randomUUID(),
      holder,
      writtenAt: clock.now().toISOString(),
      entries: Object.fromEntries(states),
    };
    const etag = await this.#put(ledgerKey(cluster), document, signal);
    if (etag === undefined) return false;
    this.#seen = { document, etag, since: began };
    this.#renewedAt = began;
    // Somebody else waits for the whole lease from when it sees this; that is later than `began`.
    this.#ownUntil = began + LEASE;
    return true;
  }

  async #put(
    key: string,
    document: LedgerDocument,
    signal?: AbortSignal,
  ): Promise<string | undefined> {
    const bytes: Bytes = new TextEncoder().encode(`${JSON.stringify(document)}\n`);
    const condition = this.#seen ? { ifMatch: this.#seen.etag } : { ifAbsent: true };
    try {
      const info = await this.#store.put(key, bytes, { ...condition, ...reading(signal) });
      return info.etag ?? "";
    } catch (error) {
      if (!(error instanceof ObjectExistsError)) throw error;
      return await this.#own(document, signal);
    }
  }

  /** A put whose answer was lost is tried again by the adapter, and then meets its own object. */
  async #own(
    { write }: LedgerDocument,
    signal?: AbortSignal,
  ): Promise<string | undefined> {
    await this.#look(signal);
    return this.#seen?.document.write === write ? this.#seen.etag : undefined;
  }
}

function reading(signal: AbortSignal | undefined): { readonly signal?: AbortSignal } {
  return signal ? { signal } : {};
}

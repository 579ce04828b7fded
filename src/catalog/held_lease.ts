import type { Clock } from "../domain/clock.ts";
import { LeaseLostError, ObjectExistsError } from "../domain/errors.ts";
import type { ObjectStore } from "../storage/storage.ts";
import { readRecord } from "./lease_list.ts";
import { leaseBytes, leaseKey, type LeaseRecord, type LeaseRemovals } from "./lease_record.ts";

/** How long a lease lasts. */
export interface LeaseTiming {
  /** It ends so long after its last renewal. */
  readonly durationMs: number;
  /** Others wait so much longer: stores tell times in whole seconds. */
  readonly graceMs: number;
}

/** What a lease is held with. */
export interface LeaseParts {
  readonly store: ObjectStore;
  readonly cluster: string;
  readonly clock: Clock;
  readonly timing: LeaseTiming;
}

/** Its holder stops this part of its time before others may take it over. */
const MARGIN = 0.1;
/** Renewed when this part of its time is over. */
const RENEW_AT = 0.3;

/** Two clocks: the monotonic one stands still while a machine sleeps, the other one may jump. */
interface Instant {
  readonly monotonic: number;
  readonly wall: number;
}

/**
 * A lease that this run holds. It is renewed by a timer as long as the process runs; a run that was
 * suspended past its end finds that out from its own clocks, before anything is sent.
 */
export class HeldLease implements AsyncDisposable {
  /** Of the lease, without the number of its record. */
  readonly name: string;
  readonly #parts: LeaseParts;
  readonly #lost = new AbortController();
  #record: LeaseRecord;
  #number: number;
  #confirmed: Instant;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #turn: Promise<unknown> = Promise.resolve();
  #over = false;

  /** Use {@link takeLease}. */
  private constructor(
    parts: LeaseParts,
    { name, number, record, confirmed }: {
      readonly name: string;
      readonly number: number;
      readonly record: LeaseRecord;
      readonly confirmed: Instant;
    },
  ) {
    this.#parts = parts;
    this.name = name;
    this.#number = number;
    this.#record = record;
    this.#confirmed = confirmed;
    this.#schedule();
  }

  /** Puts the first record; undefined when somebody else's has that number. */
  static async take(
    parts: LeaseParts,
    { name, number, record }: {
      readonly name: string;
      readonly number: number;
      readonly record: LeaseRecord;
    },
  ): Promise<HeldLease | undefined> {
    const confirmed = instant(parts.clock);
    if (!await putRecord(parts, { name, number, record })) return undefined;
    return new HeldLease(parts, { name, number, record, confirmed });
  }

  /** The key of its newest record. */
  get key(): string {
    return leaseKey(this.#parts.cluster, this.name, this.#number);
  }

  /** Grows with each record, also from one holder to the next. */
  get fencingToken(): number {
    return this.#number;
  }

  /** What its newest record says that is taken away. */
  get removes(): LeaseRemovals | null {
    return this.#record.removes;
  }

  /** Aborted when the lease is lost, with the {@link LeaseLostError} as its reason. */
  get signal(): AbortSignal {
    return this.#lost.signal;
  }

  /**
   * To be called right before every write and removal; asks nobody.
   *
   * @throws {LeaseLostError} when it may have run out, or somebody else holds it.
   */
  check(): void {
    this.#lost.signal.throwIfAborted();
    const { durationMs } = this.#parts.timing;
    if (this.#age() < durationMs * (1 - MARGIN)) return;
    throw this.#lose("it was not renewed in time: was this process or machine suspended?");
  }

  /** Renews it when a third of its time is over. @throws {LeaseLostError} */
  async confirm(): Promise<void> {
    this.check();
    if (this.#age() < this.#parts.timing.durationMs * RENEW_AT) return;
    await this.renew();
  }

  /**
   * Puts a new record, with `changes` to what it says.
   *
   * @throws {LeaseLostError} when somebody else has taken it over.
   * @throws {StorageError} when the store cannot be asked; the lease is still held.
   */
  async renew(changes: Pick<Partial<LeaseRecord>, "removes" | "needs"> = {}): Promise<void> {
    await this.#inTurn(async () => {
      this.check();
      const record = { ...this.#record, ...changes };
      const confirmed = instant(this.#parts.clock);
      const number = this.#number + 1;
      if (!await putRecord(this.#parts, { name: this.name, number, record })) {
        throw this.#lose("another run has taken it over");
      }
      const old = this.#olderKeys();
      this.#record = record;
      this.#number = number;
      this.#confirmed = confirmed;
      await this.#parts.store.delete(old).catch(() => {}); // refused: it only lies there
    });
  }

  /**
   * Gives it back, or lets it stand for `lasting` milliseconds more. Never throws: what cannot be
   * given back runs out.
   */
  async release({ lasting, keepCount, unfinished = null }: {
    readonly lasting?: number;
    /** Leaves the last record, so that its number is never given again. @default {false} */
    readonly keepCount?: boolean;
    /** What may not have been taken away yet. @default {null} */
    readonly unfinished?: LeaseRemovals | null;
  } = {}): Promise<void> {
    if (this.#over) return;
    this.#over = true;
    clearTimeout(this.#timer);
    await this.#inTurn(async () => {
      this.check();
      const old = [...this.#olderKeys(), this.key];
      const number = this.#number + 1;
      const released = lasting === undefined;
      const record: LeaseRecord = {
        ...this.#record,
        released,
        removes: unfinished,
        durationMs: lasting ?? this.#record.durationMs,
      };
      await putRecord(this.#parts, { name: this.name, number, record });
      this.#number = number;
      const useless = released && !keepCount ? [...old, this.key] : old;
      await this.#parts.store.delete(useless);
    }).catch(() => {});
  }

  /** Removes the first record of a lease that was not won. Never throws. */
  async withdraw(): Promise<void> {
    this.#over = true;
    clearTimeout(this.#timer);
    await this.#parts.store.delete([this.key]).catch(() => {});
  }

  /** The one before the newest stays: whoever lists while a record is added sees one of the two. */
  #olderKeys(): string[] {
    return this.#number > 1 ? [leaseKey(this.#parts.cluster, this.name, this.#number - 1)] : [];
  }

  /** The same as {@link HeldLease.release}. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.release();
  }

  /** Milliseconds since it was last confirmed, by the clock that says more. */
  #age(): number {
    const { monotonic, wall } = instant(this.#parts.clock);
    return Math.max(monotonic - this.#confirmed.monotonic, wall - this.#confirmed.wall);
  }

  #lose(why: string): unknown {
    if (!this.#lost.signal.aborted) {
      this.#lost.abort(new LeaseLostError(this.#record.holder.what, why));
    }
    clearTimeout(this.#timer);
    return this.#lost.signal.reason;
  }

  #schedule(): void {
    if (this.#over || this.#lost.signal.aborted) return;
    this.#timer = setTimeout(() => void this.#beat(), this.#parts.timing.durationMs * RENEW_AT);
    Deno.unrefTimer(this.#timer);
  }

  /** A store that does not answer is asked again, until the lease has run out. */
  async #beat(): Promise<void> {
    try {
      await this.confirm();
    } catch {
      // Lost: the signal says so. Otherwise the next beat tries again.
    }
    this.#schedule();
  }

  async #inTurn(work: () => Promise<void>): Promise<void> {
    const mine = this.#turn.then(work);
    this.#turn = mine.catch(() => {});
    await mine;
  }
}

function instant(clock: Clock): Instant {
  return { monotonic: clock.monotonic(), wall: clock.now().getTime() };
}

/**
 * Puts a record unless one of that number is there. It is read back: a reply may have been lost,
 * and some stores take "only if absent" for nothing, where the last writer wins.
 */
async function putRecord(
  { store, cluster }: LeaseParts,
  { name, number, record }: {
    readonly name: string;
    readonly number: number;
    readonly record: LeaseRecord;
  },
): Promise<boolean> {
  const key = leaseKey(cluster, name, number);
  try {
    await store.put(key, leaseBytes(record), { ifAbsent: true });
    if (record.kind !== "prune") return true;
  } catch (error) {
    if (!(error instanceof ObjectExistsError)) throw error;
  }
  return (await readRecord(store, key))?.run === record.run;
}

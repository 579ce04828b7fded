import { type Clock, systemClock } from "../domain/clock.ts";
import { LeaseHeldError, StorageError } from "../domain/errors.ts";
import type { ObjectStore, ReadOptions } from "../storage/storage.ts";
import { HeldLease, type LeaseTiming } from "./held_lease.ts";
import { describeHolder, isOver, listLeases, readNewest, type StoredLease } from "./lease_list.ts";
import {
  type LeaseKind,
  type LeaseNeeds,
  type LeaseRecord,
  type LeaseRemovals,
  leasesFolder,
  parseLeaseKey,
  PRUNE_LEASE,
  takesAway,
} from "./lease_record.ts";

/** Long enough for a store that is down for a while, short enough to wait for. */
const TIMING: LeaseTiming = { durationMs: 10 * 60_000, graceMs: 2_000 };
/** Records of runs that were killed are of no use after so long. */
const SWEEP_AFTER_MS = 7 * 86_400_000;

/** Whose leases to open. */
export interface LeaseOptions {
  readonly cluster: string;
  /** This machine's name and process, for others to read. */
  readonly holder: { readonly host: string; readonly pid: number };
  /** What time it is. @default {systemClock} */
  readonly clock?: Clock;
  /** @default {ten minutes, and two seconds of grace} */
  readonly timing?: LeaseTiming;
}

/** What a run wants to hold. */
export interface LeaseRequest extends ReadOptions {
  /** `restore of backup 20261123T022415Z-F`. */
  readonly what: string;
  /** What must stay while it is held. */
  readonly needs?: LeaseNeeds;
}

/**
 * The leases of one cluster. Backups and restores hold one each beside each other; a removal holds
 * the only one of its kind. A removal writes down what it takes away before it looks a last time
 * for others, and others look at that after they have written down what they need: so at least one
 * of the two sees the other.
 */
export class Leases {
  readonly #store: ObjectStore;
  readonly #cluster: string;
  readonly #clock: Clock;
  readonly #timing: LeaseTiming;
  readonly #holder: LeaseOptions["holder"];

  /** Asks nobody yet. */
  constructor(
    store: ObjectStore,
    { cluster, holder, clock = systemClock, timing = TIMING }: LeaseOptions,
  ) {
    this.#store = store;
    this.#cluster = cluster;
    this.#holder = holder;
    this.#clock = clock;
    this.#timing = timing;
  }

  /**
   * Holds what a backup or restore needs against removal.
   *
   * @throws {LeaseHeldError} when a removal under way takes it away.
   * @throws {StorageError} when the store refuses the record.
   */
  async share(
    kind: Exclude<LeaseKind, "prune">,
    { what, needs, signal }: LeaseRequest,
  ): Promise<HeldLease> {
    signal?.throwIfAborted();
    const record = this.#record(kind, { what, ...(needs && { needs }) });
    const name = `${kind}-${record.run}`;
    const lease = await HeldLease.take(this.#parts(), { name, number: 1, record });
    if (!lease) throw new StorageError(`lease ${name} was written and is another run's`);
    try {
      if (needs) await this.#refuseTaken(needs, lease, signal);
      return lease;
    } catch (error) {
      await lease.release();
      throw error;
    }
  }

  /**
   * Holds the only lease of removals.
   *
   * @throws {LeaseHeldError} naming who holds it.
   */
  async exclude({ what, signal }: LeaseRequest): Promise<HeldLease> {
    const reading = signal ? { signal } : {};
    const [newest] = await readNewest(this.#store, this.#cluster, {
      only: PRUNE_LEASE,
      ...reading,
    });
    if (newest && !newest.released) await this.#refuseLive(newest, signal);
    const number = (newest?.number ?? 0) + 1;
    // What the last one did not come to is left for this one to finish.
    const record = { ...this.#record("prune", { what }), removes: newest?.removes ?? null };
    const lease = await HeldLease.take(this.#parts(), { name: PRUNE_LEASE, number, record });
    if (lease && await this.#isNewest(number)) return lease;
    await lease?.withdraw();
    const [winner] = await listLeases(this.#store, this.#cluster, {
      only: PRUNE_LEASE,
      ...reading,
    });
    throw new LeaseHeldError(
      winner ? describeHolder(winner) : "another run that began with this one",
    );
  }

  /** Whether a removal takes away something that is needed. */
  collide(removes: LeaseRemovals, needs: LeaseNeeds): boolean {
    return takesAway(removes, needs);
  }

  /** What the last removal did not come to, or one under way is about to take away. */
  async unfinished(reading: ReadOptions = {}): Promise<LeaseRemovals | null> {
    const options = { only: PRUNE_LEASE, ...reading };
    const [newest] = await readNewest(this.#store, this.#cluster, options);
    return newest?.removes ?? null;
  }

  /** Those that have neither been given back nor run out at `now`, the store's time. */
  async live(now: number, reading: ReadOptions = {}): Promise<readonly StoredLease[]> {
    const all = await listLeases(this.#store, this.#cluster, reading);
    return all.filter((lease) => !isOver(lease, { now, graceMs: this.#timing.graceMs }));
  }

  /** The store's time of a record minus this machine's, in milliseconds. */
  async clockOffset(lease: HeldLease, reading: ReadOptions = {}): Promise<number> {
    return await this.#offsetOf(lease.key, reading);
  }

  /**
   * Looks once more for removals.
   *
   * @throws {LeaseHeldError} when one under way takes away what is needed.
   */
  async refuseRemoved(needs: LeaseNeeds, reading: ReadOptions = {}): Promise<void> {
    const removals = await listLeases(this.#store, this.#cluster, {
      only: PRUNE_LEASE,
      ...reading,
    });
    const taking = removals.find(({ removes }) => removes && takesAway(removes, needs));
    if (taking && !await this.#isOver(taking, reading)) {
      throw new LeaseHeldError(describeHolder(taking), "it removes what this run needs");
    }
  }

  /** Removes records of runs that were killed long ago. Never throws. */
  async sweep(now: number, reading: ReadOptions = {}): Promise<void> {
    try {
      const useless: string[] = [];
      for await (const info of this.#store.list(leasesFolder(this.#cluster), reading)) {
        const place = parseLeaseKey(this.#cluster, info.key);
        if (place?.name === PRUNE_LEASE || !info.lastModified) continue;
        if (now - info.lastModified.getTime() > SWEEP_AFTER_MS) useless.push(info.key);
        if (useless.length === 1000) break;
      }
      if (useless.length > 0) await this.#store.delete(useless, reading);
    } catch {
      // They only lie there.
    }
  }

  #parts() {
    return {
      store: this.#store,
      cluster: this.#cluster,
      clock: this.#clock,
      timing: this.#timing,
    };
  }

  #record(kind: LeaseKind, { what, needs }: Pick<LeaseRequest, "what" | "needs">): LeaseRecord {
    return {
      format: "backupctl.lease",
      version: 1,
      kind,
      run: crypto.randomUUID(),
      holder: { ...this.#holder, what },
      takenAt: this.#clock.now().toISOString(),
      durationMs: this.#timing.durationMs,
      released: false,
      needs: needs ?? null,
      removes: null,
    };
  }

  /** A host that may only write cannot look: what it takes on is young, and removals spare that. */
  async #refuseTaken(
    needs: LeaseNeeds,
    lease: HeldLease,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    try {
      await this.refuseRemoved(needs, signal ? { signal } : {});
    } catch (error) {
      if (!(error instanceof StorageError)) throw error;
    }
    lease.check();
  }

  async #refuseLive(newest: StoredLease, signal: AbortSignal | undefined): Promise<void> {
    if (await this.#isOver(newest, signal ? { signal } : {})) return;
    throw new LeaseHeldError(describeHolder(newest));
  }

  /** By the store's clock, of which an object that was just put tells. */
  async #isOver(lease: StoredLease, reading: ReadOptions): Promise<boolean> {
    const key = `${leasesFolder(this.#cluster)}clock-${crypto.randomUUID()}`;
    await this.#store.put(key, new TextEncoder().encode("{}"), reading);
    const offset = await this.#offsetOf(key, reading);
    await this.#store.delete([key]).catch(() => {});
    const now = this.#clock.now().getTime() + offset;
    return isOver(lease, { now, graceMs: this.#timing.graceMs });
  }

  async #offsetOf(key: string, reading: ReadOptions): Promise<number> {
    const info = await this.#store.head(key, reading);
    if (!info?.lastModified) return 0;
    return info.lastModified.getTime() - this.#clock.now().getTime();
  }

  /**
   * Between our look and our record others may have come, gone on, and removed the record of the
   * number that we then found free: the higher number counts. Removes those that are of no use.
   */
  async #isNewest(number: number): Promise<boolean> {
    const older: string[] = [];
    const prefix = `${leasesFolder(this.#cluster)}${PRUNE_LEASE}/`;
    for await (const { key } of this.#store.list(prefix)) {
      const place = parseLeaseKey(this.#cluster, key);
      if (place && place.number > number) return false;
      if (place && place.number < number - 1) older.push(key);
    }
    if (older.length > 0) await this.#store.delete(older).catch(() => {});
    return true;
  }
}

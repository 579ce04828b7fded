import type { HeldLease, LeaseRemovals, StoredLease } from "../../catalog/catalog.ts";
import { listManifests } from "../../catalog/catalog.ts";
import { LeaseHeldError, RunFailedError } from "../../domain/errors.ts";
import { formatSeconds } from "../../domain/bytes.ts";
import { CLOCK_TOLERANCE_MS } from "./backup_order.ts";
import { carryOut, rowsOf } from "./carry_out.ts";
import { prepareRemoval } from "./prepare_removal.ts";
import {
  LEFTOVER_AGE_MS,
  type PruneOptions,
  type PruneParts,
  type Removal,
  type RemovalReport,
} from "./prune_parts.ts";

/** More than half of the backups at once is more often a mistake than a wish, but not of a few. */
const SHARE = 0.5;
const FEW = 5;
/** Others may begin while a plan is made; not for ever. */
const TRIES = 10;

/** Removes what no rule of a policy keeps, and what killed runs left behind. */
export class PruneEngine {
  readonly #parts: PruneParts;

  /** Contacts nobody yet. */
  constructor(parts: PruneParts) {
    this.#parts = parts;
  }

  /** What {@link PruneEngine.run} would remove. Only reads. */
  async plan(options: PruneOptions): Promise<Removal> {
    const now = this.#parts.clock.now().getTime();
    const reading = options.signal ? { signal: options.signal } : {};
    const live = await this.#parts.leases.live(now, reading);
    const unfinished = await this.#parts.leases.unfinished(reading);
    return await prepareRemoval(this.#parts, { ...options, now, live, unfinished });
  }

  /**
   * Removes it.
   *
   * @param options.confirm is asked with what would be removed; false leaves everything as it is.
   * @returns undefined when `confirm` said no.
   * @throws {LeaseHeldError} when another removal is under way.
   * @throws {RunFailedError} when it is not safe to remove anything; nothing was.
   */
  async run(
    { confirm = () => true, ...options }: PruneOptions & {
      readonly confirm?: (removal: Removal) => boolean;
    },
  ): Promise<RemovalReport | undefined> {
    return await withRemovalLease(this.#parts, {
      ...options,
      work: async (held) => {
        const removal = await this.#agreed({ ...options, confirm }, held);
        if (removal === undefined) return undefined;
        const { removedSegments } = await held.carryOut(removal, { finishes: true });
        const uploads = await this.#abortUploads(options, held);
        await this.#parts.leases.sweep(held.now(), { signal: held.signal });
        return { removal, removedSegments, uploads };
      },
    });
  }

  /** A plan that no other run has anything against. */
  async #agreed(
    { confirm, ...options }: PruneOptions & { readonly confirm: (removal: Removal) => boolean },
    held: HeldRemoval,
  ): Promise<Removal | undefined> {
    return await agreedRemoval(this.#parts, held, async (live) => {
      const { signal } = held;
      const removal = await prepareRemoval(this.#parts, {
        ...options,
        ...{ now: held.now(), live, unfinished: held.unfinished, signal },
      });
      if (!options.force) refuseTooMuch(removal);
      return confirm(removal) ? removal : undefined;
    });
  }

  async #abortUploads(
    { uploads = false, olderThan = LEFTOVER_AGE_MS }: PruneOptions,
    { lease, now, signal }: HeldRemoval,
  ): Promise<number> {
    const { store, repository } = this.#parts;
    if (!uploads || !store.abortUploads) return 0;
    await lease.confirm();
    const before = new Date(now() - olderThan);
    return await store.abortUploads(`${repository.cluster}/`, { before, signal });
  }
}

/** What a removal works with while it holds its lease. */
export interface HeldRemoval {
  readonly lease: HeldLease;
  /** Milliseconds since 1970 by the store's clock. */
  readonly now: () => number;
  readonly signal: AbortSignal;
  /** What an earlier removal did not come to. */
  readonly unfinished: LeaseRemovals | null;
  /** Removes what was agreed on; `finishes` says that this is all that is left to remove. */
  carryOut(
    removal: Removal,
    options: { readonly finishes: boolean; readonly evenPinned?: boolean },
  ): Promise<{ readonly removedSegments: number }>;
}

/**
 * Works while no other removal can.
 *
 * @throws {LeaseHeldError} when another one is under way.
 * @throws {RunFailedError} when the store cannot keep others out, or this machine's clock is wrong.
 */
export async function withRemovalLease<T>(
  parts: PruneParts,
  { work, force = false, signal }: Pick<PruneOptions, "force" | "signal"> & {
    readonly work: (held: HeldRemoval) => Promise<T>;
  },
): Promise<T> {
  const { leases, clock, repository, conditionalPut } = parts;
  if (!conditionalPut && !force) {
    throw new RunFailedError(
      `the store of ${repository.location} takes "only if absent" for nothing: a second removal ` +
        "could not be kept out",
      "run removals on one host only, with --force",
    );
  }
  const what = `removal from cluster ${repository.cluster}`;
  const lease = await leases.exclude({ what, ...(signal && { signal }) });
  let unfinished = lease.removes;
  try {
    const offset = await leases.clockOffset(lease, signal ? { signal } : {});
    refuseWrongClock(offset);
    const held = {
      lease,
      unfinished,
      now: () => clock.now().getTime() + offset,
      signal: signal ? AbortSignal.any([signal, lease.signal]) : lease.signal,
    };
    return await work({
      ...held,
      carryOut: async (removal, { finishes, ...options }) => {
        unfinished = lease.removes; // as it was written down: all of it, until the end
        const done = await carryOut(parts, removal, { ...held, ...options });
        unfinished = finishes ? null : held.unfinished;
        return done;
      },
    });
  } finally {
    await lease.release({ keepCount: true, unfinished });
  }
}

/**
 * Makes a plan, writes down what it takes away, and looks whether somebody has begun to need some
 * of it meanwhile; then it makes another one.
 */
export async function agreedRemoval(
  parts: PruneParts,
  { lease, now, signal, unfinished }: HeldRemoval,
  make: (live: readonly StoredLease[]) => Promise<Removal | undefined>,
): Promise<Removal | undefined> {
  const { leases } = parts;
  for (let tries = 1; tries <= TRIES; tries++) {
    const live = await leases.live(now(), { signal });
    const removal = await make(live);
    if (removal === undefined) return undefined;
    await lease.renew({ removes: withUnfinished(removesOf(removal), unfinished) });
    const known = new Set(live.map(({ name }) => name));
    const late = await leases.live(now(), { signal });
    const objection = late.some(({ name, needs }) =>
      !known.has(name) && needs !== null && leases.collide(removesOf(removal), needs)
    );
    // In this order: a run commits first and gives its lease back then.
    if (!objection && !await newIncrement(parts, removal, signal)) return removal;
  }
  throw new LeaseHeldError(
    "one run after another that needs what would be removed",
    "nothing was removed",
  );
}

/** Whether an increment was committed since the plan was made: it may build on what goes. */
async function newIncrement(
  { store, repository: { cluster } }: PruneParts,
  { seen }: Removal,
  signal: AbortSignal,
): Promise<boolean> {
  for await (const { systemIdentifier, id } of listManifests(store, cluster, { signal })) {
    if (/-I(-\d+)?$/.test(id) && !seen.has(`${systemIdentifier}/${id}`)) return true;
  }
  return false;
}

function removesOf({ remove, leftovers, wal }: Removal): LeaseRemovals {
  return {
    backups: [
      ...remove.map(({ systemIdentifier, backup: { id } }) => ({ systemIdentifier, id })),
      ...leftovers.map(({ systemIdentifier, id }) => ({ systemIdentifier, id })),
    ],
    wal: rowsOf(wal.filter(({ keep }) => !keep)),
  };
}

/** Until the end, when nothing is left of it: this run may be cut off, too. */
function withUnfinished(removes: LeaseRemovals, unfinished: LeaseRemovals | null): LeaseRemovals {
  const backups = [...removes.backups, ...unfinished?.backups ?? []];
  const byName = new Map(backups.map((one) => [`${one.systemIdentifier}/${one.id}`, one]));
  return { backups: [...byName.values()], wal: removes.wal };
}

function refuseWrongClock(offset: number): void {
  if (Math.abs(offset) <= CLOCK_TOLERANCE_MS) return;
  const way = offset > 0 ? "behind" : "ahead of";
  throw new RunFailedError(
    `this machine's clock is ${formatSeconds(Math.abs(offset) / 1000)} ${way} the store's; ` +
      "nothing is removed",
    "set the clock: what is too old is told by it",
  );
}

function refuseTooMuch({ keep, remove }: Removal): void {
  const all = keep.length + remove.length;
  if (remove.length <= FEW || remove.length <= all * SHARE) return;
  throw new RunFailedError(
    `${remove.length} of ${all} backups would be removed at once; nothing is removed`,
    "is the policy right? --dry-run shows the plan, --force carries it out",
  );
}

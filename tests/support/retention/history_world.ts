/** A cluster's life in the small: backups, promotions, upgrades and wrong clocks, as values. */
import fc from "fast-check";
import { COUNT_RULES, type RetentionPolicy } from "../../../src/domain/retention_policy.ts";
import type { TimelineHistory } from "../../../src/domain/timeline_history.ts";
import { segmentNumber } from "../../../src/domain/wal.ts";
import type {
  HeldDatabases,
  PruneBackup,
  PruneSystem,
  WalPiece,
} from "../../../src/engine/retention/prune_model.ts";

export const SEGMENT_BYTES = 1024 * 1024;
const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const BEGIN = Date.UTC(2026, 0, 1);

/** Something that happens. The numbers choose among what is there. */
export type Event =
  | { readonly what: "pass"; readonly hours: number; readonly segments: number }
  | { readonly what: "full"; readonly segments: number }
  | { readonly what: "logical"; readonly databases?: HeldDatabases }
  | { readonly what: "increment"; readonly pick: number; readonly segments: number }
  | { readonly what: "pin"; readonly pick: number; readonly days: number | null }
  | { readonly what: "use"; readonly pick: number }
  | { readonly what: "promote"; readonly withHistory: boolean }
  | { readonly what: "recover"; readonly pick: number; readonly segments: number }
  | { readonly what: "upgrade" }
  | { readonly what: "clock"; readonly hours: number }
  | { readonly what: "lose"; readonly pick: number }
  | { readonly what: "prune"; readonly policy: RetentionPolicy; readonly crashAt: number | null };

const pick = fc.nat({ max: 1000 });
const count = fc.constantFrom(1, 1, 2, 3, 5);
/** Databases come and go, and so what a backup of all of them holds changes. */
const heldDatabases: fc.Arbitrary<HeldDatabases> = fc.record({
  all: fc.boolean(),
  names: fc.option(fc.subarray(["app", "crm", "shop"]), { freq: 8 }),
});

/** Mostly of one or two rules; the empty one too. */
export const policies: fc.Arbitrary<RetentionPolicy> = fc.record({
  counts: fc.array(fc.tuple(fc.constantFrom(...COUNT_RULES), count), { maxLength: 3 })
    .map((rules) => Object.fromEntries(rules)),
  pitrWindow: fc.option(fc.integer({ min: 1, max: 40 }).map((days) => days * DAY), {
    ...{ nil: undefined, freq: 2 },
  }),
  minRedundancy: fc.constantFrom(1, 1, 1, 2, 3),
});

/** Up to sixty events; ordinary ones are the most frequent. */
export const histories: fc.Arbitrary<readonly Event[]> = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: pass() },
    {
      weight: 5,
      arbitrary: fc.record({ what: fc.constant("full" as const), segments: fc.nat({ max: 3 }) }),
    },
    {
      weight: 4,
      arbitrary: fc.record({
        what: fc.constant("increment" as const),
        pick,
        segments: fc.nat({ max: 2 }),
      }),
    },
    {
      weight: 4,
      arbitrary: fc.record({ what: fc.constant("logical" as const), databases: heldDatabases }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        what: fc.constant("pin" as const),
        pick,
        days: fc.option(fc.nat({ max: 60 })),
      }),
    },
    { weight: 1, arbitrary: fc.record({ what: fc.constant("use" as const), pick }) },
    {
      weight: 1,
      arbitrary: fc.record({
        what: fc.constant("promote" as const),
        withHistory: fc.constantFrom(true, true, true, false),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        what: fc.constant("recover" as const),
        pick,
        segments: fc.nat({ max: 9 }),
      }),
    },
    { weight: 1, arbitrary: fc.record({ what: fc.constant("upgrade" as const) }) },
    {
      weight: 1,
      arbitrary: fc.record({
        what: fc.constant("clock" as const),
        hours: fc.constantFrom(0, 0, 1, -5, 400, -9000, 20_000),
      }),
    },
    { weight: 1, arbitrary: fc.record({ what: fc.constant("lose" as const), pick }) },
    {
      weight: 3,
      arbitrary: fc.record({
        what: fc.constant("prune" as const),
        policy: policies,
        crashAt: fc.option(fc.nat({ max: 40 }), { freq: 3 }),
      }),
    },
  ),
  { minLength: 5, maxLength: 60, size: "max" },
);

function pass(): fc.Arbitrary<Event> {
  return fc.record({
    what: fc.constant("pass" as const),
    hours: fc.integer({ min: 1, max: 240 }),
    segments: fc.nat({ max: 8 }),
  });
}

/** A system as it really is. */
export interface LivingSystem {
  readonly systemIdentifier: string;
  backups: PruneBackup[];
  /** What the archive holds: when each segment of each timeline was stored. */
  readonly wal: Map<number, Map<number, number>>;
  /** Files that are archived. */
  readonly histories: Map<number, TimelineHistory>;
  /** How it really came to be, also where the file is not archived. */
  readonly truth: Map<number, TimelineHistory>;
  timeline: number;
  lsn: bigint;
}

/** Plays events; `prune` is left to the test. */
export class HistoryWorld {
  readonly systems: LivingSystem[] = [];
  now = BEGIN;
  #skew = 0;
  #serial = 0;

  constructor() {
    this.#newSystem();
  }

  get current(): LivingSystem {
    return this.systems.at(-1)!;
  }

  play(event: Exclude<Event, { readonly what: "prune" }>): void {
    const system = this.current;
    switch (event.what) {
      case "pass":
        this.now += event.hours * HOUR;
        return this.#write(event.segments);
      case "full":
        return this.#backup("full", { parent: null, segments: event.segments });
      case "increment": {
        const parent = chosen(system.backups.filter(({ wal }) => wal !== null), event.pick);
        if (!parent) return this.#backup("full", { parent: null, segments: event.segments });
        return this.#backup("incremental", { parent: parent.id, segments: event.segments });
      }
      case "logical":
        return void system.backups.push({
          ...{ id: this.#name("L"), method: "logical", kind: "full", parentId: null },
          ...{ stoppedAt: this.now + this.#skew, storedBytes: 10, wal: null },
          databases: event.databases ?? { all: true, names: ["app"] },
        });
      case "pin":
        return this.#change(event.pick, {
          pin: { until: event.days === null ? null : this.now + event.days * DAY },
        });
      case "use":
        return this.#change(event.pick, { inUseBy: "a restore" });
      case "promote":
        return this.#promote(system.timeline, {
          switchLsn: system.lsn + 100n,
          withHistory: event.withHistory,
        });
      case "recover": {
        const base = chosen(system.backups.filter(({ wal }) => wal !== null), event.pick);
        if (!base?.wal) return;
        const switchLsn = base.wal.stopLsn + BigInt(event.segments * SEGMENT_BYTES);
        return this.#promote(base.wal.timeline, { switchLsn, withHistory: true });
      }
      case "upgrade":
        return this.#newSystem();
      case "clock":
        return void (this.#skew = event.hours * HOUR);
      case "lose": {
        const own = system.wal.get(system.timeline);
        const number = chosen([...(own?.keys() ?? [])], event.pick);
        return void (number !== undefined && own!.delete(number));
      }
    }
  }

  /** What a listing of the store would say. */
  asListed(): readonly PruneSystem[] {
    return this.systems.map((system) => ({
      systemIdentifier: system.systemIdentifier,
      segmentBytes: SEGMENT_BYTES,
      backups: [...system.backups],
      wal: piecesOf(system),
      histories: new Map(system.histories),
    }));
  }

  #newSystem(): void {
    this.systems.push({
      systemIdentifier: String(7_000_000_000_000_000_000n + BigInt(this.systems.length)),
      backups: [],
      wal: new Map(),
      histories: new Map(),
      truth: new Map([[1, { timeline: 1, ancestors: [] }]]),
      timeline: 1,
      lsn: BigInt(SEGMENT_BYTES),
    });
  }

  /** Archives the segments that come to their end. */
  #write(segments: number): void {
    const system = this.current;
    const first = segmentNumber(system.lsn, SEGMENT_BYTES);
    const own = system.wal.get(system.timeline) ?? new Map<number, number>();
    system.wal.set(system.timeline, own);
    for (let number = first; number < first + segments; number++) own.set(number, this.now);
    system.lsn += BigInt(segments * SEGMENT_BYTES);
  }

  #backup(
    kind: PruneBackup["kind"],
    { parent, segments }: { readonly parent: string | null; readonly segments: number },
  ): void {
    const system = this.current;
    const startLsn = system.lsn + 40n;
    this.#write(segments);
    const stopLsn = system.lsn + 300n;
    this.#write(1); // the segment of its end is switched and archived
    system.backups.push({
      ...{ id: this.#name(kind === "full" ? "F" : "I"), method: "physical", kind },
      parentId: parent,
      stoppedAt: this.now + this.#skew,
      storedBytes: 100,
      wal: { timeline: system.timeline, startLsn, stopLsn },
    });
  }

  #promote(
    parent: number,
    { switchLsn, withHistory }: { readonly switchLsn: bigint; readonly withHistory: boolean },
  ): void {
    const system = this.current;
    const timeline = Math.max(...system.truth.keys()) + 1;
    const { ancestors } = system.truth.get(parent)!;
    // Recovery to a moment before the parent began ends on one of its own ancestors.
    const own = ancestors.filter((ancestor) => ancestor.switchLsn <= switchLsn);
    if (own.length < ancestors.length) return;
    const reason = "no recovery target specified";
    const history = {
      timeline,
      ancestors: [...own, { timeline: parent, switchLsn, reason }],
    };
    system.truth.set(timeline, history);
    if (withHistory) system.histories.set(timeline, history);
    system.timeline = timeline;
    system.lsn = switchLsn;
  }

  #change(number: number, change: Partial<PruneBackup>): void {
    const { backups } = this.current;
    const backup = chosen(backups, number);
    if (backup) backups[backups.indexOf(backup)] = { ...backup, ...change };
  }

  #name(letter: string): string {
    this.#serial += 1;
    return `${letter}${this.#serial}`;
  }
}

function chosen<T>(all: readonly T[], number: number): T | undefined {
  return all.length === 0 ? undefined : all[number % all.length];
}

/** Rows of segments, cut where backups begin and end, as a listing would give them. */
export function piecesOf({ wal, backups }: LivingSystem): readonly WalPiece[] {
  const cuts = new Set<number>();
  for (const backup of backups) {
    if (!backup.wal) continue;
    cuts.add(segmentNumber(backup.wal.startLsn, SEGMENT_BYTES));
    cuts.add(segmentNumber(backup.wal.stopLsn - 1n, SEGMENT_BYTES) + 1);
  }
  const pieces: WalPiece[] = [];
  for (const [timeline, segments] of wal) {
    let open: WalPiece | undefined;
    for (const [number, storedAt] of [...segments].sort(([a], [b]) => a - b)) {
      if (open && open.last + 1 === number && !cuts.has(number)) {
        const latest = Math.max(open.storedAt!, storedAt);
        open = { ...open, last: number, bytes: open.bytes + 1, storedAt: latest };
        pieces[pieces.length - 1] = open;
        continue;
      }
      open = { timeline, first: number, last: number, bytes: 1, storedAt };
      pieces.push(open);
    }
  }
  return pieces;
}

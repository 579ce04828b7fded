/** One line of the schedule. */
export interface ScheduleEntry {
  /** Unique in the schedule. */
  readonly name: string;
  /** Five fields, or six with seconds in front, or a nickname such as `@daily`. */
  readonly cron: string;
  /** IANA name. @default {the machine's} */
  readonly timezone?: string;
  /** As it was written: `backup full --label weekly`. */
  readonly run: string;
  /** The same as words. */
  readonly args: readonly string[];
  /** What runs one at a time: the first word of the command. */
  readonly kind: string;
  /** Milliseconds at most that a run begins later, so that hosts do not begin together. */
  readonly jitterMs: number;
  /** What becomes of a moment that passed while nobody watched. */
  readonly missed: "run" | "skip";
}

/** What is known of a run, kept so that a crash of the daemon does not forget it. */
export interface RunState {
  /** The moment of the cron line, RFC 3339. */
  readonly due: string;
  readonly startedAt: string;
  /** 1 for the first time; more after a crash or a stop of the daemon. */
  readonly attempt: number;
  readonly host: string;
  /** Of the child; undefined between the mark and the start. */
  readonly process?: ProcessMark;
  readonly finishedAt?: string;
  /**
   * `interrupted`: the daemon was stopped and ended it. `lost`: it died with its daemon.
   * `unknown`: it outlived its daemon, so nobody saw how it ended.
   */
  readonly outcome: "running" | "succeeded" | "failed" | "interrupted" | "lost" | "unknown";
  readonly exitStatus?: number;
  /** The child's error. */
  readonly message?: string;
}

/** Tells a process from a later one with its number. */
export interface ProcessMark {
  readonly pid: number;
  /** proc(5), starttime: clock ticks since boot; undefined where there is no /proc. */
  readonly start?: string;
}

/** What became of an entry so far. */
export interface EntryState {
  /** Moments up to this one are dealt with. */
  readonly due: string;
  readonly run?: RunState;
  readonly skipped?: {
    readonly due: string;
    readonly at: string;
    readonly reason: SkipReason;
  };
}

/** Why a moment passed without a run. */
export type SkipReason = "still running" | "missed";

/** By the entry's name. */
export type EntryStates = ReadonlyMap<string, EntryState>;

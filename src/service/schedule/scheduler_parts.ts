import type { Clock } from "../../domain/clock.ts";
import type { Start } from "./schedule_book.ts";
import type { ProcessMark, RunState, ScheduleEntry } from "./schedule_entry.ts";
import type { ScheduleLedger } from "./schedule_ledger.ts";

/** How a child ended. */
export interface ChildEnd {
  readonly exitStatus: number;
  /** The error that it printed. */
  readonly message?: string;
}

/** A run under way. */
export interface Child {
  readonly pid: number;
  readonly ended: Promise<ChildEnd>;
  /** Asks it to end (SIGTERM), or ends it (SIGKILL). */
  end(how: "ask" | "kill"): void;
}

/** What the scheduler tells of; the command line makes log lines of it. */
export type ScheduleEvent =
  | { readonly type: "fired"; readonly start: Start }
  | { readonly type: "finished"; readonly name: string; readonly run: RunState }
  | { readonly type: "skipped"; readonly name: string; readonly due: Date; readonly reason: string }
  | { readonly type: "leader"; readonly leads: boolean; readonly holder: string | undefined }
  | { readonly type: "trouble"; readonly error: unknown };

/** What a scheduler works with. */
export interface SchedulerOptions {
  readonly entries: readonly ScheduleEntry[];
  readonly cluster: string;
  readonly ledger: ScheduleLedger;
  readonly clock: Clock;
  readonly host: string;
  /** Begins a run in a process of its own. */
  readonly spawn: (entry: ScheduleEntry) => Child;
  /** Undefined: nobody can tell; then a run counts as lost. */
  readonly isAlive: (process: ProcessMark) => Promise<boolean | undefined>;
  /** What tells a process of this machine from later ones with its number. */
  readonly markOf: (pid: number) => Promise<ProcessMark>;
  readonly tell: (event: ScheduleEvent) => void;
  /** Waits so many milliseconds, or until the signal. */
  readonly sleep: (milliseconds: number, signal: AbortSignal) => Promise<void>;
}

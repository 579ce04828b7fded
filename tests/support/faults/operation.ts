import type { RunOptions, Trial } from "./trial.ts";

/** Something that backupctl does, and how to tell that it was done. */
export interface Operation {
  readonly name: string;
  /** Makes what the trial needs besides the store. */
  readonly prepare?: (trial: Trial) => Promise<void>;
  /** How it is run on a host; each has a destination of its own. */
  readonly command: (
    trial: Trial,
    host: 1 | 2,
  ) => RunOptions & { readonly words: readonly string[] };
  /** How it is run again afterwards; as before without it. */
  readonly again?: (trial: Trial) => RunOptions & { readonly words: readonly string[] };
  /** Looks at what a run has left. `acknowledged`: one ended with 0. */
  readonly check?: (trial: Trial, acknowledged: boolean) => Promise<void> | void;
  /** Looks at what there is once it was run again. */
  readonly complete: (trial: Trial) => Promise<void>;
  /** Whether it may remove backups. */
  readonly removes?: boolean;
}

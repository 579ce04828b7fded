import type { Progress } from "../../domain/progress.ts";

/** Milliseconds after which people wonder whether anything happens. */
const PATIENCE = 5_000;

/** How a backup waits. */
export interface CheckpointWait {
  /** Whether an immediate checkpoint was asked for. */
  readonly fast: boolean;
  /** Milliseconds until people are told. @default {5000} */
  readonly patience?: number;
}

/**
 * Begins a backup, and says so when PostgreSQL takes its time: it spreads a checkpoint over the most
 * part of checkpoint_timeout, five minutes by default. PostgreSQL docs, "Making a Base Backup".
 */
export async function awaitCheckpoint<T>(
  begin: () => Promise<T>,
  progress: Progress,
  { fast, patience = PATIENCE }: CheckpointWait,
): Promise<T> {
  progress.begin("waiting for the checkpoint");
  const timer = fast ? undefined : setTimeout(() => {
    progress.note(
      "still waiting for PostgreSQL's checkpoint, which it spreads over up to checkpoint_timeout " +
        "so as not to disturb others; --fast-checkpoint has it written at once",
    );
  }, patience);
  try {
    return await begin();
  } finally {
    clearTimeout(timer);
  }
}

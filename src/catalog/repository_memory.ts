import { RepositoryError } from "../domain/errors.ts";

/**
 * Whether this host has stored anything in a repository before. A folder that lost its mount looks
 * like one where nothing was ever stored.
 */
export interface RepositoryMemory {
  /** What says so, for people: removing it forgets. */
  readonly place: string;
  /** Whether the repository was there once. */
  isKnown(): boolean;
  /** Keeps that it is there. Never throws: it is only a help. */
  remember(): void;
}

/** What a repository that is gone is told with. */
export function repositoryGone(location: string, { place }: RepositoryMemory): RepositoryError {
  return new RepositoryError(
    `there is no repository at ${location} any more`,
    `is what belongs there mounted? ${place} says that it was there; ` +
      "remove that file to begin a new one",
  );
}

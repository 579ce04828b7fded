/** A folder of a backup without backup.json: of a run that is still going, or was killed. */
export interface UnfinishedBackup {
  /** Of the folder that it lies in. */
  readonly systemIdentifier: string;
  /** The folder's name. */
  readonly id: string;
  /** How many lie in it. */
  readonly objects: number;
  /** What they take. */
  readonly storedBytes: number;
  /** When the last of it was stored, as the store tells. */
  readonly lastStoredAt: Date | undefined;
}

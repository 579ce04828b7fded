/**
 * Every failure that people meet, with its stable code, its exit status and its hint. Only main.ts
 * and the command line read the status; whoever throws names the value and the likely remedy.
 *
 * @module
 */

/** Options that every error takes: what lies beneath. */
export interface ErrorCause {
  /** What was thrown beneath. */
  readonly cause?: unknown;
}

/** The base of all expected failures. Anything else that is thrown is a bug (exit status 70). */
export abstract class BackupctlError extends Error {
  /** Stable name for programs, such as `STORAGE_UNREACHABLE`. */
  abstract readonly code: string;
  /** The process's exit status, see the table in docs/cli.md. */
  abstract readonly exitCode: number;
  /** The likely cause or the remedy, in one line. */
  readonly hint: string | undefined;

  /** The message names the value; the hint says what to do. */
  constructor(message: string, hint?: string, options?: ErrorCause) {
    super(message, options);
    this.name = new.target.name;
    this.hint = hint;
  }
}

/** The run failed for a reason that has no status of its own; trying again may help. */
export class RunFailedError extends BackupctlError {
  /** Stable, see {@link BackupctlError.code}. */
  readonly code: string = "RUN_FAILED";
  /** See {@link BackupctlError.exitCode}. */
  readonly exitCode: number = 1;
}

/** The command line is wrong: a flag, a value or a combination. */
export class UsageError extends BackupctlError {
  /** Stable, see {@link BackupctlError.code}. */
  readonly code = "USAGE";
  /** See {@link BackupctlError.exitCode}. */
  readonly exitCode = 2;
}

/** Part of the work was done and part was not; the message says which. */
export class PartialError extends BackupctlError {
  /** Stable, see {@link BackupctlError.code}. */
  readonly code = "PARTIAL";
  /** See {@link BackupctlError.exitCode}. */
  readonly exitCode = 3;
}

/** The configuration, an environment variable or a secret file is wrong. */
export class ConfigError extends BackupctlError {
  /** Stable, see {@link BackupctlError.code}. */
  readonly code = "CONFIG_INVALID";
  /** See {@link BackupctlError.exitCode}. */
  readonly exitCode = 4;
}

/** PostgreSQL cannot be reached or refuses what was asked. */
export class PostgresError extends BackupctlError {
  /** Stable, see {@link BackupctlError.code}. */
  readonly code: string = "POSTGRES_REFUSED";
  /** See {@link BackupctlError.exitCode}. */
  readonly exitCode = 5;
}

/** The object store or folder cannot be reached or refuses what was asked. */
export class StorageError extends BackupctlError {
  /** Stable, see {@link BackupctlError.code}. */
  readonly code: string = "STORAGE_REFUSED";
  /** See {@link BackupctlError.exitCode}. */
  readonly exitCode: number = 6;
}

/** A conditional put found the key taken; nothing was written. */
export class ObjectExistsError extends StorageError {
  /** Stable, see {@link BackupctlError.code}. */
  override readonly code = "OBJECT_EXISTS";
  /** Names the key. */
  constructor(readonly key: string, options?: ErrorCause) {
    super(`object ${key} already exists`, undefined, options);
  }
}

/** The store itself answered that the key does not exist. */
export class ObjectMissingError extends StorageError {
  /** Stable, see {@link BackupctlError.code}. */
  override readonly code = "OBJECT_MISSING";
  /** Names the key. */
  constructor(readonly key: string, options?: ErrorCause) {
    super(`object ${key} does not exist`, undefined, options);
  }
}

/** No backup, or no point in time, matches what was asked for. */
export class NothingMatchesError extends BackupctlError {
  /** Stable, see {@link BackupctlError.code}. */
  readonly code = "NOTHING_MATCHES";
  /** See {@link BackupctlError.exitCode}. */
  readonly exitCode = 7;
}

/** Stored bytes are not what was written: checksum, length, truncation, a missing object. */
export class IntegrityError extends BackupctlError {
  /** Stable, see {@link BackupctlError.code}. */
  readonly code = "INTEGRITY";
  /** See {@link BackupctlError.exitCode}. */
  readonly exitCode = 8;
}

/** The destination of a restore is not empty, in use, too small or not writable. */
export class DestinationError extends BackupctlError {
  /** Stable, see {@link BackupctlError.code}. */
  readonly code = "DESTINATION";
  /** See {@link BackupctlError.exitCode}. */
  readonly exitCode = 9;
}

/** The repository is missing, belongs to somebody else or has a newer format. */
export class RepositoryError extends BackupctlError {
  /** Stable, see {@link BackupctlError.code}. */
  readonly code = "REPOSITORY";
  /** See {@link BackupctlError.exitCode}. */
  readonly exitCode = 10;
}

/** Another run, perhaps on another host, does what must not be done twice at a time. */
export class LeaseHeldError extends BackupctlError {
  /** Stable, see {@link BackupctlError.code}. */
  readonly code = "LEASE_HELD";
  /** See {@link BackupctlError.exitCode}. */
  readonly exitCode = 11;
  /**
   * Says who is in the way.
   *
   * @param holder who holds it, for people.
   */
  constructor(holder: string, detail = "it must come to its end first", options?: ErrorCause) {
    super(
      `${holder} is under way: ${detail}`,
      "wait for it; when its process is dead, its lease runs out some minutes after its last sign " +
        'of life, or a day after a restore that rolls forward: "backupctl status" shows when',
      options,
    );
  }
}

/** This run was held up until others may have taken over; it stopped before its next write. */
export class LeaseLostError extends BackupctlError {
  /** Stable, see {@link BackupctlError.code}. */
  readonly code = "LEASE_LOST";
  /** See {@link BackupctlError.exitCode}. */
  readonly exitCode = 11;
  /**
   * Says whose lease it was.
   *
   * @param what the run; `why` it lost its lease.
   */
  constructor(what: string, why: string, options?: ErrorCause) {
    super(`the lease of ${what} is lost: ${why}`, "run the command again", options);
  }
}

/** An identity that opens encrypted objects is missing, is none, or belongs to somebody else. */
export class KeyError extends BackupctlError {
  /** Stable, see {@link BackupctlError.code}. */
  readonly code = "KEY";
  /** See {@link BackupctlError.exitCode}. */
  readonly exitCode = 12;
}

/** The PostgreSQL version, or a client program's, cannot do what was asked. */
export class VersionError extends BackupctlError {
  /** Stable, see {@link BackupctlError.code}. */
  readonly code = "VERSION_NOT_SUPPORTED";
  /** See {@link BackupctlError.exitCode}. */
  readonly exitCode = 13;
}

/** The newest full backup, or WAL that waits, is older than a rule of the configuration allows. */
export class StaleError extends BackupctlError {
  /** Stable, see {@link BackupctlError.code}. */
  readonly code = "STALE";
  /** See {@link BackupctlError.exitCode}. */
  readonly exitCode = 14;
}

/** The archive holds a WAL file of this name with other content; nothing was overwritten. */
export class ArchiveConflictError extends BackupctlError {
  /** Stable, see {@link BackupctlError.code}. */
  readonly code = "ARCHIVE_CONFLICT";
  /** See {@link BackupctlError.exitCode}. */
  readonly exitCode = 15;
  /** Names the WAL file. */
  constructor(name: string, options?: ErrorCause) {
    super(
      `WAL file ${name} is already archived with other content; it was not overwritten`,
      "does a restored copy, or another cluster, archive under the same cluster name?",
      options,
    );
  }
}

/** SIGINT or SIGTERM ended the run; what was begun is undone. */
export class InterruptedError extends BackupctlError {
  /** Stable, see {@link BackupctlError.code}. */
  readonly code = "INTERRUPTED";
  /** See {@link BackupctlError.exitCode}. */
  readonly exitCode = 130;
  /** Its name, such as SIGINT. */
  readonly signal: string;
  /** Names the signal. The hint says what became of the work when something of it is left. */
  constructor(
    signal: string,
    hint = "nothing incomplete was kept; run the command again",
    options?: ErrorCause,
  ) {
    super(`interrupted by ${signal}`, hint, options);
    this.signal = signal;
  }
}

/** The exit status of a failure: 70, a bug, for anything that is not a {@link BackupctlError}. */
export function exitStatus(error: unknown): number {
  return error instanceof BackupctlError ? error.exitCode : 70;
}

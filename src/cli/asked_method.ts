import type { BackupMethod } from "../domain/backup_id.ts";
import { UsageError } from "../domain/errors.ts";
import type { CommandOf } from "./grammar/grammar.ts";
import type { Session } from "./session.ts";

type Line = CommandOf<"backup full"> | CommandOf<"backup incremental">;

/**
 * What the flags and the configuration ask for. A flag that only physical backups have asks for one;
 * an increment is one always, whatever `backup.method` says of full backups.
 *
 * @throws {UsageError} when they contradict.
 */
export function askedMethod(line: Line, { loaded }: Session): "auto" | BackupMethod {
  if (line.fromStandby && line.source === "files") {
    throw new UsageError(
      "--source files does not go with --from-standby",
      "leave --source out: a standby is read over the replication protocol",
    );
  }
  if (line.command === "backup incremental") {
    refuseLogicalFlags(line);
    return "physical";
  }
  const asked = line.method ?? (line.fromStandby ? "physical" : loaded.config.backup.method);
  if (line.databases.length > 0) return methodOfDatabases(line, asked);
  const flag = physicalFlag(line);
  if (flag === undefined) return asked;
  if (line.method === "logical") throw physicalOnly(flag);
  return "physical";
}

/** @throws {UsageError} */
function methodOfDatabases(line: Line, asked: "auto" | BackupMethod): "logical" {
  if (asked === "physical") {
    throw new UsageError(
      "--database does not go with a physical backup, which holds the whole cluster",
      "take a logical backup of single databases: --method logical",
    );
  }
  const flag = physicalFlag(line);
  if (flag !== undefined) throw physicalOnly(flag);
  return "logical";
}

/** @throws {UsageError} */
function refuseLogicalFlags(line: Line): void {
  const flag = line.method === "logical"
    ? "--method logical"
    : line.databases.length > 0
    ? "--database"
    : undefined;
  if (flag === undefined) return;
  throw new UsageError(
    `${flag} does not go with an increment, which is always a physical backup`,
    "dumps have no increments: take a full backup",
  );
}

/** The first one that only a physical backup has. */
function physicalFlag(line: Line): string | undefined {
  return line.maxRate !== undefined
    ? "--max-rate"
    : line.waitWal !== undefined
    ? "--wait-wal"
    : line.fromStandby
    ? "--from-standby"
    : line.source !== undefined
    ? "--source"
    : line.failOnCorruption
    ? "--fail-on-corruption"
    : line.noResume
    ? "--no-resume"
    : line.fastCheckpoint
    ? "--fast-checkpoint"
    : undefined;
}

function physicalOnly(flag: string): UsageError {
  return new UsageError(
    `${flag} goes with a physical backup only, and this one would be logical`,
    "add --method physical, or leave the flag out",
  );
}

import { merge, object } from "@optique/core/constructs";
import { message } from "@optique/core/message";
import { multiple, optional, withDefault } from "@optique/core/modifiers";
import { command, constant, flag, option } from "@optique/core/primitives";
import { integer } from "@optique/core/valueparser";
import { helpPage } from "./help_page.ts";
import { backupIdKind, percentage, rowFloor, words } from "./kinds.ts";
import { targetFlags } from "./recovery_flags.ts";

const backupId = (description: ReturnType<typeof message>) =>
  optional(option("--backup-id", backupIdKind, { description }));

/** `verify`. */
export const verify = command(
  "verify",
  object({
    command: constant("verify"),
    backupId: backupId(message`Only this backup, with those that it builds on, and no WAL`),
    sample: optional(option("--sample", percentage, {
      description: message`Read only so much of it, by lot: 10%; all must be there`,
    })),
    sinceLast: withDefault(
      flag("--since-last", {
        description: message`Leave out what an earlier verification found to be right`,
      }),
      false,
    ),
    jobs: optional(option("--jobs", integer({ min: 1, max: 64, metavar: "N" }), {
      description: message`Objects at a time (default: 4)`,
    })),
    expectSequence: optional(option("--expect-sequence", integer({ min: 1, metavar: "N" }), {
      description: message`A signed backup of this number must be there, or a later one`,
    })),
  }),
  helpPage({
    brief: "Read the repository back and check every byte of it",
    description:
      "Reads every object of every backup, and the archived WAL that backups can be rolled forward " +
      "through, and compares each length and SHA-256 with what was stored. It names what is damaged " +
      "or missing, and the backups that are lost with it; the exit status is 8 then. The outcome is " +
      "kept in the repository: status shows when a backup was last verified.",
    examples: ["verify", "verify --since-last", "verify --sample 10%"],
  }),
);

/** `drill`. */
export const drill = command(
  "drill",
  merge(
    targetFlags,
    object({
      command: constant("drill"),
      backupId: backupId(message`This backup (default: the newest)`),
      destination: optional(option("--destination", words("FOLDER"), {
        description: message`An empty or absent scratch folder (default: a temporary one)`,
      })),
      sql: optional(option("--sql", words("FILE"), {
        description: message`Run this file with psql; an error in it fails the drill`,
      })),
      database: optional(option("--database", words("NAME"), {
        description: message`Where --sql and --min-rows look (default: postgres, or the only one)`,
      })),
      minRows: multiple(option("--min-rows", rowFloor, {
        description: message`The table has at least so many rows; may be given again`,
      })),
      amcheck: withDefault(
        flag("--amcheck", { description: message`Check every table and index with pg_amcheck` }),
        false,
      ),
      keepScratch: withDefault(
        flag("--keep-scratch", { description: message`Leave the scratch folder where it is` }),
        false,
      ),
      jobs: optional(option("--jobs", integer({ min: 1, max: 64, metavar: "N" }), {
        description: message`Threads or connections at work (default: one for each core)`,
      })),
    }),
  ),
  helpPage({
    brief: "Restore into a scratch server and check what came of it",
    description:
      "Restores a backup into a scratch folder, starts it on a private socket with archiving off, " +
      "waits until its recovery is over, and runs the checks that are asked for. It then stops the " +
      "server, removes the folder and keeps the outcome with the measured recovery time in the " +
      "repository. The exit status is 8 when the restored data fails a check.",
    examples: [
      "drill",
      "drill --latest --amcheck",
      "drill --to 2024-01-15T12:30:00Z --database app --sql checks.sql --min-rows orders=1000",
    ],
  }),
);

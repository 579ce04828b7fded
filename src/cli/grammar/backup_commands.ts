/**
 * The commands that take backups. Both take the same flags.
 *
 * @module
 */
import { object, or } from "@optique/core/constructs";
import { message } from "@optique/core/message";
import { multiple, optional, withDefault } from "@optique/core/modifiers";
import { command, constant, flag, option } from "@optique/core/primitives";
import { choice } from "@optique/core/valueparser";
import { helpPage } from "./help_page.ts";
import { jobs } from "./jobs_flag.ts";
import { annotation, duration, label, rate, words } from "./kinds.ts";

const flags = {
  label: optional(option("--label", label("the label"), {
    description: message`A name for people, such as weekly`,
  })),
  method: optional(
    option("--method", choice(["auto", "logical", "physical"], { metavar: "METHOD" }), {
      description: message`auto, logical (pg_dump) or physical (base backup)`,
    }),
  ),
  jobs,
  maxRate: optional(option("--max-rate", rate, {
    description: message`Physical: read no faster than this, such as 50M a second`,
  })),
  source: optional(
    option("--source", choice(["auto", "stream", "files"], { metavar: "SOURCE" }), {
      description: message`Physical: stream (the server sends) or files (read on its host)`,
    }),
  ),
  failOnCorruption: withDefault(
    flag("--fail-on-corruption", {
      description: message`Physical: a page with a wrong checksum fails the backup`,
    }),
    false,
  ),
  fastCheckpoint: withDefault(
    flag("--fast-checkpoint", {
      description: message`Physical: start at once instead of spreading the checkpoint`,
    }),
    false,
  ),
  databases: multiple(option("--database", words("NAME"), {
    description: message`Logical: only this database; may be given again`,
  })),
  annotations: multiple(option("--annotation", annotation, {
    description: message`Kept with the backup; may be given again`,
  })),
  waitWal: optional(option("--wait-wal", duration, {
    description: message`Physical: wait so long for its WAL in the repository`,
  })),
  keep: optional(or(
    flag("--keep", { description: message`Keep it, whatever the retention policy says` }),
    option("--keep", words("UNTIL"), { description: message`The same until then, such as 90d` }),
  )),
  noResume: withDefault(
    flag("--no-resume", {
      description: message`Physical: take nothing over from a backup that was cut off`,
    }),
    false,
  ),
  dryRun: withDefault(
    flag("--dry-run", { description: message`Check everything, store nothing` }),
    false,
  ),
  fromStandby: withDefault(
    flag("--from-standby", {
      description: message`Physical: the server is a standby, and its primary archives`,
    }),
    false,
  ),
};

const full = command(
  "full",
  object({ command: constant("backup full"), ...flags }),
  helpPage({
    brief: "Take a full backup",
    description:
      "Takes a full backup and commits it to the repository. Without --method it is physical " +
      "when the server archives its WAL here, which point-in-time recovery needs, or with a flag " +
      "of physical backups; otherwise logical: each database as a pg_dump archive, with roles and " +
      "tablespaces beside them.",
    examples: [
      "backup full --label primeiro-backup",
      "backup full --method physical --fast-checkpoint",
      "backup full --database app --database billing --annotation ticket=OPS-42",
    ],
  }),
);

const incremental = command(
  "incremental",
  object({ command: constant("backup incremental"), ...flags }),
  helpPage({
    brief: "Take what changed since the newest physical backup",
    description:
      "Takes an increment on top of the newest physical backup, full or incremental: only the " +
      "pages that changed since. PostgreSQL 17 and later tell them from summaries of the WAL " +
      "(summarize_wal = on); on the server's host, backupctl finds them in its files, upon a backup " +
      "that was read there. Where an increment is not possible a full backup is taken, and the " +
      "output says why. As archive_command, in the archiver's hands, it archives WAL instead.",
    examples: [
      "backup incremental",
      'backup incremental --label "wal-arquivo"',
      "backup incremental --dry-run",
    ],
  }),
);

/** `backup full` and `backup incremental`. */
export const backup = command(
  "backup",
  or(full, incremental),
  helpPage({ brief: "Take a backup", usage: "full|incremental [OPTIONS]" }),
);

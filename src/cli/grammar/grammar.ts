/**
 * The words and flags of the command line. Only what exists stands here; the words that people
 * know from elsewhere are in not_in_this_version.ts.
 *
 * @module
 */
import { merge, object, or } from "@optique/core/constructs";
import { message } from "@optique/core/message";
import { multiple, optional, withDefault } from "@optique/core/modifiers";
import { argument, command, constant, flag, option } from "@optique/core/primitives";
import type { InferValue } from "@optique/core/parser";
import { alertCommands } from "./alert_commands.ts";
import { backup } from "./backup_commands.ts";
import { drill, verify } from "./check_commands.ts";
import { globalOptions } from "./global_options.ts";
import { schedule } from "./schedule_command.ts";
import { keyCommands } from "./key_commands.ts";
import { annotate, keep, prune, remove } from "./retention_commands.ts";
import { recoveryFlags } from "./recovery_flags.ts";
import { walCommands } from "./wal_commands.ts";
import { walFetch, walPush } from "./wal_path_commands.ts";
import { helpPage } from "./help_page.ts";
import { statusCommand } from "./status_command.ts";
import { jobs } from "./jobs_flag.ts";
import { backupIdKind, serverUrl, tablespaceMove, words } from "./kinds.ts";

const restore = command(
  "restore",
  merge(
    recoveryFlags,
    object({
      command: constant("restore"),
      backupId: optional(option("--backup-id", backupIdKind, {
        description: message`This backup (default: the newest)`,
      })),
      destination: optional(option("--destination", words("FOLDER"), {
        description: message`An empty or absent folder: the new data directory, or the dump files`,
      })),
      into: optional(option("--into", serverUrl, {
        description: message`Logical: a live server, such as postgres://user@host:5432/`,
      })),
      databases: multiple(option("--database", words("NAME"), {
        description: message`Logical: only this database; may be given again`,
      })),
      tables: multiple(option("--table", words("NAME"), {
        description: message`Logical, with --into: only this table, without indexes and keys`,
      })),
      tablespaceMap: multiple(option("--tablespace-map", tablespaceMove, {
        description: message`Physical: put a tablespace elsewhere; may be given again`,
      })),
      jobs,
      delta: withDefault(
        flag("--delta", {
          description: message`Physical: keep what is equal in a stopped data directory`,
        }),
        false,
      ),
      force: withDefault(
        flag("--force", {
          description: message`With --delta: overwrite the data directory of another system`,
        }),
        false,
      ),
      plan: withDefault(
        flag("--plan", { description: message`Say what would be done, and do nothing` }),
        false,
      ),
    }),
  ),
  helpPage({
    brief: "Restore a backup",
    description:
      "Restores the newest backup, or the one named. A physical backup becomes a data directory " +
      "that PostgreSQL can start; a logical one becomes dump files, or databases in a live server. " +
      "With a target, a physical backup is rolled forward by the archived WAL. --delta goes on with " +
      "an interrupted restore, and brings a stopped data directory to the backup: what is equal " +
      "stays, and all else in it is removed.",
    examples: [
      "restore --destination /tmp/restore",
      "restore --backup-id 20261123T022415Z-F --destination /srv/pg/new",
      "restore --into postgres://postgres@localhost:5433/ --database app",
      'restore --to "2024-01-15T12:30:00Z" --destination /tmp/restore --plan',
      "restore --latest --destination /srv/pg/new --start",
      "restore --delta --destination /srv/pg/data",
    ],
  }),
);

const test = command(
  "test",
  object({
    command: constant("test"),
    deep: withDefault(
      flag("--deep", { description: message`Send a WAL segment the whole way and wait for it` }),
      false,
    ),
    exitOnStale: withDefault(
      flag("--exit-on-stale", {
        description: message`Exit status 14 when the rules full_max_age or wal_lag are broken`,
      }),
      false,
    ),
    nagios: withDefault(
      flag("--nagios", { description: message`One line with figures, exit status 0, 1, 2 or 3` }),
      false,
    ),
  }),
  helpPage({
    brief: "Check that a backup can be taken",
    description:
      "Checks the configuration, PostgreSQL and the role's rights, archiving, the client " +
      "programs, the repository, the disk and the age of the newest backups. Each line says ok, " +
      "warning or failed, with a remedy. It stores one small object and removes it again.",
    examples: ["test", "test --deep", "test --quiet --exit-on-stale", "test --nagios"],
    aliases: ["check"],
  }),
);

const config = command(
  "config",
  or(
    command(
      "init",
      object({
        command: constant("config init"),
        file: withDefault(
          argument(words("FILE"), { description: message`Default: config/config.yaml` }),
          "config/config.yaml",
        ),
      }),
      helpPage({
        brief: "Write a commented sample",
        description: "Writes a sample configuration with every key; never over an existing file.",
        examples: ["config init", "config init /etc/backupctl/config.yaml"],
        usage: "[FILE]",
      }),
    ),
    command(
      "show",
      object({ command: constant("config show") }),
      helpPage({
        brief: "Show what applies, and where each value comes from",
        description: "Secrets are masked.",
        examples: ["config show", "config show --output json"],
      }),
    ),
    command(
      "check",
      object({ command: constant("config check") }),
      helpPage({
        brief: "Name every fault of the configuration",
        examples: ["config check --config /etc/backupctl/config.yaml"],
      }),
    ),
  ),
  helpPage({ brief: "Show, check or begin the configuration", usage: "init|show|check [OPTIONS]" }),
);

const catalog = command(
  "catalog",
  or(
    command(
      "rebuild",
      object({ command: constant("catalog rebuild") }),
      helpPage({
        brief: "Make the index in PostgreSQL equal to the repository",
        description:
          "The repository is the truth. The index in PostgreSQL serves other tools; it may be " +
          "lost at any time and is made again by this command.",
      }),
    ),
    command(
      "export",
      object({ command: constant("catalog export") }),
      helpPage({ brief: "Print the index, backups and runs, as one JSON document" }),
    ),
  ),
  helpPage({ brief: "Rebuild or export the index in PostgreSQL", usage: "rebuild|export" }),
);

const repo = command(
  "repo",
  or(
    command(
      "ls",
      object({
        command: constant("repo ls"),
        prefix: withDefault(
          argument(words("PREFIX"), { description: message`Only keys that begin so` }),
          "",
        ),
      }),
      helpPage({
        brief: "List the objects of the repository",
        examples: ["repo ls", "repo ls main/"],
        usage: "[PREFIX]",
      }),
    ),
    command(
      "cat",
      object({
        command: constant("repo cat"),
        key: argument(words("KEY"), { description: message`A key as "repo ls" prints it` }),
      }),
      helpPage({
        brief: "Print one object as it is stored",
        examples: ["repo cat main/repository.json"],
        usage: "KEY",
      }),
    ),
  ),
  helpPage({ brief: "Look into the repository", usage: "ls|cat" }),
);

const explain = command(
  "explain",
  object({
    command: constant("explain"),
    code: optional(
      argument(words("CODE"), { description: message`Such as CONFIG_INVALID, or an exit status` }),
    ),
  }),
  helpPage({
    brief: "Explain an error code or exit status",
    examples: ["explain STORAGE_REFUSED", "explain 9"],
    usage: "[CODE]",
  }),
);

const version = command(
  "version",
  object({ command: constant("version") }),
  helpPage({ brief: "Print the version" }),
);

/** The whole command line. */
export const grammar = merge(
  globalOptions,
  or(
    or(backup, restore, walCommands, walPush, walFetch, statusCommand),
    or(
      test,
      verify,
      drill,
      schedule,
      config,
      catalog,
      repo,
      alertCommands,
      keyCommands,
      explain,
      version,
    ),
    or(prune, remove, keep, annotate),
  ),
);

/** A command line that was understood. */
export type CommandLine = InferValue<typeof grammar>;
/** One command's words and flags, the global ones among them. */
export type CommandOf<Name extends CommandLine["command"]> = Extract<
  CommandLine,
  { readonly command: Name }
>;
/** The flags that every command takes. */
export type GlobalOptions = InferValue<typeof globalOptions>;

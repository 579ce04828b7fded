import { object, or } from "@optique/core/constructs";
import { message } from "@optique/core/message";
import { multiple, optional, withDefault } from "@optique/core/modifiers";
import { argument, command, constant, flag, option } from "@optique/core/primitives";
import { integer } from "@optique/core/valueparser";
import { helpPage } from "./help_page.ts";
import { annotation, backupIdKind, duration, words } from "./kinds.ts";

const dryRun = withDefault(
  flag("--dry-run", { description: message`Say what would be removed, and remove nothing` }),
  false,
);
const yes = withDefault(
  flag("-y", "--yes", { description: message`Do not ask on a terminal` }),
  false,
);

const pruneFlags = object({
  command: constant("prune"),
  policy: optional(option("--policy", words("POLICY"), {
    description: message`What to keep (default: the configuration's retention)`,
  })),
  minRedundancy: optional(
    option("--min-redundancy", integer({ min: 1, max: 99_999, metavar: "N" }), {
      description: message`Keep so many of the newest, whatever the policy says`,
    }),
  ),
  dryRun,
  yes,
  orphans: withDefault(
    flag("--orphans", { description: message`Also what killed runs left in the repository` }),
    false,
  ),
  multiparts: withDefault(
    flag("--multiparts", { description: message`Also unfinished uploads` }),
    false,
  ),
  olderThan: optional(option("--older-than", duration, {
    description: message`Orphans and uploads of this age only (default: 7d)`,
  })),
  force: withDefault(
    flag("--force", {
      description: message`Also more than half of the backups, or where nobody can be kept out`,
    }),
    false,
  ),
});

const PRUNE_TEXT = {
  brief: "Remove what the retention policy does not keep",
  description:
    "Prints what stays and what goes, with the reasons, and removes the rest: backups first, then " +
    "the archived WAL that none of them needs. On a terminal it asks before. The newest physical " +
    "backup always stays, and of each set of databases the newest logical one that holds it.",
};

/** `prune`. */
export const prune = command(
  "prune",
  pruneFlags,
  helpPage({
    ...PRUNE_TEXT,
    examples: [
      "prune --dry-run",
      'prune --policy "monthly-retain=3,weekly-retain=4"',
      "prune --orphans --multiparts --older-than 14d --yes",
    ],
    aliases: ["expire"],
  }),
);

/** `delete --backup-id ID`, and `delete retain` for those who know it. */
export const remove = command(
  "delete",
  or(
    command("retain", pruneFlags, helpPage({ ...PRUNE_TEXT, examples: ["delete retain --yes"] })),
    object({
      command: constant("delete"),
      backupId: option("--backup-id", backupIdKind, { description: message`This backup` }),
      dryRun,
      yes,
      force: withDefault(
        flag("--force", {
          description: message`Also when it is pinned, damaged, the newest, or others build on it`,
        }),
        false,
      ),
    }),
  ),
  helpPage({
    brief: "Remove one backup",
    description: "Removes the backup named. Its WAL stays until the next prune.",
    examples: ["delete --backup-id 20261123T022415Z-F"],
    usage: "--backup-id ID [OPTIONS]",
  }),
);

const chosen = optional(option("--backup-id", backupIdKind, {
  description: message`This backup (default: the newest)`,
}));

/** `keep`. */
export const keep = command(
  "keep",
  object({
    command: constant("keep"),
    backupId: chosen,
    until: optional(option("--until", words("TIME"), {
      description: message`Until then: 2027-01-31T00:00:00Z, 2027-01-31, or 90d from now`,
    })),
    release: withDefault(
      flag("--release", { description: message`Leave it to the retention policy again` }),
      false,
    ),
  }),
  helpPage({
    brief: "Keep a backup, whatever the retention policy says",
    examples: ["keep --backup-id 20261123T022415Z-F", "keep --until 2027-01-31", "keep --release"],
  }),
);

/** `annotate`. */
export const annotate = command(
  "annotate",
  object({
    command: constant("annotate"),
    backupId: chosen,
    annotations: multiple(
      argument(annotation, { description: message`Nothing behind the = takes it away` }),
      { min: 1 },
    ),
  }),
  helpPage({
    brief: "Write a note on a backup",
    examples: ["annotate --backup-id 20261123T022415Z-F ticket=OPS-42 owner=ana"],
    usage: "[--backup-id ID] KEY=VALUE...",
  }),
);

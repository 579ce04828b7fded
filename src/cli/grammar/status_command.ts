import { object } from "@optique/core/constructs";
import { message } from "@optique/core/message";
import { optional, withDefault } from "@optique/core/modifiers";
import { command, constant, flag, option } from "@optique/core/primitives";
import { integer } from "@optique/core/valueparser";
import { helpPage } from "./help_page.ts";
import { backupIdKind } from "./kinds.ts";

/** `status`, also known as `info` and `backup-list`. */
export const statusCommand = command(
  "status",
  object({
    command: constant("status"),
    last: optional(option("--last", integer({ min: 1, max: 100_000, metavar: "N" }), {
      description: message`Only the newest N backups`,
    })),
    backupId: optional(option("--backup-id", backupIdKind, {
      description: message`Everything about this backup`,
    })),
    chart: withDefault(
      flag("--chart", {
        description: message`A picture: what can be restored, what is missing, the backups`,
      }),
      false,
    ),
    watch: withDefault(
      flag("--watch", {
        description:
          message`Look again every five seconds; elsewhere than on a terminal, a line each`,
      }),
      false,
    ),
  }),
  helpPage({
    brief: "Show what can be restored, and the backups",
    description:
      "From the repository alone: the server may be gone. When it answers within three seconds, " +
      "what waits to be archived and how the runs went are shown, too.",
    examples: [
      "status",
      "status --last 10",
      "status --chart",
      "status --watch",
      "status --backup-id 20261123T022415Z-F",
    ],
    aliases: ["info", "backup-list"],
  }),
);

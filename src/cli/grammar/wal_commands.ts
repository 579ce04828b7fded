import { object, or } from "@optique/core/constructs";
import { message } from "@optique/core/message";
import { optional } from "@optique/core/modifiers";
import { command, constant, option } from "@optique/core/primitives";
import { integer } from "@optique/core/valueparser";
import { helpPage } from "./help_page.ts";
import { segment } from "./kinds.ts";

const timeline = optional(
  option("--timeline", integer({ min: 1, max: 0xffffffff, metavar: "N" }), {
    description: message`Only this timeline`,
  }),
);

/** `wal status` and `wal verify`. */
export const walCommands = command(
  "wal",
  or(
    command(
      "status",
      object({ command: constant("wal status"), timeline }),
      helpPage({
        brief: "Show what is archived, what can be restored, and what is missing",
        examples: ["wal status", "wal status --timeline 3 --output json"],
      }),
    ),
    command(
      "verify",
      object({
        command: constant("wal verify"),
        timeline,
        from: optional(option("--from", segment, { description: message`The first segment` })),
        to: optional(option("--to", segment, { description: message`The last segment` })),
      }),
      helpPage({
        brief: "Read the archived WAL back and check every byte of it",
        examples: ["wal verify", "wal verify --from 0000000300000000000000A1"],
      }),
    ),
  ),
  helpPage({ brief: "Look at the archived WAL", usage: "status|verify [OPTIONS]" }),
);

import { object } from "@optique/core/constructs";
import { message } from "@optique/core/message";
import { withDefault } from "@optique/core/modifiers";
import { argument, command, constant, flag } from "@optique/core/primitives";
import { helpPage } from "./help_page.ts";
import { words } from "./kinds.ts";

/** `wal-push`: its help and completion; it runs by the short way of src/cli/wal. */
export const walPush = command(
  "wal-push",
  object({
    command: constant("wal-push"),
    path: argument(words("PATH"), { description: message`What PostgreSQL puts for %p` }),
    newSystem: withDefault(
      flag("--new-system", {
        description: message`Once after pg_upgrade: this system takes over the cluster's name`,
      }),
      false,
    ),
  }),
  helpPage({
    brief: "Archive a WAL file, for archive_command",
    description:
      "Stores a file of pg_wal and ends with 0 only when the store has confirmed it. A file that " +
      "is there with other content is never overwritten: status 15.",
    examples: ["wal-push pg_wal/0000000100000000000000A1"],
    usage: "PATH [OPTIONS]",
    aliases: ["archive-push"],
  }),
);

/** `wal-fetch`: its help and completion; it runs by the short way of src/cli/wal. */
export const walFetch = command(
  "wal-fetch",
  object({
    command: constant("wal-fetch"),
    file: argument(words("NAME"), { description: message`What PostgreSQL puts for %f` }),
    path: argument(words("PATH"), { description: message`What PostgreSQL puts for %p` }),
  }),
  helpPage({
    brief: "Bring back a WAL file, for restore_command",
    description:
      "Ends with 0 when verified bytes are in place, with 1 when the archive proves not to have " +
      "the file, and with 255 when it cannot tell, so that PostgreSQL stops instead of opening early.",
    examples: ["wal-fetch 0000000100000000000000A1 pg_wal/RECOVERYXLOG"],
    usage: "NAME PATH [OPTIONS]",
    aliases: ["wal-get", "archive-get"],
  }),
);

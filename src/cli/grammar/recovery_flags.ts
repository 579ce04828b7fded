import { merge, object } from "@optique/core/constructs";
import { message } from "@optique/core/message";
import { optional, withDefault } from "@optique/core/modifiers";
import { flag, option } from "@optique/core/primitives";
import { choice } from "@optique/core/valueparser";
import { words } from "./kinds.ts";

const off = (name: `--${string}`, description: ReturnType<typeof message>) =>
  withDefault(flag(name, { description }), false);

/** Where to roll a physical backup forward to. */
export const targetFlags = object({
  to: optional(option("--to", words("TIME"), {
    description: message`Roll forward to this time, with its zone: 2024-01-15T12:30:00Z`,
  })),
  toLsn: optional(option("--to-lsn", words("LSN"), {
    description: message`Roll forward to this position of the log, such as 16/B374D848`,
  })),
  toXid: optional(option("--to-xid", words("XID"), {
    description: message`Roll forward to this transaction`,
  })),
  toName: optional(option("--to-name", words("NAME"), {
    description: message`Roll forward to what pg_create_restore_point was given`,
  })),
  immediate: off("--immediate", message`Stop as soon as the backup is consistent`),
  latest: off("--latest", message`Roll forward to the end of the archive`),
  exclusive: off("--exclusive", message`Stop just before the target, not just after it`),
  timeline: optional(option("--timeline", words("latest|current|N"), {
    description: message`Follow this branch (default: latest; with --immediate current)`,
  })),
});

/** The flags of `restore` that roll a physical backup forward. */
export const recoveryFlags = merge(
  targetFlags,
  object({
    action: optional(
      option("--action", choice(["pause", "promote", "shutdown"], { metavar: "ACTION" }), {
        description: message`At the target: promote (the default), pause or shutdown`,
      }),
    ),
    standby: off("--standby", message`Stay in recovery and go on asking for WAL`),
    keepArchiving: off("--keep-archiving", message`Leave archive_mode of the copy as it was`),
    start: off("--start", message`Start the server and wait until it is where it should be`),
  }),
);

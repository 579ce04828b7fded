import { object } from "@optique/core/constructs";
import { message } from "@optique/core/message";
import { optional, withDefault } from "@optique/core/modifiers";
import { command, constant, flag, option } from "@optique/core/primitives";
import { integer } from "@optique/core/valueparser";
import { helpPage } from "./help_page.ts";
import { words } from "./kinds.ts";

/** `schedule`. */
export const schedule = command(
  "schedule",
  object({
    command: constant("schedule"),
    next: optional(option("--next", integer({ min: 1, max: 1000, metavar: "N" }), {
      description: message`How many runs of each entry to show (default: 3)`,
    })),
    daemon: withDefault(
      flag("--daemon", { description: message`Run the entries when they are due, until stopped` }),
      false,
    ),
    once: withDefault(
      flag("--once", {
        description: message`With --daemon: run what is due since the last time, and end`,
      }),
      false,
    ),
    listen: optional(option("--listen", words("ADDRESS"), {
      description: message`With --daemon: /metrics and /healthz there, such as 127.0.0.1:9187`,
    })),
  }),
  helpPage({
    brief: "Show the next runs of the schedule, or run it",
    description:
      "Shows when the entries of the configuration's schedule run next, in their own time zones. " +
      "With --daemon it runs them: each in a process of its own, one at a time of each kind, on " +
      "one host of the cluster at a time, and makes up once for what was missed. SIGHUP reads the " +
      "configuration again; SIGTERM ends it, and what it runs, within half a minute.",
    examples: ["schedule", "schedule --next 10", "schedule --daemon --listen 127.0.0.1:9187"],
  }),
);

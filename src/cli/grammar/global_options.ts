import { object } from "@optique/core/constructs";
import { message } from "@optique/core/message";
import { optional, withDefault } from "@optique/core/modifiers";
import { flag, option } from "@optique/core/primitives";
import { choice } from "@optique/core/valueparser";
import { duration, label, words } from "./kinds.ts";

/** The flags that every command takes, before or behind its words. */
export const globalOptions = object("Global options", {
  config: optional(option("--config", words("FILE"), {
    description: message`Read this file, and not the default ones`,
    hidden: "usage",
  })),
  cluster: optional(option("--cluster", "--stanza", label("the cluster's name"), {
    description: message`The cluster's name in the repository (default: main)`,
    hidden: "usage",
  })),
  identity: optional(option("--identity", words("FILE"), {
    description: message`Open encrypted backups with this age identity; - is standard input`,
    hidden: "usage",
  })),
  output: optional(option("--output", choice(["text", "json"], { metavar: "FORM" }), {
    description: message`Results and errors as text or as one JSON document`,
    hidden: "usage",
  })),
  quiet: withDefault(
    flag("-q", "--quiet", {
      description: message`Print nothing unless something is wrong or was asked for`,
      hidden: "usage",
    }),
    false,
  ),
  verbose: withDefault(
    flag("-v", "--verbose", {
      description: message`Show every log event, those for debugging too`,
      hidden: "usage",
    }),
    false,
  ),
  logFormat: optional(option("--log-format", choice(["text", "json"], { metavar: "FORM" }), {
    description: message`Log lines as text (default on a terminal) or JSON (elsewhere)`,
    hidden: "usage",
  })),
  noColor: withDefault(
    flag("--no-color", { description: message`No colour, as NO_COLOR`, hidden: "usage" }),
    false,
  ),
  progress: optional(
    option("--progress", choice(["auto", "plain", "none"], { metavar: "FORM" }), {
      description: message`auto, plain (a line now and then) or none`,
      hidden: "usage",
    }),
  ),
  timeout: optional(option("--timeout", duration, {
    description: message`Give up, cleanly, after this time, such as 2h`,
    hidden: "usage",
  })),
});

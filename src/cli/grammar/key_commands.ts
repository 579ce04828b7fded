import { object, or } from "@optique/core/constructs";
import { message } from "@optique/core/message";
import { optional } from "@optique/core/modifiers";
import { argument, command, constant } from "@optique/core/primitives";
import { helpPage } from "./help_page.ts";
import { words } from "./kinds.ts";

/** `key generate`, `key check` and `key rekey`. */
export const keyCommands = command(
  "key",
  or(
    command(
      "generate",
      object({
        command: constant("key generate"),
        file: optional(
          argument(words("FILE"), {
            description: message`Where to write the identity (default: standard output)`,
          }),
        ),
      }),
      helpPage({
        brief: "Make an identity, and print its recipient",
        description:
          "Makes an age identity, which opens backups, in a file that only its owner can read, and " +
          "prints the recipient that belongs to it, for encryption.recipients. Do it elsewhere than " +
          "on the database host.",
        examples: ["key generate /secure/identity.txt"],
        usage: "[FILE]",
      }),
    ),
    command(
      "check",
      object({ command: constant("key check") }),
      helpPage({
        brief: "Check the recipients, and what an identity opens",
        description:
          "Encrypts a probe to the configured recipients. With an identity, opens the probe, every " +
          "data key and the manifest of every encrypted backup.",
        examples: ["key check", "key check --identity /secure/identity.txt"],
      }),
    ),
    command(
      "rekey",
      object({ command: constant("key rekey") }),
      helpPage({
        brief: "Give what is encrypted already to the recipients configured now",
        description:
          "Wraps every data key for the configured recipients, beside its old wrappings. Needs an " +
          "identity that opens them; reads and writes no backup.",
        examples: ["key rekey --identity /secure/old-identity.txt"],
      }),
    ),
  ),
  helpPage({ brief: "Make, check and change keys", usage: "generate|check|rekey [OPTIONS]" }),
);

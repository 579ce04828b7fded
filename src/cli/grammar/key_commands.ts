import { object, or } from "@optique/core/constructs";
import { message } from "@optique/core/message";
import { optional, withDefault } from "@optique/core/modifiers";
import { argument, command, constant, flag } from "@optique/core/primitives";
import { helpPage } from "./help_page.ts";
import { words } from "./kinds.ts";

/** `key generate`, `key check`, `key rekey` and `key sign`. */
export const keyCommands = command(
  "key",
  or(
    command(
      "generate",
      object({
        command: constant("key generate"),
        file: optional(
          argument(words("FILE"), {
            description: message`Where to write the key (default: standard output)`,
          }),
        ),
        signing: withDefault(
          flag("--signing", { description: message`A key that signs backups, not an identity` }),
          false,
        ),
      }),
      helpPage({
        brief: "Make an identity, and print its recipient",
        description:
          "Makes an age identity, which opens backups, in a file that only its owner can read, and " +
          "prints the recipient that belongs to it, for encryption.recipients. Do it elsewhere than " +
          "on the database host. With --signing, makes an Ed25519 key, which signs backups where they " +
          "are taken, for signing.key_file, and prints its public key, for signing.trusted_keys.",
        examples: [
          "key generate /secure/identity.txt",
          "key generate --signing /etc/backupctl/signing.pem",
        ],
        usage: "[OPTIONS] [FILE]",
      }),
    ),
    command(
      "check",
      object({ command: constant("key check") }),
      helpPage({
        brief: "Check the recipients, and what an identity opens",
        description:
          "Encrypts a probe to the configured recipients. With an identity, opens the probe, every " +
          "data key and the manifest of every encrypted backup. Where signing is configured, reads " +
          "the key that signs and says which backups no trusted key signed.",
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
    command(
      "sign",
      object({ command: constant("key sign") }),
      helpPage({
        brief: "Sign the backups that are there and are not signed",
        description:
          "For backups that were taken before signing was configured: signs each backup.json that " +
          "has no signature, as it is now, with signing.key_file. Look at status and verify first: " +
          "what somebody else put there is signed, too. Changes no backup.",
        examples: ["key sign"],
      }),
    ),
  ),
  helpPage({ brief: "Make, check and change keys", usage: "generate|check|rekey|sign [OPTIONS]" }),
);

import { object, or } from "@optique/core/constructs";
import { message } from "@optique/core/message";
import { multiple } from "@optique/core/modifiers";
import { command, constant, option } from "@optique/core/primitives";
import { helpPage } from "./help_page.ts";
import { words } from "./kinds.ts";

/** `alert test` */
export const alertCommands = command(
  "alert",
  or(command(
    "test",
    object({
      command: constant("alert test"),
      channels: multiple(option("--channel", words("NAME"), {
        description: message`Only this channel; may be given again`,
      })),
    }),
    helpPage({
      brief: "Send a test message through each channel",
      description:
        "Sends one message through every channel of the configuration, and says of each whether " +
        "its receiver took it. A webhook is called by its name, or by its kind and place: slack-1.",
      examples: ["alert test", "alert test --channel email", "alert test --output json"],
    }),
  )),
  helpPage({ brief: "Try out the alerts", usage: "test [OPTIONS]" }),
);

import { message } from "@optique/core/message";
import { optional } from "@optique/core/modifiers";
import { option } from "@optique/core/primitives";
import { integer } from "@optique/core/valueparser";

/** `--jobs`, of every command that uses several cores. */
export const jobs = optional(option("--jobs", integer({ min: 1, max: 64, metavar: "N" }), {
  description: message`Threads or connections at work (default: one for each core, at most 8)`,
}));

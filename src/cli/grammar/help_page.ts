import type { CommandOptions } from "@optique/core/primitives";
import { lineBreak, type Message, text } from "@optique/core/message";
import type { Usage } from "@optique/core/usage";

/** What a command's help page says beside its flags. */
export interface HelpText {
  /** One line for the list of commands. */
  readonly brief: string;
  /** A few sentences on the command's own page. */
  readonly description?: string;
  /** Command lines as people type them, without the program's name. */
  readonly examples?: readonly string[];
  /** What stands behind the command's words in the usage line. @default {"[OPTIONS]"} */
  readonly usage?: string;
  readonly aliases?: readonly [string, ...string[]];
}

/** The options of a command that make its help page. */
export function helpPage(
  { brief, description, examples, usage, aliases }: HelpText,
): CommandOptions {
  return {
    brief: [text(brief)],
    ...(description !== undefined && { description: [text(description)] }),
    ...(examples && { footer: exampleLines(examples) }),
    ...(aliases && { aliases }),
    usageLine: [{ type: "literal", value: usage ?? "[OPTIONS]" }] satisfies Usage,
  };
}

function exampleLines(examples: readonly string[]): Message {
  const lines = examples.flatMap((example) => [lineBreak(), text(`backupctl ${example}`)]);
  return [text("Examples:"), ...lines];
}

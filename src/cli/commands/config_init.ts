import { dirname } from "node:path";
import { DestinationError } from "../../domain/errors.ts";
import { briefReason } from "../../log/told_reason.ts";
import { type Command, printResult } from "../context.ts";
import type { CommandOf } from "../grammar/grammar.ts";
import { SAMPLE_CONFIG } from "../sample_config.ts";

/** Writes the commented sample, never over a file that is there. */
export const configInit: Command<CommandOf<"config init">> = async (
  { file, quiet, output },
  context,
) => {
  try {
    await Deno.mkdir(dirname(file), { recursive: true });
    // Nobody else may read it: somebody will put a password into it.
    await Deno.writeTextFile(file, SAMPLE_CONFIG, { createNew: true, mode: 0o600 });
  } catch (error) {
    if (error instanceof Deno.errors.AlreadyExists) {
      throw new DestinationError(
        `${file} is already there and was left as it is`,
        "name another file: backupctl config init FILE",
        { cause: error },
      );
    }
    const reason = briefReason(error);
    throw new DestinationError(`${file} cannot be written: ${reason}`, undefined, { cause: error });
  }
  if (quiet && output !== "json") return 0;
  printResult(context, {
    json: () => ({ schema: "backupctl.config_init/1", file }),
    text: () => `wrote ${file}\n`,
  });
  return 0;
};

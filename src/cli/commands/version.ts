import type { CommandOf } from "../grammar/grammar.ts";
import { type Command, printResult } from "../context.ts";
import { BUILD } from "../build.ts";
import { VERSION } from "../version.ts";

/** Prints the version of backupctl and of what it runs on. Reads no configuration. */
export const version: Command<CommandOf<"version">> = (_line, context) => {
  printResult(context, {
    text: () => `backupctl ${VERSION}\n`,
    json: () => ({
      schema: "backupctl.version/1",
      version: VERSION,
      commit: BUILD.commit,
      lockfile_sha256: BUILD.lockfileSha256,
      deno: Deno.version.deno,
      target: Deno.build.target,
    }),
  });
  return Promise.resolve(0);
};

import { UsageError } from "../domain/errors.ts";

/** What to do meanwhile, for words that people have in scripts or know from other tools. */
const WORDS: Readonly<Record<string, string>> = {
  "schema": 'each JSON document names its form in its "schema" field',
};

/** Flags of commands that are here. */
const FLAGS: Readonly<Record<string, readonly string[]>> = {};

const FLAG_HINTS: Readonly<Record<string, string>> = {};

/**
 * The refusal of a command or flag that the documentation of backupctl knows and this version does
 * not have; undefined for what nobody knows.
 *
 * @param words the words of the command line that are no flags.
 */
export function notInThisVersion(
  words: readonly string[],
  args: readonly string[],
): UsageError | undefined {
  const [first = "", second = ""] = words;
  const name = [`${first} ${second}`, first].find((candidate) => Object.hasOwn(WORDS, candidate));
  if (name !== undefined) {
    return new UsageError(`"${name}" is not in this version of backupctl`, WORDS[name]);
  }
  const command = [`${first} ${second}`, first].find((candidate) =>
    Object.hasOwn(FLAGS, candidate)
  );
  if (command === undefined) return undefined;
  const missing = args.map((arg) => arg.replace(/=.*$/s, ""))
    .find((arg) => FLAGS[command]!.includes(arg));
  if (missing === undefined) return undefined;
  return new UsageError(
    `"${command} ${missing}" is not in this version of backupctl`,
    FLAG_HINTS[command],
  );
}

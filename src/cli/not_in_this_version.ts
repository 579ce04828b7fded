import { UsageError } from "../domain/errors.ts";

/** What to do meanwhile, for words that people have in scripts or know from other tools. */
const WORDS: Readonly<Record<string, string>> = {
  "schema": 'each JSON document names its form in its "schema" field',
};

/**
 * The refusal of a command that the documentation of backupctl knows and this version does not
 * have; undefined for what nobody knows.
 *
 * @param words the words of the command line that are no flags.
 */
export function notInThisVersion(words: readonly string[]): UsageError | undefined {
  const [first = "", second = ""] = words;
  const name = [`${first} ${second}`, first].find((candidate) => Object.hasOwn(WORDS, candidate));
  if (name === undefined) return undefined;
  return new UsageError(`"${name}" is not in this version of backupctl`, WORDS[name]);
}

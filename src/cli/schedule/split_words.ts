import { UsageError } from "../../domain/errors.ts";

/**
 * The words of a command line as a shell splits them: blanks between, quotes around. Nothing else
 * of a shell: `$`, `;` and `*` stand for themselves.
 *
 * @throws {UsageError} when a quote has no end.
 */
export function splitWords(line: string): readonly string[] {
  const words: string[] = [];
  const pattern = /\s*((?:[^\s'"\\]|\\.|'[^']*'|"(?:[^"\\]|\\.)*")+)/gy;
  const text = line.trimEnd();
  while (pattern.lastIndex < text.length) {
    const start = pattern.lastIndex;
    const match = pattern.exec(text);
    if (!match) {
      const rest = JSON.stringify(text.slice(start).trim().slice(0, 40));
      throw new UsageError(`a quote or backslash in ${rest} has no end`);
    }
    words.push(unquoted(match[1]!));
  }
  return words;
}

function unquoted(word: string): string {
  return word.replace(/'([^']*)'|"((?:[^"\\]|\\.)*)"|\\(.)/g, (_, single, double, escaped) => {
    if (single !== undefined) return single;
    return double === undefined ? escaped : double.replace(/\\(["\\])/g, "$1");
  });
}

/** Which command lines take the short way. Imports nothing: main.ts asks before anything is loaded. */

/** A command of the short way; `backlog` is `backup incremental`, when the archiver calls it. */
export type WalCommand = "wal-push" | "wal-fetch" | "backlog";

const NAMES: Readonly<Record<string, WalCommand>> = {
  "wal-push": "wal-push",
  "archive-push": "wal-push",
  "wal-fetch": "wal-fetch",
  "wal-get": "wal-fetch",
  "archive-get": "wal-fetch",
  "backup incremental": "backlog",
};

/** Global flags that take the next word as their value: it is no word of the command. */
export const WITH_VALUE: ReadonlySet<string> = new Set([
  "--config",
  "--cluster",
  "--stanza",
  "--identity",
  "--output",
  "--log-format",
  "--progress",
  "--timeout",
]);

/** What the arguments ask for; undefined when it is none of the WAL path, or asks for help. */
export function walCommandOf(
  args: readonly string[],
): { readonly command: WalCommand; readonly args: readonly string[] } | undefined {
  if (args.includes("--help") || args.includes("-h")) return undefined;
  for (let index = 0; index < args.length; index++) {
    const word = args[index]!;
    if (WITH_VALUE.has(word)) index += 1;
    if (word.startsWith("-")) continue;
    const words = word === "backup" ? 2 : 1;
    const command = NAMES[args.slice(index, index + words).join(" ")];
    return command && { command, args: args.toSpliced(index, words) };
  }
  return undefined;
}

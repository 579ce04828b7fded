import { runParser } from "@optique/core/facade";
import { type DocPage, formatDocPage } from "@optique/core/doc";
import { formatMessage, type Message, text } from "@optique/core/message";
import { UsageError } from "../domain/errors.ts";
import { nearest } from "../domain/nearest.ts";
import { type CommandLine, grammar } from "./grammar/grammar.ts";
import { notInThisVersion } from "./not_in_this_version.ts";
import { VERSION } from "./version.ts";
import { WITH_VALUE } from "./wal/wal_words.ts";

/** What to do: run a command, or print what was asked about the command line itself. */
export type Reading =
  | { readonly type: "command"; readonly line: CommandLine }
  | { readonly type: "text"; readonly text: string };

/** How help is printed. */
export interface ReadingOptions {
  readonly color: boolean;
  /** Columns of help pages; 80 when nobody knows. */
  readonly width?: number;
}

/** Commands and groups that have a help page. */
const COMMANDS = [
  "backup",
  "backup full",
  "backup incremental",
  "restore",
  "prune",
  "delete",
  "delete retain",
  "keep",
  "annotate",
  "wal-push",
  "wal-fetch",
  "status",
  "test",
  "verify",
  "drill",
  "schedule",
  "config",
  "config init",
  "config show",
  "config check",
  "catalog",
  "catalog rebuild",
  "catalog export",
  "alert",
  "alert test",
  "repo",
  "repo ls",
  "repo cat",
  "explain",
  "version",
];

/** Shells whose completion the library writes. */
const SHELLS = ["bash", "zsh", "fish", "nu", "pwsh"];

/** Answers of the library's callbacks; commands are plain objects. */
class Shown {
  constructor(readonly page?: DocPage) {}
}
class Refused {
  constructor(readonly error: Message) {}
}

/**
 * Reads the arguments of a command line.
 *
 * @throws {UsageError} naming the wrong word, with the nearest right one.
 */
export function readCommandLine(args: readonly string[], options: ReadingOptions): Reading {
  if (args.length === 0) {
    throw new UsageError("no command was given", '"backupctl --help" lists the commands');
  }
  checkShell(args);
  let printed = "";
  const result = parse(withBuiltInFirst(args), (output) => printed += output);
  if (result instanceof Refused) throw refusal(result.error, args);
  if (!(result instanceof Shown)) return { type: "command", line: result };
  const text = result.page ? helpText(result.page, options) : printed;
  return { type: "text", text: text.endsWith("\n") ? text : `${text}\n` };
}

/** The library would stumble over names such as "constructor". */
function checkShell(args: readonly string[]): void {
  const [first, shell] = commandWords(args);
  if (first !== "completion" || shell === undefined || SHELLS.includes(shell)) return;
  const shown = JSON.stringify(shell.slice(0, 40));
  throw new UsageError(`there is no completion for ${shown}`, `it is for ${SHELLS.join(", ")}`);
}

/**
 * The library knows its own words as the first ones only, and takes all behind them for theirs:
 * flags of every command in front of them are checked and left out, since none has a meaning there.
 *
 * @throws {UsageError} for a flag that is none of every command.
 */
function withBuiltInFirst(args: readonly string[]): readonly string[] {
  const at = args.findIndex((arg, index) =>
    !arg.startsWith("-") && !WITH_VALUE.has(args[index - 1] ?? "")
  );
  if (at < 1 || !["completion", "help"].includes(args[at]!)) return args;
  const flags = parse([...args.slice(0, at), "version"]);
  if (flags instanceof Refused) throw refusal(flags.error, args);
  return flags instanceof Shown ? args : args.slice(at);
}

function parse(
  args: readonly string[],
  stdout: (output: string) => void = () => {},
): CommandLine | Shown | Refused {
  return runParser<typeof grammar, Shown, Refused>(grammar, "backupctl", args, {
    help: {
      option: { names: ["-h", "--help"] },
      command: true,
      onShow: (_status, page) => new Shown(page),
    },
    version: { value: `backupctl ${VERSION}`, option: true, onShow: () => new Shown() },
    completion: { command: true, onShow: () => new Shown() },
    commandList: "top-level",
    usageLine: [{ type: "literal", value: "COMMAND [OPTIONS]" }],
    description: [text("Backs PostgreSQL up to S3 or a folder, and restores it.")],
    footer: [text('"backupctl COMMAND --help" explains a command and shows examples.')],
    aboveError: "none",
    onError: (_status, error) => new Refused(error),
    stdout,
    stderr: () => {},
  }) as CommandLine | Shown | Refused;
}

/** What the library says of the words that it adds, in the form of ours. */
const BUILT_IN: Readonly<Record<string, string>> = {
  "Show help information.": "Show this help, or that of a command",
  "Show version information.": "Print the version",
  "Generate shell completion script or provide completions.":
    "Print a script that completes words in bash, zsh, fish, nu or pwsh",
};

function helpText(page: DocPage, { color, width }: ReadingOptions): string {
  const sections = page.sections.map((section) => ({
    ...section,
    entries: section.entries.map((entry) => {
      const plain = entry.description && formatMessage(entry.description, { quotes: false });
      const ours = BUILT_IN[plain ?? ""];
      return ours === undefined ? entry : { ...entry, description: [text(ours)] };
    }),
  }));
  const help = formatDocPage("backupctl", { ...page, sections }, {
    colors: color,
    maxWidth: Math.min(Math.max(width ?? 80, 40), 100),
    termWidth: "auto",
  });
  return `${help.replace(/^(?=backupctl )/gm, "  ").replace(/ +$/gm, "").trimEnd()}\n`;
}

/** The words of a command line that are neither flags nor values of global flags. */
export function commandWords(args: readonly string[]): readonly string[] {
  return args.filter((arg, index) =>
    !arg.startsWith("-") && !WITH_VALUE.has(args[index - 1] ?? "")
  );
}

function refusal(error: Message, args: readonly string[]): UsageError {
  const words = commandWords(args);
  const missing = notInThisVersion(words);
  if (missing) return missing;
  const [sentence = "", suggestion = ""] = formatMessage(error, { quotes: true, colors: false })
    .split("\n\n");
  const word = unknownIn(sentence);
  if (word !== undefined) {
    const near = suggestion === "" ? suggestionWithoutValue(word, args) : suggestion;
    return unknownWord(word, { suggestion: near, words });
  }
  if (sentence.startsWith("No matching command")) return incomplete(words);
  if (/^No matching .*found\.$/.test(sentence)) return incomplete(words, "a flag or a word");
  if (/^Expected at least \d+ values?, but/.test(sentence)) return incomplete(words, "a value");
  const missingWord = /^Expected an? `?([A-Z]+)`?, but/.exec(sentence)?.[1];
  if (missingWord !== undefined) {
    return new UsageError(`${missingWord} is missing`, helpHint(words));
  }
  return new UsageError(asOurs(sentence), helpHint(words));
}

function unknownIn(sentence: string): string | undefined {
  return /^Unexpected option or (?:argument|subcommand): ["`](.*)["`]\.$/s.exec(sentence)?.[1];
}

/** What the library would suggest for `--clutser` of `--clutser=x`. */
function suggestionWithoutValue(word: string, args: readonly string[]): string {
  const flag = /^(--[^=]+)=/s.exec(word)?.[1];
  if (flag === undefined) return "";
  const again = parse(args.map((arg) => arg === word ? flag : arg));
  if (!(again instanceof Refused)) return "";
  return formatMessage(again.error, { quotes: true, colors: false }).split("\n\n")[1] ?? "";
}

function unknownWord(
  word: string,
  { suggestion, words }: { readonly suggestion: string; readonly words: readonly string[] },
): UsageError {
  const near = [...suggestion.matchAll(/`([^`]+)`/g)].map((match) => match[1]!);
  const own = near.filter((flag) => isFlagOf(flag, words));
  const known = own.length > 0 ? own : near;
  const meant = nearest(word.replace(/=.*$/s, ""), known) ?? known[0];
  const what = word.startsWith("-") ? "flag" : words[0] === word ? "command" : "argument";
  const shown = JSON.stringify(word.length > 60 ? `${word.slice(0, 57)}...` : word);
  return new UsageError(
    `${what} ${shown} is not known${what === "command" ? "" : " here"}`,
    meant === undefined ? helpHint(words) : `did you mean ${meant}?`,
  );
}

/** The library suggests flags of other commands as well. */
function isFlagOf(flag: string, words: readonly string[]): boolean {
  const command = commandOf(words);
  if (command === undefined) return false;
  const shown = parse([...command.split(" "), "--help"]);
  if (!(shown instanceof Shown) || !shown.page) return false;
  const text = helpText(shown.page, { color: false, width: 100 });
  return text.split(/[\s,]+/).includes(flag);
}

function incomplete(words: readonly string[], what = "a word"): UsageError {
  if (words[0] === undefined) {
    return new UsageError("no command was given", '"backupctl --help" lists the commands');
  }
  return new UsageError(`"${words[0]}" needs ${what} behind it`, helpHint(words));
}

/** The longest command that the words name. */
function commandOf([first = "", second = ""]: readonly string[]): string | undefined {
  return [`${first} ${second}`, first].find((name) => COMMANDS.includes(name));
}

/** Points at the help of the longest command that the words name. */
function helpHint(words: readonly string[]): string {
  const known = commandOf(words);
  return `see "backupctl ${known === undefined ? "" : `${known} `}--help"`;
}

/** The library's sentence as ours are: no full stop, a lower-case start. */
function asOurs(sentence: string): string {
  const whole = sentence.replaceAll("`", "").replace(/\.$/, "").replaceAll("\n", " ");
  const plain = whole.length > 300 ? `${whole.slice(0, 297)}...` : whole;
  return plain.replace(/^((?:--[\w-]+: )?)([A-Z])(?![A-Z])/, (_, flag: string, letter: string) => {
    return `${flag}${letter.toLowerCase()}`;
  });
}

import { resolve } from "node:path";
import {
  type FlagSetting,
  loadConfig,
  type LoadedConfig,
  type LoadOptions,
} from "../config/config.ts";
import type { Log, LogFields, LoggedTask } from "../log/log.ts";
import { openLog } from "../log/log.ts";
import type { Context } from "./context.ts";
import { LiveProgress, NoProgress, PlainProgress, type ProgressView } from "./progress_view.ts";

/** What a command that works for a while has beside its context. */
export interface Session extends AsyncDisposable {
  readonly loaded: LoadedConfig;
  readonly log: Log;
  readonly progress: ProgressView;
}

/** What is asked of the configuration besides its grammar. */
export interface SettingsOptions {
  /** Whether what only the daemon refuses is refused, too. */
  readonly forDaemon?: boolean;
  /** `--listen`, which wins over the key. */
  readonly listen?: string | undefined;
  /** Has the faults of the schedule told together with all others. */
  readonly checkSchedule?: LoadOptions["checkSchedule"];
  /** Whether a file that is being written is waited for. */
  readonly settled?: boolean;
}

/**
 * The configuration, with what the flags set.
 *
 * @throws {ConfigError}
 */
export async function loadSettings(
  { options, env }: Context,
  { forDaemon = false, listen, checkSchedule, settled = false }: SettingsOptions = {},
): Promise<LoadedConfig> {
  const flags: FlagSetting[] = [];
  if (options.cluster !== undefined) {
    flags.push({ path: ["cluster"], flag: "--cluster", value: options.cluster });
  }
  if (options.identity !== undefined) {
    const path = ["encryption", "identity_file"] as const;
    // Whoever types a flag means the folder they are in.
    const value = options.identity === "-" ? "-" : resolve(options.identity);
    flags.push({ path, flag: "--identity", value });
  }
  if (options.logFormat !== undefined) {
    flags.push({ path: ["log", "format"], flag: "--log-format", value: options.logFormat });
  }
  if (listen !== undefined) {
    flags.push({ path: ["listen"], flag: "--listen", value: listen });
  }
  const file = options.config === undefined ? {} : { file: options.config };
  const check = checkSchedule && { checkSchedule };
  return await loadConfig({ ...file, env, flags, daemon: forDaemon, settled, ...check });
}

/** What these do by half a configuration cannot be undone: store in the clear, remove too much. */
const LASTING: ReadonlySet<LoggedTask> = new Set(["backup", "prune"]);

/**
 * Loads the configuration and opens the log and the progress.
 *
 * @param task the first word of the events' names.
 * @throws {ConfigError}
 */
export async function openSession(context: Context, task: LoggedTask): Promise<Session> {
  const loaded = await loadSettings(context, { settled: LASTING.has(task) });
  const { log: settings } = loaded.config;
  const { options, terminal: { stderr, unicode } } = context;
  const format = settings.format !== "auto" ? settings.format : stderr.isTerminal ? "text" : "json";
  // On a terminal the progress, the result and the error tell the story; the rest would hide it.
  const told = stderr.isTerminal && format === "text";
  const quiet = options.quiet || told ? "WARNING" : settings.level;
  let progress: ProgressView | undefined;
  const log = await openLog({
    level: options.verbose ? "DEBUG" : quiet,
    format,
    color: stderr.color,
    now: () => context.clock.now(),
    // The error itself is printed below; once is enough for people.
    ...(told && { toldElsewhere: [`${task}.failed`, "process.interrupted"] }),
    write: (line) => progress ? progress.print(line) : stderr.write(line),
    ...(settings.file !== undefined && { file: settings.file }),
    fileLevel: options.verbose ? "DEBUG" : settings.level,
  });
  const write = (text: string) => stderr.write(text);
  const say = (kind: "progress" | "note", text: string, fields: LogFields) => {
    if (told && !options.quiet) write(`${text}\n`);
    else log.info(`${task}.${kind}`, text, { cluster: loaded.config.cluster, ...fields });
  };
  if (options.progress === "none" || options.quiet) progress = new NoProgress(say, write);
  else if (told && options.progress !== "plain" && context.env["TERM"] !== "dumb") {
    progress = new LiveProgress({ output: stderr, unicode });
  } else progress = new PlainProgress(say, { write });
  const view = progress;
  return {
    loaded,
    log,
    progress: view,
    async [Symbol.asyncDispose]() {
      view[Symbol.dispose]();
      await log[Symbol.asyncDispose]();
    },
  };
}

import { resolve } from "node:path";
import { parseArgs, type ParseArgsConfig } from "node:util";
import type { Environment } from "../../config/environment_layer.ts";
import { parseDuration } from "../../domain/duration.ts";
import { RunFailedError, UsageError } from "../../domain/errors.ts";
import { readWalSettings } from "./read_wal_settings.ts";
import type { SettingsInput, WalSettings } from "./wal_settings.ts";
import type { WalCommand } from "./wal_words.ts";

/** What main.ts hands over. */
export interface WalInvocation {
  readonly command: WalCommand;
  /** Without the command itself. */
  readonly args: readonly string[];
  readonly env: Environment;
  readonly signal: AbortSignal;
}

const OPTIONS = {
  config: { type: "string" },
  cluster: { type: "string" },
  stanza: { type: "string" },
  identity: { type: "string" },
  output: { type: "string" },
  quiet: { type: "boolean", short: "q", default: false },
  verbose: { type: "boolean", short: "v", default: false },
  "log-format": { type: "string" },
  "no-color": { type: "boolean" },
  progress: { type: "string" },
  timeout: { type: "string" },
  "new-system": { type: "boolean", default: false },
  // Of a process that another call has started.
  ahead: { type: "boolean", default: false },
} as const satisfies ParseArgsConfig["options"];

/** The arguments, taken apart. */
export type WalArguments = ReturnType<typeof parseWalArguments>;

/** What `backup incremental` takes besides; it means nothing to the archiver. */
const BACKUP_OPTIONS = {
  ...OPTIONS,
  label: { type: "string" },
  method: { type: "string" },
  annotation: { type: "string", multiple: true },
} as const satisfies ParseArgsConfig["options"];

/** Takes the arguments apart. @throws {UsageError} */
export function parseWalArguments(args: readonly string[]) {
  return refusing(() =>
    parseArgs({ args: [...args], options: OPTIONS, allowPositionals: true, strict: true })
  );
}

/** The arguments of `backup incremental`. @throws {UsageError} */
export function parseBacklogArguments(args: readonly string[]): WalArguments {
  return refusing(() =>
    parseArgs({ args: [...args], options: BACKUP_OPTIONS, allowPositionals: false, strict: true })
  );
}

function refusing<T>(parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    const message = error instanceof Error ? error.message.split(". ")[0]! : String(error);
    throw new UsageError(message, '"backupctl COMMAND --help" lists the flags', { cause: error });
  }
}

/** The settings that the arguments ask for. @throws {ConfigError} */
export async function settingsOf(
  parsed: WalArguments,
  env: Environment,
): Promise<WalSettings> {
  return await readWalSettings(settingsInput(parsed, env));
}

/** What the settings are read from. */
export function settingsInput({ values }: WalArguments, env: Environment): SettingsInput {
  const { config: file, cluster, stanza } = values;
  const identity = values.identity === undefined ? undefined : resolve(values.identity);
  return { env, file, cluster: cluster ?? stanza, identity };
}

/** The flags that lead another process to the same settings. */
export function settingFlags({ values }: WalArguments): readonly string[] {
  const { config, cluster, stanza, identity } = values;
  const name = cluster ?? stanza;
  return [
    ...(config === undefined ? [] : ["--config", config]),
    ...(name === undefined ? [] : ["--cluster", name]),
    ...(identity === undefined ? [] : ["--identity", identity]),
  ];
}

/** `--timeout` in milliseconds. @throws {UsageError} */
export function deadlineOf({ values }: WalArguments, standard: number): number {
  if (values.timeout === undefined) return standard;
  const milliseconds = parseDuration(values.timeout);
  if (milliseconds !== undefined && milliseconds > 0) return milliseconds;
  throw new UsageError(`--timeout ${values.timeout} is no span of time`, "write it like 60s or 5m");
}

/** Aborts with a reason for people when the time is up. */
export function limited(signal: AbortSignal, milliseconds: number): AbortSignal {
  const controller = new AbortController();
  const timer = setTimeout(() => {
    controller.abort(
      new RunFailedError(
        `gave up after ${milliseconds / 1000} s, the time that --timeout or wal.timeout allows`,
        "is the store reachable, and fast enough?",
      ),
    );
  }, milliseconds);
  Deno.unrefTimer(timer);
  return AbortSignal.any([signal, controller.signal]);
}

/** How the log is wanted, told from the words alone: errors in them are logged too. */
export function logWords(args: readonly string[]) {
  const value = (flag: string) => {
    const index = args.indexOf(flag);
    const joined = args.find((arg) => arg.startsWith(`${flag}=`));
    return index === -1 ? joined?.slice(flag.length + 1) : args[index + 1];
  };
  return {
    quiet: args.includes("--quiet") || args.includes("-q"),
    verbose: args.includes("--verbose") || args.includes("-v"),
    format: value("--log-format") ?? (value("--output") === "json" ? "json" : undefined),
  };
}

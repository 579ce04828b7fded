/**
 * What a restored data directory is told about its recovery: lines of postgresql.auto.conf, which
 * PostgreSQL reads last, and the name of the signal file. PostgreSQL docs, "Archive Recovery".
 *
 * @module
 */
import { formatLsn } from "../../domain/lsn.ts";
import { AHEAD_LINK } from "../wal/ahead_link.ts";
import type { RecoveryRequest, RecoveryTarget, TimelineChoice } from "./recovery_target.ts";
import { postgresTime } from "./recovery_time.ts";

/** How a restored cluster is to recover. */
export interface RecoverySettings {
  /** Where to end, and what to do there. */
  readonly request: RecoveryRequest;
  /** The branch that the plan found, written by its number, so that nothing later changes it. */
  readonly timeline: number;
  /** The text of `restore_command`, as {@link fetchCommand} makes it. */
  readonly restoreCommand: string;
}

/** How a restored data directory differs from the one that was backed up. */
export interface RestoredSettings {
  /** `server_version_num` of the backup. */
  readonly postgresVersion: number;
  /** Absent: the cluster opens at the end of the backup. */
  readonly recovery?: RecoverySettings;
  /** Leave archive_mode as it was. Two clusters of one history must never archive together. */
  readonly keepArchiving: boolean;
}

/** A name and a value of a configuration file. */
export type Setting = readonly [name: string, value: string];

/** Where PostgreSQL looks for a target. At most one may be set, in any file. */
const TARGETS = [
  "recovery_target",
  "recovery_target_time",
  "recovery_target_lsn",
  "recovery_target_xid",
  "recovery_target_name",
] as const;
/** Belongs to the server that was backed up, and would lead the restored one astray. */
const NOT_CARRIED_OVER = new Set<string>([
  ...TARGETS,
  ...["recovery_target_timeline", "recovery_target_inclusive", "recovery_target_action"],
  ...["restore_command", "recovery_end_command", "archive_cleanup_command"],
  ...["recovery_min_apply_delay", "primary_conninfo", "primary_slot_name"],
  ...["promote_trigger_file", "trigger_file", "standby_mode"],
]);
/** Went away with PostgreSQL 16, which refuses to start when it is set. */
const TRIGGER_FILE_UNTIL = 160_000;
const HEADER = "# Written by backupctl restore:";
const SET_ASIDE = "# set aside by backupctl restore: ";

/**
 * postgresql.auto.conf as the restored cluster needs it: old recovery settings are commented out,
 * the new ones stand behind everything else.
 *
 * @param text the file as it was backed up.
 */
export function restoredAutoConf(text: string, restored: RestoredSettings): string {
  const settings = restoredSettings(restored);
  const gone = new Set([...NOT_CARRIED_OVER, ...settings.map(([name]) => name)]);
  const kept = text.split("\n").map((line) =>
    gone.has(settingName(line) ?? "") ? `${SET_ASIDE}${line}` : line
  );
  const lines = settings.map(([name, value]) => `${name} = ${quoteValue(value)}`);
  const before = kept.join("\n").replace(/\n*$/, "\n").replace(/^\n$/, "");
  return `${before}${[HEADER, ...lines].join("\n")}\n`;
}

/** The settings in the order in which PostgreSQL must meet them. */
export function restoredSettings(
  { recovery, keepArchiving, postgresVersion }: RestoredSettings,
): readonly Setting[] {
  const archiving: readonly Setting[] = keepArchiving ? [] : [["archive_mode", "off"]];
  if (!recovery) return archiving;
  const { request, timeline, restoreCommand } = recovery;
  const { target, standby, action } = request;
  return [
    ...archiving,
    ["restore_command", restoreCommand],
    ["recovery_end_command", ""],
    ["archive_cleanup_command", ""],
    ["recovery_min_apply_delay", "0"],
    ["primary_conninfo", ""],
    ["primary_slot_name", ""],
    ...(postgresVersion < TRIGGER_FILE_UNTIL ? [["promote_trigger_file", ""] as const] : []),
    ["recovery_target_timeline", timelineText(request.timeline, { timeline, standby })],
    ...targetSettings(request),
    ...(standby || (action === "pause" && target.kind !== "latest")
      ? [["hot_standby", "on"] as const] // without it a pause is a shutdown
      : []),
  ];
}

/** `recovery.signal` or `standby.signal`; undefined when the cluster just opens. */
export function signalFile({ recovery }: RestoredSettings): string | undefined {
  if (!recovery) return undefined;
  return recovery.request.standby ? "standby.signal" : "recovery.signal";
}

/**
 * The text of `restore_command` that runs `words` with `wal-fetch %f %p`, unless the segment has been
 * fetched ahead: to move it takes a shell a tenth of the time.
 *
 * @param words an absolute path and its arguments, as an argument vector: no secret among them,
 * since every role may read the setting.
 */
export function fetchCommand(words: readonly string[]): string {
  const quoted = words.map((word) => quoteWord(word).replaceAll("%", "%%"));
  const move = `mv -f "${AHEAD_LINK}/%f" "%p" 2>/dev/null`;
  return `${move} || exec ${quoted.join(" ")} wal-fetch "%f" "%p"`;
}

/**
 * Every kind of target is named: an empty one takes back what postgresql.conf may say. The empty
 * ones come first, because setting one while another is set is an error even when it is empty.
 */
function targetSettings({ target, inclusive, action }: RecoveryRequest): readonly Setting[] {
  const wanted = targetSetting(target);
  const empty = TARGETS.filter((name) => name !== wanted?.[0]).map((name) => [name, ""] as const);
  if (!wanted) return empty;
  return [
    ...empty,
    wanted,
    ["recovery_target_inclusive", inclusive ? "on" : "off"],
    ["recovery_target_action", action],
  ];
}

function targetSetting(target: RecoveryTarget): Setting | undefined {
  switch (target.kind) {
    case "time":
      return ["recovery_target_time", postgresTime(target.micros)];
    case "lsn":
      return ["recovery_target_lsn", formatLsn(target.lsn)];
    case "xid":
      return ["recovery_target_xid", String(target.xid)];
    case "name":
      return ["recovery_target_name", target.name];
    case "immediate":
      return ["recovery_target", "immediate"];
    case "latest":
      return undefined;
  }
}

/** A standby follows whoever is promoted next; a recovery only the branch of the plan. */
function timelineText(
  choice: TimelineChoice,
  { timeline, standby }: { readonly timeline: number; readonly standby: boolean },
): string {
  if (choice === "current") return "current";
  return standby && choice === "latest" ? "latest" : String(timeline);
}

/** The name that a line of a configuration file sets, in lower case. src/backend/utils/misc/guc-file.l */
function settingName(line: string): string | undefined {
  return /^\s*([A-Za-z_][\w$.]*)\s*(?:=|\s|$)/.exec(line)?.[1]?.toLowerCase();
}

/** A value in quotes, as PostgreSQL's configuration files have it. */
function quoteValue(value: string): string {
  const escaped = value.replaceAll("\\", "\\\\").replaceAll("'", "''")
    .replaceAll("\n", "\\n").replaceAll("\r", "\\r");
  return `'${escaped}'`;
}

/** One word of a command for `sh`. */
function quoteWord(word: string): string {
  if (/^[\w./:@%+=,-]+$/.test(word)) return word;
  return `'${word.replaceAll("'", `'\\''`)}'`;
}

/** The part of a log library's record that a line is made of. */
export interface LogRecord {
  /** In lower case. */
  readonly level: string;
  readonly properties: Readonly<Record<string, unknown>>;
}

/** Sequences that would move the cursor, start another line or hide text. */
// deno-lint-ignore no-control-regex -- control characters are what it is about
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/** Makes text safe for a terminal and for one line: control characters become `\u001b`. */
export function escapeControl(text: string): string {
  return text.replace(CONTROL, escapeOne);
}

function escapeOne(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}

/** One event as one line with its line feed: a JSON object, or text for people. */
export function formatRecord(
  record: LogRecord,
  { format, color, time }: {
    readonly format: "json" | "text";
    readonly color: boolean;
    readonly time: Date;
  },
): string {
  return format === "json" ? jsonLine(record, time) : textLine(record, { color, time });
}

function jsonLine({ level, properties }: LogRecord, time: Date): string {
  const { event, message, ...fields } = properties;
  const line = {
    timestamp: time.toISOString(),
    level: level.toUpperCase(),
    message,
    event,
    ...fields,
  };
  return `${escapeControl(JSON.stringify(line, plainValue))}\n`;
}

/** JSON has no bigint, and an Error's own fields do not show. */
function plainValue(_key: string, value: unknown): unknown {
  if (typeof value === "bigint") return value.toString();
  if (value instanceof Error) return value.message;
  return value;
}

const COLORS: Readonly<Record<string, string>> = { warning: "33", error: "31", debug: "2" };

function textLine(
  { level, properties }: LogRecord,
  { color, time }: { readonly color: boolean; readonly time: Date },
): string {
  const clock = time.toISOString().replace("T", " ").replace(/\.\d+Z$/, "Z");
  const severity = level.toUpperCase().padEnd(7);
  const code = color ? COLORS[level] : undefined;
  const shown = code ? `\x1b[${code}m${severity}\x1b[0m` : severity;
  return `${clock} ${shown} ${escapeControl(String(properties["message"]))}\n`;
}

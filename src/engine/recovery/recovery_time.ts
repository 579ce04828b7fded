/**
 * Moments to recover to, counted as PostgreSQL counts them: in microseconds.
 *
 * @module
 */
import { UsageError } from "../../domain/errors.ts";

/** Microseconds since 1970-01-01T00:00:00Z. */
export type EpochMicros = bigint;

const DATE = /^(\d{4})-(\d{2})-(\d{2})/;
const CLOCK = /[T ](\d{2}):(\d{2})(?::(\d{2})(?:[.,](\d+))?)?/;
const TIME = new RegExp(`${DATE.source}${CLOCK.source}\\s*(\\S+)?$`, "i");
const OFFSET = /^([+-])(\d{2})(?::?(\d{2})(?::?(\d{2}))?)?$/;
const UTC_NAMES = /^(Z|UTC|GMT)$/i;
/** PostgreSQL refuses offsets of 16 hours and more (MAX_TZDISP_HOUR). */
const LARGEST_OFFSET_HOURS = 15;
const EXAMPLE = "write it as 2024-01-15T12:30:00Z, or with an offset such as -03:00 for the Z";

/** The parts of a time as they were typed. */
interface TypedTime {
  /** `2024-01-15T12:30:00.5`, without its zone. */
  readonly text: string;
  /** Microseconds, were it in UTC. */
  readonly asUtc: EpochMicros;
  readonly zone: string | undefined;
}

/**
 * Reads a time with its zone, as RFC 3339 has it; the seconds and the `T` may be left out.
 *
 * @throws {UsageError} with the corrected text when the zone is missing, since PostgreSQL would
 * read such a time in the server's zone; and when there is no such date, clock time or offset.
 */
export function parseRecoveryTime(text: string): EpochMicros {
  const typed = parseTyped(text.trim());
  if (typed.zone === undefined) throw zoneMissing(text, typed);
  const offset = parseOffset(typed.zone);
  if (offset === undefined) throw zoneUnknown(text, typed);
  return typed.asUtc - offset;
}

/** `2024-01-15 12:30:00.5+00`, for `recovery_target_time`: the same in every server's zone. */
export function postgresTime(micros: EpochMicros): string {
  return isoTime(micros).replace("T", " ").replace("Z", "+00");
}

/** RFC 3339 in UTC, with as many decimals as are needed: `2024-01-15T12:30:00.5Z`. */
export function isoTime(micros: EpochMicros): string {
  const rest = ((micros % 1_000_000n) + 1_000_000n) % 1_000_000n;
  const seconds = new Date(Number((micros - rest) / 1000n)).toISOString().slice(0, 19);
  const decimals = rest === 0n ? "" : `.${String(rest).padStart(6, "0").replace(/0+$/, "")}`;
  return `${seconds}${decimals}Z`;
}

/** Of a time that is known to the millisecond. */
export function microsOf(date: Date): EpochMicros {
  return BigInt(date.getTime()) * 1000n;
}

function parseTyped(text: string): TypedTime {
  const match = TIME.exec(text);
  if (!match) throw unreadable(text);
  const [, year, month, day, hour, minute, second = "00", fraction = "", zone] = match;
  const date = `${year}-${month}-${day}`;
  if (!isDate(date)) throw new UsageError(`there is no ${date}: that month has no such day`);
  const clock = `${hour}:${minute}:${second}`;
  if (Number(hour) > 23 || Number(minute) > 59 || Number(second) > 59) {
    throw new UsageError(`there is no time of day ${clock}`, "it goes from 00:00:00 to 23:59:59");
  }
  if (fraction.length > 6) throw tooFine(text, fraction);
  const micros = fraction.padEnd(6, "0");
  return {
    text: `${date}T${clock}${fraction === "" ? "" : `.${fraction}`}`,
    asUtc: BigInt(Date.parse(`${date}T${clock}Z`)) * 1000n + BigInt(micros),
    zone,
  };
}

function unreadable(text: string): UsageError {
  const day = DATE.exec(text)?.[0];
  const shown = JSON.stringify(text.length > 60 ? `${text.slice(0, 57)}...` : text);
  if (day !== text) return new UsageError(`${shown} is not a time`, EXAMPLE);
  return new UsageError(
    `${shown} has no time of day`,
    `for midnight in UTC write ${day}T00:00:00Z`,
  );
}

function isDate(date: string): boolean {
  const time = Date.parse(`${date}T00:00:00Z`);
  return Number.isFinite(time) && date !== "0000-00-00" &&
    new Date(time).toISOString().startsWith(date);
}

function tooFine(text: string, fraction: string): UsageError {
  const cut = text.replace(fraction, fraction.slice(0, 6));
  return new UsageError(
    `"${text}" is finer than a microsecond, which is as fine as PostgreSQL's times are`,
    `write ${cut}`,
  );
}

/** Microseconds east of Greenwich; undefined when `zone` is not one that can be read. */
function parseOffset(zone: string): bigint | undefined {
  if (UTC_NAMES.test(zone)) return 0n;
  const match = OFFSET.exec(zone);
  if (!match) return undefined;
  const [hours, minutes, seconds] = [match[2], match[3] ?? "0", match[4] ?? "0"].map(Number);
  if (hours! > LARGEST_OFFSET_HOURS || minutes! > 59 || seconds! > 59) {
    throw new UsageError(`no place has the offset ${zone}`, "offsets go from -15:59 to +15:59");
  }
  const total = BigInt((hours! * 60 + minutes!) * 60 + seconds!) * 1_000_000n;
  return match[1] === "-" ? -total : total;
}

function zoneMissing(text: string, typed: TypedTime): UsageError {
  const here = machineOffset(typed);
  const local = here === "+00:00" ? "" : `, or ${typed.text}${here} for this machine's zone`;
  return new UsageError(`the time "${text}" has no zone`, `write ${typed.text}Z for UTC${local}`);
}

/** `-03:00`: the offset that this machine had at that local time. */
function machineOffset({ text }: TypedTime): string {
  const minutes = -new Date(text.slice(0, 19)).getTimezoneOffset();
  return offsetText(minutes);
}

function offsetText(minutes: number): string {
  const size = Math.abs(minutes);
  const two = (value: number) => String(value).padStart(2, "0");
  return `${minutes < 0 ? "-" : "+"}${two(Math.floor(size / 60))}:${two(size % 60)}`;
}

function zoneUnknown(text: string, typed: TypedTime): UsageError {
  const named = namedOffset(typed);
  return new UsageError(
    `"${typed.zone}" in the time "${text}" is not a zone that says its offset`,
    named === undefined ? EXAMPLE : `write ${typed.text}${named}`,
  );
}

/** The offset that a zone such as America/Sao_Paulo had at that local time. */
function namedOffset({ zone, asUtc }: TypedTime): string | undefined {
  if (!zone?.includes("/")) return undefined;
  try {
    const local = Number(asUtc / 1000n);
    const first = zoneMinutes(zone, local);
    // Near a change of the clocks the first guess may be that of the other side.
    return offsetText(zoneMinutes(zone, local - first * 60_000));
  } catch {
    return undefined; // no zone of that name is known here
  }
}

function zoneMinutes(zone: string, epochMilliseconds: number): number {
  const format = new Intl.DateTimeFormat("en", { timeZone: zone, timeZoneName: "longOffset" });
  const parts = format.formatToParts(new Date(epochMilliseconds));
  const name = parts.find((part) => part.type === "timeZoneName")?.value ?? "";
  const match = /([+-])(\d{2}):(\d{2})/.exec(name);
  if (!match) return 0;
  return (match[1] === "-" ? -1 : 1) * (Number(match[2]) * 60 + Number(match[3]));
}

/** A span of each day, or of some days, in which people sleep. */
export interface QuietTime {
  /** Minutes after midnight. */
  readonly from: number;
  /** Minutes after midnight; not after `from`: on the next day. */
  readonly to: number;
  /** Days on which it begins, 0 = Sunday; every day when absent. */
  readonly days?: readonly number[];
  /** IANA name. @default {"UTC"} */
  readonly timezone?: string;
}

const DAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];

/** Whether `now` lies in one of the spans, by the clocks on the walls of its zone. */
export function isQuietTime(times: readonly QuietTime[], now: Date): boolean {
  return times.some((time) => {
    const { day, minute } = wallClock(now, time.timezone ?? "UTC");
    const begins = (weekday: number) => !time.days || time.days.includes(weekday);
    if (time.from < time.to) return begins(day) && minute >= time.from && minute < time.to;
    const yesterday = (day + 6) % 7;
    return (begins(day) && minute >= time.from) || (begins(yesterday) && minute < time.to);
  });
}

function wallClock(now: Date, timeZone: string): { readonly day: number; readonly minute: number } {
  const format = new Intl.DateTimeFormat("en-US", {
    timeZone,
    weekday: "short",
    hour: "2-digit",
    minute: "2-digit",
    hourCycle: "h23",
  });
  const parts = new Map(format.formatToParts(now).map(({ type, value }) => [type, value]));
  return {
    day: DAYS.indexOf(parts.get("weekday") ?? ""),
    minute: Number(parts.get("hour")) * 60 + Number(parts.get("minute")),
  };
}

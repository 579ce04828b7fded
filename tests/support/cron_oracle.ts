/**
 * What a cron line means, said once more and as plainly as possible: every minute of UTC is turned
 * into a local time by a table of the zone's changes, and compared with the line's fields. Slow,
 * and independent of the library that the program uses.
 *
 * @module
 */

const MINUTE = 60_000;
const DAY = 86_400_000;

/** A change of a zone's distance from UTC. */
interface Change {
  readonly at: number;
  readonly before: number;
  readonly after: number;
}

/** A zone's distances from UTC over the years that are asked for. */
export class ZoneTable {
  readonly changes: readonly Change[];
  readonly #first: number;

  constructor(timezone: string, { from, to }: { readonly from: number; readonly to: number }) {
    const format = new Intl.DateTimeFormat("en-US", {
      timeZone: timezone,
      hourCycle: "h23",
      ...{ year: "numeric", month: "numeric", day: "numeric" },
      ...{ hour: "numeric", minute: "numeric", second: "numeric" },
    });
    const offset = (time: number) => {
      const parts = format.formatToParts(time);
      const part = (type: string) => Number(parts.find((one) => one.type === type)!.value);
      const local = Date.UTC(
        ...[part("year"), part("month") - 1, part("day")] as const,
        ...[part("hour"), part("minute"), part("second")] as const,
      );
      return local - Math.floor(time / 1000) * 1000;
    };
    this.#first = offset(from);
    const changes: Change[] = [];
    for (let time = from; time < to; time += DAY / 2) {
      const [before, after] = [offset(time), offset(time + DAY / 2)];
      if (before === after) continue;
      let [low, high] = [time, time + DAY / 2];
      while (high - low > MINUTE) {
        const middle = low + Math.floor((high - low) / 2 / MINUTE) * MINUTE;
        if (offset(middle) === before) low = middle;
        else high = middle;
      }
      changes.push({ at: high, before, after });
    }
    this.changes = changes;
  }

  /** Milliseconds that local time is ahead of UTC. */
  offset(time: number): number {
    let offset = this.#first;
    for (const { at, after } of this.changes) {
      if (at > time) break;
      offset = after;
    }
    return offset;
  }
}

/** The fields of a line as sets. Numbers, ranges, lists and steps; no names. */
interface Fields {
  readonly minute: ReadonlySet<number>;
  readonly hour: ReadonlySet<number>;
  readonly day: ReadonlySet<number>;
  readonly month: ReadonlySet<number>;
  readonly weekday: ReadonlySet<number>;
  readonly anyDay: boolean;
  readonly anyWeekday: boolean;
  /** No star and no step in the time of day. */
  readonly fixed: boolean;
}

function parseField(text: string, least: number, most: number): ReadonlySet<number> {
  const values = new Set<number>();
  for (const part of text.split(",")) {
    const [range = "", step = "1"] = part.split("/");
    const [low, high = low] = range === "*" ? [least, most] : range.split("-").map(Number);
    for (let value = low!; value <= high!; value += Number(step)) values.add(value);
  }
  return values;
}

function parseLine(line: string): Fields {
  const [minute = "", hour = "", day = "", month = "", weekday = ""] = line.split(" ");
  return {
    minute: parseField(minute, 0, 59),
    hour: parseField(hour, 0, 23),
    day: parseField(day, 1, 31),
    month: parseField(month, 1, 12),
    weekday: new Set([...parseField(weekday, 0, 7)].map((value) => value % 7)),
    anyDay: day === "*",
    anyWeekday: weekday === "*",
    fixed: !/[*/]/.test(minute + hour),
  };
}

function matches(fields: Fields, local: number): boolean {
  const minutes = Math.floor(local / MINUTE);
  if (!fields.minute.has(((minutes % 60) + 60) % 60)) return false;
  const date = new Date(local);
  if (!fields.hour.has(date.getUTCHours()) || !fields.month.has(date.getUTCMonth() + 1)) {
    return false;
  }
  const [day, weekday] = [fields.day.has(date.getUTCDate()), fields.weekday.has(date.getUTCDay())];
  if (fields.anyDay || fields.anyWeekday) return day && weekday;
  return day || weekday;
}

/** Every moment behind `from` and up to `to` that the line names in the zone, in order. */
export function momentsOf(
  line: string,
  { zone, from, to }: { readonly zone: ZoneTable; readonly from: number; readonly to: number },
): readonly number[] {
  const fields = parseLine(line);
  const moments = new Set<number>();
  const start = Math.floor(from / MINUTE) * MINUTE;
  const nextChange = () => zone.changes.find(({ at }) => at > time)?.at ?? Infinity;
  let time = start;
  let offset = zone.offset(time);
  let until = nextChange();
  for (; time <= to; time += MINUTE) {
    if (time >= until) {
      offset = zone.offset(time);
      until = nextChange();
    }
    if (time <= from || !matches(fields, time + offset)) continue;
    if (!fields.fixed || !isRepeated(zone, { time, offset })) moments.add(time);
  }
  for (const change of fields.fixed ? zone.changes : []) {
    if (change.at > from && change.at <= to && namesSkipped(fields, change)) moments.add(change.at);
  }
  return [...moments].sort((a, b) => a - b);
}

/** Whether the same local time was there before the clocks went back. */
function isRepeated(
  zone: ZoneTable,
  { time, offset }: { readonly time: number; readonly offset: number },
): boolean {
  return zone.changes.some(({ at, before, after }) =>
    after < before && time >= at && time < at + before - after && offset === after
  );
}

/** Whether the line names a time of the same day that the clocks leapt over. */
function namesSkipped(fields: Fields, { at, before, after }: Change): boolean {
  const day = Math.floor((at + after) / DAY);
  for (let local = at + before; local < at + after; local += MINUTE) {
    if (Math.floor(local / DAY) === day && matches(fields, local)) return true;
  }
  return false;
}

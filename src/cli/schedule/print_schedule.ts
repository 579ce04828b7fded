import { CronTimes, type ScheduleEntry } from "../../service/service.ts";
import { type Context, printResult } from "../context.ts";
import { type Column, formatTable } from "../table.ts";

/** Runs of each entry that are shown when nobody says how many. */
const SHOWN = 3;

/** An entry and its next moments. */
interface Upcoming {
  readonly entry: ScheduleEntry;
  readonly times: readonly Date[];
}

/** Prints the next runs of each entry, the earliest first. */
export function printSchedule(
  entries: readonly ScheduleEntry[],
  { next = SHOWN, context }: { readonly next?: number | undefined; readonly context: Context },
): void {
  const now = context.clock.now();
  const upcoming = entries.map((entry) => ({ entry, times: nextTimes(entry, { now, next }) }));
  printResult(context, {
    json: () => document(upcoming),
    text: () => text(upcoming, context),
  });
}

function nextTimes(
  { cron, timezone }: ScheduleEntry,
  { now, next }: { readonly now: Date; readonly next: number },
): readonly Date[] {
  const line = new CronTimes(cron, timezone);
  const times: Date[] = [];
  for (let time = line.after(now); time && times.length < next; time = line.after(time)) {
    times.push(time);
  }
  return times;
}

function document(upcoming: readonly Upcoming[]): unknown {
  return {
    schema: "backupctl.schedule/1",
    entries: upcoming.map(({ entry, times }) => ({
      name: entry.name,
      cron: entry.cron,
      timezone: entry.timezone ?? machineZone(),
      run: entry.run,
      jitter_seconds: entry.jitterMs / 1000,
      missed: entry.missed,
      next_runs: times.map((time) => time.toISOString()),
    })),
  };
}

const COLUMNS: readonly Column[] = [
  { title: "NEXT RUN" },
  { title: "UTC", dropAt: 1 },
  { title: "IN", align: "right" },
  { title: "ENTRY" },
  { title: "COMMAND", shortenTo: 20 },
];

function text(upcoming: readonly Upcoming[], { clock, terminal }: Context): string {
  if (upcoming.length === 0) {
    return "the schedule has no entries; docs/schedule.md shows how one looks\n";
  }
  const now = clock.now().getTime();
  const rows = upcoming.flatMap(({ entry, times }) => times.map((time) => ({ entry, time })))
    .toSorted((a, b) => a.time.getTime() - b.time.getTime())
    .map(({ entry, time }) => [
      localTime(time, entry.timezone) + (entry.jitterMs > 0 ? " or later" : ""),
      time.toISOString().replace("T", " ").replace(/:\d\d\.\d+Z$/, ""),
      distance(time.getTime() - now),
      entry.name,
      entry.run,
    ]);
  const { color } = terminal.stdout;
  const width = terminal.stdout.columns();
  const never = upcoming.filter(({ times }) => times.length === 0).map(({ entry }) =>
    `warning: ${entry.name} never runs: "${entry.cron}" names no day that exists\n`
  );
  return formatTable(COLUMNS, rows, { color, width, unicode: terminal.unicode }) + never.join("");
}

/** `Sun 2026-11-29 02:00 GMT-3` */
function localTime(time: Date, timezone: string | undefined): string {
  const parts = new Intl.DateTimeFormat("en-GB", {
    ...(timezone !== undefined && { timeZone: timezone }),
    ...{ weekday: "short", year: "numeric", month: "2-digit", day: "2-digit" },
    ...{ hour: "2-digit", minute: "2-digit", hourCycle: "h23", timeZoneName: "shortOffset" },
  }).formatToParts(time);
  const part = (type: string) => parts.find((one) => one.type === type)?.value ?? "";
  const day = `${part("weekday")} ${part("year")}-${part("month")}-${part("day")}`;
  return `${day} ${part("hour")}:${part("minute")} ${part("timeZoneName").replace("GMT", "UTC")}`;
}

function machineZone(): string {
  return new Intl.DateTimeFormat().resolvedOptions().timeZone;
}

/** `3d 4h`, `4h 10m`, `10m` */
function distance(milliseconds: number): string {
  const minutes = Math.max(0, Math.round(milliseconds / 60_000));
  const [days, hours] = [Math.floor(minutes / 1440), Math.floor(minutes / 60) % 24];
  if (days > 0) return `${days}d ${hours}h`;
  return hours > 0 ? `${hours}h ${minutes % 60}m` : `${minutes}m`;
}

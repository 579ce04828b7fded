/** The rules that keep one backup of each of some periods. */
export type PeriodRule = "hourly" | "daily" | "weekly" | "monthly" | "yearly";

const DAY = 86_400_000;

/**
 * The hour, day, week, month or year of a moment, in UTC: `2026-11-23T02`, `2026-11-23`,
 * `2026-W48`, `2026-11`, `2026`. Weeks are those of ISO 8601: they begin on Monday.
 */
export function periodOf(moment: number, rule: PeriodRule): string {
  const text = new Date(moment).toISOString();
  if (rule === "hourly") return text.slice(0, 13);
  if (rule === "daily") return text.slice(0, 10);
  if (rule === "monthly") return text.slice(0, 7);
  return rule === "yearly" ? text.slice(0, 4) : weekOf(moment);
}

/** The week belongs to the year that has its Thursday. */
function weekOf(moment: number): string {
  const day = Math.floor(moment / DAY);
  const thursday = day - ((day + 3) % 7 + 7) % 7 + 3;
  const year = new Date(thursday * DAY).getUTCFullYear();
  const first = Math.floor(Date.UTC(year, 0, 1) / DAY);
  return `${year}-W${String(Math.floor((thursday - first) / 7) + 1).padStart(2, "0")}`;
}

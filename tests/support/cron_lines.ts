import fc from "fast-check";

/** Zones with all kinds of changes: none, an hour, half an hour, at midnight, a day, Ramadan. */
export const ZONES = [
  "UTC",
  "America/New_York",
  "America/Sao_Paulo",
  "Europe/London",
  "Europe/Lisbon",
  "Europe/Berlin",
  "Australia/Lord_Howe",
  "Australia/Sydney",
  "Asia/Kolkata",
  "Asia/Kathmandu",
  "Asia/Tehran",
  "Africa/Casablanca",
  "America/St_Johns",
  "Pacific/Apia",
  "Pacific/Chatham",
  "America/Havana",
] as const;

/** The years that the tables know. */
export const YEARS = { from: Date.UTC(2015, 0, 1), to: Date.UTC(2030, 0, 1) } as const;

function field(least: number, most: number): fc.Arbitrary<string> {
  const number = fc.integer({ min: least, max: most });
  const range = fc.tuple(number, number).map(([a, b]) => `${Math.min(a, b)}-${Math.max(a, b)}`);
  const list = fc.uniqueArray(number, { minLength: 2, maxLength: 4 })
    .map((values) => values.sort((a, b) => a - b).join(","));
  const step = fc.integer({ min: 2, max: Math.max(2, Math.floor(most / 2)) });
  return fc.oneof(
    { weight: 4, arbitrary: number.map(String) },
    { weight: 2, arbitrary: list },
    { weight: 1, arbitrary: range },
    { weight: 2, arbitrary: step.map((value) => `*/${value}`) },
    { weight: 1, arbitrary: fc.tuple(range, step).map(([a, b]) => `${a}/${b}`) },
  );
}

const any = (weight: number, other: fc.Arbitrary<string>) =>
  fc.oneof({ weight, arbitrary: fc.constant("*") }, { weight: 1, arbitrary: other });

/** Cron lines of five fields; hours lean to the night, when clocks change. */
export const cronLines: fc.Arbitrary<string> = fc.tuple(
  field(0, 59),
  fc.oneof(any(1, field(0, 23)), field(0, 4)),
  any(4, field(1, 31)),
  any(8, field(1, 12)),
  any(3, field(0, 7)),
).map((fields) => fields.join(" "));

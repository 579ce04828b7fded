const MILLISECONDS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};

/** A span of time such as `500ms`, `60s`, `10m`, `8d` in milliseconds, or undefined. */
export function parseDuration(value: string): number | undefined {
  const match = /^(\d{1,9})(ms|s|m|h|d|w)$/.exec(value);
  if (!match) return undefined;
  return Number(match[1]) * MILLISECONDS[match[2]!]!;
}

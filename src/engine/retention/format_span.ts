const UNITS = [["d", 86_400_000], ["h", 3_600_000], ["m", 60_000], ["s", 1000], ["ms", 1]] as const;

/** A span of time as people write it: `14d`, `36h`. */
export function formatSpan(milliseconds: number): string {
  const [unit, length] = UNITS.find(([, length]) => milliseconds % length === 0) ?? ["ms", 1];
  return `${milliseconds / length}${unit}`;
}

const BARS = "▁▂▃▄▅▆▇█";
const DIGITS = "123456789";

/** Figures as a row of bars, or of digits where the terminal has no others; 0 is a blank. */
export function sparkline(
  values: readonly number[],
  { unicode }: { readonly unicode: boolean },
): string {
  const levels = unicode ? BARS : DIGITS;
  const most = Math.max(...values, 0);
  return values.map((value) => {
    if (most === 0 || value <= 0) return " ";
    return levels[Math.min(levels.length - 1, Math.floor(value / most * levels.length))]!;
  }).join("");
}

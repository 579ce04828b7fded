/** The `count` names that differ least from `wanted`, the nearest first; wholly different ones last. */
export function nearNames(wanted: string, names: readonly string[], count = 3): string[] {
  return names
    .map((name) => ({ name, distance: distance(wanted.slice(0, 200), name) }))
    .sort((a, b) => a.distance - b.distance)
    .slice(0, count)
    .map(({ name }) => name);
}

/** Levenshtein's distance, with the names' beginnings worth more: a given prefix costs nothing. */
function distance(wanted: string, name: string): number {
  if (name.startsWith(wanted)) return 0;
  let above = Array.from({ length: name.length + 1 }, (_, column) => column);
  for (let row = 1; row <= wanted.length; row++) {
    const current = [row];
    for (let column = 1; column <= name.length; column++) {
      const change = wanted[row - 1] === name[column - 1] ? 0 : 1;
      current.push(
        Math.min(above[column]! + 1, current[column - 1]! + 1, above[column - 1]! + change),
      );
    }
    above = current;
  }
  return above[name.length]!;
}

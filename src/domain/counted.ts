/**
 * A number with what it counts: `1 file`, `2 files`.
 *
 * @param noun of one; its plural is made with an s, unless `plural` says it.
 */
export function counted(count: number, noun: string, plural = `${noun}s`): string {
  return `${count} ${count === 1 ? noun : plural}`;
}

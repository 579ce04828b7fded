/** WAL segments of one timeline in a row, by number, both ends included. */
export interface SegmentRange {
  readonly timeline: number;
  readonly first: number;
  readonly last: number;
}

/** A set of WAL segments that costs memory only for its gaps. */
export class SegmentRanges {
  readonly #byTimeline = new Map<number, { first: number; last: number }[]>();

  /** With what is in `ranges`; they may overlap. */
  constructor(ranges: Iterable<SegmentRange> = []) {
    for (const { timeline, ...range } of ranges) this.#add(timeline, range);
  }

  /** Whether the segment is among them. */
  has(timeline: number, number: number): boolean {
    const ranges = this.#byTimeline.get(timeline) ?? [];
    return ranges.some(({ first, last }) => first <= number && number <= last);
  }

  /** Adds one segment; fast when it comes behind those that are there. */
  add(timeline: number, number: number): void {
    this.#add(timeline, { first: number, last: number });
  }

  /** By timeline and number. */
  list(): readonly SegmentRange[] {
    const timelines = [...this.#byTimeline].toSorted(([a], [b]) => a - b);
    return timelines.flatMap(([timeline, ranges]) =>
      ranges.map(({ first, last }) => ({ timeline, first, last }))
    );
  }

  #add(timeline: number, added: { readonly first: number; readonly last: number }): void {
    const ranges = this.#byTimeline.get(timeline) ?? [];
    this.#byTimeline.set(timeline, ranges);
    const at = ranges.findLastIndex(({ last }) => last + 1 < added.first) + 1;
    const joined = { ...added };
    let end = at;
    for (; end < ranges.length && ranges[end]!.first <= joined.last + 1; end++) {
      joined.first = Math.min(joined.first, ranges[end]!.first);
      joined.last = Math.max(joined.last, ranges[end]!.last);
    }
    ranges.splice(at, end - at, joined);
  }
}

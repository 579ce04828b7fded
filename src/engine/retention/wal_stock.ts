import type { TimelineHistory } from "../../domain/timeline_history.ts";
import { numberOfName } from "../../domain/wal.ts";
import { parseWalKey, type WalPlace } from "../../domain/wal_key.ts";
import type { ObjectInfo } from "../../storage/storage.ts";
import type { SideFile, WalPiece } from "./prune_model.ts";

/** The log of one system, as a listing of it comes by. Memory grows with the gaps and the cuts. */
export class WalStock {
  /** Of the timelines whose history file was there and made sense. */
  readonly histories: ReadonlyMap<number, TimelineHistory>;
  readonly sideFiles: SideFile[] = [];
  segments = 0;
  readonly #place: WalPlace;
  readonly #segmentBytes: number;
  readonly #cuts: ReadonlySet<number>;
  readonly #pieces: WalPiece[] = [];

  /** @param cuts pieces never reach across these numbers. */
  constructor(
    place: WalPlace,
    { segmentBytes, cuts, histories }: {
      readonly segmentBytes: number;
      readonly cuts: ReadonlySet<number>;
      readonly histories: ReadonlyMap<number, TimelineHistory>;
    },
  ) {
    this.histories = histories;
    this.#place = place;
    this.#segmentBytes = segmentBytes;
    this.#cuts = cuts;
  }

  /** In the order of the keys. */
  get pieces(): readonly WalPiece[] {
    return this.#pieces;
  }

  /** The next object of the listing. Strangers are nobody's to remove. */
  take(info: ObjectInfo): void {
    const name = parseWalKey(this.#place, info.key);
    if (!name || name.kind === "history") return;
    const number = numberOfName(name, this.#segmentBytes);
    if (number === undefined) return;
    if (name.kind === "segment") this.#segment({ timeline: name.timeline, number }, info);
    else this.sideFiles.push(sideFile({ timeline: name.timeline, number }, info));
  }

  #segment(
    { timeline, number }: { readonly timeline: number; readonly number: number },
    { size, lastModified }: ObjectInfo,
  ): void {
    this.segments += 1;
    const storedAt = lastModified?.getTime();
    const before = this.#pieces.at(-1);
    const joins = before?.timeline === timeline && before.last + 1 === number &&
      !this.#cuts.has(number);
    if (!joins) {
      this.#pieces.push({ timeline, first: number, last: number, bytes: size, storedAt });
      return;
    }
    this.#pieces[this.#pieces.length - 1] = {
      ...{ timeline, first: before.first, last: number, bytes: before.bytes + size },
      storedAt: storedAt === undefined || before.storedAt === undefined
        ? undefined
        : Math.max(storedAt, before.storedAt),
    };
  }
}

function sideFile(
  { timeline, number }: { readonly timeline: number; readonly number: number },
  { key, size, lastModified }: ObjectInfo,
): SideFile {
  const storedAt = lastModified?.getTime();
  return { ...{ key, timeline, storedAt }, first: number, last: number, bytes: size };
}

import type { ListOptions, ObjectInfo, ObjectStore } from "../storage/storage.ts";

/** Fewer keys of one folder are read faster than a new listing begins: a page of S3 has 1,000. */
const WORTH_A_LEAP = 1000;

/** What to do after a key: go on, or leap to the first key from `leapTo` on. */
export interface Step {
  /** The least key of interest; those before it are skipped. */
  readonly leapTo: string;
  /** Leap at once: much lies in between. Otherwise only when many keys turned out to. */
  readonly far: boolean;
}

/**
 * Lists `prefix` and leaps over folders that nobody asks for, so that a million WAL segments cost
 * one request and not a thousand.
 *
 * @param next what to do after each object; undefined to go on.
 */
export async function* listLeaping(
  store: ObjectStore,
  prefix: string,
  { next, ...options }: ListOptions & { readonly next: (info: ObjectInfo) => Step | undefined },
): AsyncGenerator<ObjectInfo> {
  let startAfter: string | undefined;
  for (;;) {
    const leap = yield* listUntilLeap(store, prefix, {
      next,
      ...options,
      ...(startAfter !== undefined && { startAfter }),
    });
    if (leap === undefined) return;
    startAfter = leap;
  }
}

async function* listUntilLeap(
  store: ObjectStore,
  prefix: string,
  { next, ...options }: ListOptions & {
    readonly next: (info: ObjectInfo) => Step | undefined;
  },
): AsyncGenerator<ObjectInfo, string | undefined> {
  let skipped = 0;
  let wanted = "";
  for await (const info of store.list(prefix, options)) {
    if (info.key < wanted) {
      skipped += 1;
      if (skipped >= WORTH_A_LEAP) return wanted;
      continue;
    }
    skipped = 0;
    yield info;
    const step = next(info);
    if (step?.far) return step.leapTo;
    wanted = step?.leapTo ?? "";
  }
  return undefined;
}

import { IntegrityError, ObjectMissingError } from "../../domain/errors.ts";
import { isSealed } from "../../domain/sealed_form.ts";
import { parseTimelineHistory, timelineStart } from "../../domain/timeline_history.ts";
import {
  numberOfName,
  segmentNumber,
  timelineHistoryName,
  type WalName,
} from "../../domain/wal.ts";
import { parseWalKey, timelineFolder, walFolder, walKey } from "../../domain/wal_key.ts";
import { opened, readArchived, type WalFetchParts } from "./read_archived.ts";
import { readStored } from "./wal_push.ts";

/**
 * A segment that is absent while later ones of its timeline are there is no end of the log: going on
 * without it would lose what they hold.
 *
 * @throws {IntegrityError}
 */
export async function refuseGap(
  parts: WalFetchParts,
  name: WalName,
  signal: AbortSignal | undefined,
): Promise<void> {
  if (name.kind !== "segment") return;
  const later = await laterSegment(parts, name, signal);
  if (later === undefined || await isBeforeTimeline(parts, { name, later, signal })) return;
  throw new IntegrityError(
    `WAL segment ${name.name} is missing in the archive, ${later.name} is there`,
    "restore to a moment before the gap, or from a backup behind it",
  );
}

async function laterSegment(
  { store, place }: WalFetchParts,
  name: WalName,
  signal: AbortSignal | undefined,
): Promise<(WalName & { readonly kind: "segment" }) | undefined> {
  const startAfter = walKey(place, name);
  const prefix = timelineFolder(place, name.timeline);
  for await (const { key } of store.list(prefix, { startAfter, ...(signal && { signal }) })) {
    const found = parseWalKey(place, key);
    if (found?.kind === "segment" && found.name > name.name) return found;
  }
  return undefined;
}

/** PostgreSQL may ask for a segment of a timeline that only began later: no gap. */
async function isBeforeTimeline(
  { store, place, open }: WalFetchParts,
  { name, later, signal }: {
    readonly name: WalName & { readonly kind: "segment" };
    readonly later: WalName & { readonly kind: "segment" };
    readonly signal: AbortSignal | undefined;
  },
): Promise<boolean> {
  if (name.timeline === 1) return false;
  const reading = signal ? { signal } : {};
  const historyKey = walFolder(place) + timelineHistoryName(name.timeline);
  try {
    const stored = await readStored(await store.get(historyKey, reading), historyKey);
    const bytes = isSealed(stored) ? await opened(historyKey, { stored, open }) : stored;
    const history = parseTimelineHistory(name.timeline, new TextDecoder().decode(bytes));
    const start = timelineStart(history, name.timeline)!;
    const { header } = await readArchived({ store, place, ...(open && { open }) }, later, {
      signal,
    });
    const number = numberOfName(name, header!.segmentBytes);
    return number !== undefined && number < segmentNumber(start, header!.segmentBytes);
  } catch (error) {
    if (error instanceof ObjectMissingError) return false;
    throw error;
  }
}

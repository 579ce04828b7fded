import type { Bytes } from "../../domain/bytes.ts";
import { IntegrityError, KeyError } from "../../domain/errors.ts";
import { isSealed } from "../../domain/sealed_form.ts";
import { parseTimelineHistory } from "../../domain/timeline_history.ts";
import type { WalName } from "../../domain/wal.ts";
import { walKey, type WalPlace } from "../../domain/wal_key.ts";
import type { ObjectStore } from "../../storage/storage.ts";
import { checkWalHeader, type WalHeader } from "./wal_header.ts";
import { decodeWal, digestOf, joined, type WalOpen } from "./wal_object.ts";
import { readStored } from "./wal_push.ts";

/** What fetching needs of the world. */
export interface WalFetchParts {
  readonly store: ObjectStore;
  readonly place: WalPlace;
  /** Absent: what is encrypted cannot be fetched. */
  readonly open?: WalOpen;
}

/** A file of the archive, compared with everything that is known of it. */
export interface FetchedWal {
  readonly rawBytes: number;
  readonly storedBytes: number;
  /** Of segments. */
  readonly header: WalHeader | undefined;
}

/** Hands over its plain bytes on the way: only when this returns they are proved. */
export async function readArchived(
  { store, place, open }: WalFetchParts,
  name: WalName,
  { take, signal }: {
    readonly take?: (block: Bytes) => void;
    readonly signal: AbortSignal | undefined;
  },
): Promise<FetchedWal> {
  const key = walKey(place, name);
  const reading = signal ? { signal } : {};
  const looking = store.head(key, reading);
  looking.catch(() => {}); // awaited below; the reading may fail first
  const stored = await readStored(await store.get(key, reading), key);
  const info = await looking;
  if (info && info.size !== stored.length) {
    throw new IntegrityError(`${key} has ${stored.length} bytes, the store says ${info.size}`);
  }
  const blocks = isSealed(stored)
    ? decodeWal(name, { stored: await opened(key, { stored, open }), expected: undefined })
    : decodeWal(name, { stored, expected: info && digestOf(info) });
  let [first, rawBytes]: [Bytes | undefined, number] = [undefined, 0];
  for (const block of blocks) {
    first ??= block;
    rawBytes += block.length;
    take?.(block);
  }
  const header = checkFetched(name, { head: first ?? joined([]), rawBytes, place });
  return { rawBytes, storedBytes: stored.length, header };
}

/** Where it was sealed, every byte was authenticated: there is nothing more to compare. */
export async function opened(
  key: string,
  { stored, open }: { readonly stored: Bytes; readonly open: WalOpen | undefined },
): Promise<Bytes> {
  if (open) return await open(key, stored);
  throw new KeyError(
    `${key} is encrypted, and no identity is given`,
    "name a file with it: encryption.identity_file, or --identity FILE in restore_command",
  );
}

/** The last look before PostgreSQL gets it, which itself checks only the size. */
function checkFetched(
  name: WalName,
  { head, rawBytes, place: { systemIdentifier } }: {
    /** The first block of a segment; the whole of a text. */
    readonly head: Bytes;
    readonly rawBytes: number;
    readonly place: WalPlace;
  },
): WalHeader | undefined {
  if (name.kind === "segment" || name.kind === "partial") {
    return checkWalHeader(head, { name, fileBytes: rawBytes, systemIdentifier });
  }
  if (name.kind === "history") {
    parseTimelineHistory(name.timeline, new TextDecoder().decode(head));
  }
  return undefined;
}

import type { Bytes } from "../../domain/bytes.ts";
import { formatLsn } from "../../domain/lsn.ts";
import { parseTimelineHistory } from "../../domain/timeline_history.ts";
import type { WalName } from "../../domain/wal.ts";
import {
  type EncodedWal,
  sha256Of,
  type WalBody,
  type WalSeal,
  type WalTag,
} from "./wal_object.ts";

/** A file on its way into the archive. */
export interface WalToSeal {
  readonly key: string;
  readonly name: WalName;
  readonly encoded: EncodedWal;
}

/** Encrypts a file. Its stored bytes can be verified by its metadata, without a key. */
export async function sealedBody(
  { key, name, encoded }: WalToSeal,
  { seal, tagOf }: { readonly seal: WalSeal; readonly tagOf: WalTag },
): Promise<WalBody> {
  const tag = await tagOf(encoded.sha256);
  const text = name.kind === "history" ? publicHistory(name.timeline, encoded.stored) : undefined;
  const stored = await seal(key, encoded.stored, { tag, ...(text !== undefined && { text }) });
  const metadata = {
    "raw-bytes": String(encoded.rawBytes),
    tag,
    "stored-sha256": sha256Of(stored),
  };
  return { stored, metadata };
}

/** Listing and pruning follow the branches without a key; why a timeline was left is private. */
function publicHistory(timeline: number, file: Bytes): string {
  const { ancestors } = parseTimelineHistory(timeline, new TextDecoder().decode(file));
  return ancestors.map((ancestor) => `${ancestor.timeline}\t${formatLsn(ancestor.switchLsn)}\n`)
    .join("");
}

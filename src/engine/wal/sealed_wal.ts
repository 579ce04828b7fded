import type { HeldObject } from "../../crypto/crypto.ts";
import { type Bytes, discard } from "../../domain/bytes.ts";
import { IntegrityError } from "../../domain/errors.ts";
import { formatLsn } from "../../domain/lsn.ts";
import { parseTimelineHistory } from "../../domain/timeline_history.ts";
import type { WalName } from "../../domain/wal.ts";
import { sha256Of, type WalTag, type WalTarget, type WalWriter } from "./wal_object.ts";

/** The header of an encrypted object has room for more. */
const MOST_TEXT = 48 * 1024;

/** Begins an encrypted object that will be stored under `key`, with a tag at its end. */
export type HoldWal = (
  key: string,
  known: { readonly text?: string },
) => Promise<HeldObject>;

/** Encrypts a file. Its stored bytes can be verified by its metadata, without a key. */
export function sealedWriter(
  { key, name }: WalTarget,
  { hold, tagOf }: { readonly hold: HoldWal; readonly tagOf: WalTag },
): WalWriter {
  let held: HeldObject | undefined;
  return {
    async write(block) {
      held ??= await hold(key, publicPart(name, block));
      held.push(block);
      discard(block); // the next one is put where it was: fresh memory is what takes long
    },
    async end({ rawBytes, sha256 }) {
      const tag = await tagOf(sha256);
      held ??= await hold(key, {});
      const stored = await held.end({ tag });
      const metadata = {
        "raw-bytes": String(rawBytes),
        tag,
        "stored-sha256": sha256Of(stored),
      };
      return { stored, metadata };
    },
  };
}

/** Listing and pruning follow the branches without a key; why a timeline was left is private. */
function publicPart(name: WalName, file: Bytes): { readonly text?: string } {
  if (name.kind !== "history") return {};
  const { ancestors } = parseTimelineHistory(name.timeline, new TextDecoder().decode(file));
  const lines = ancestors.map((ancestor) =>
    `${ancestor.timeline}\t${formatLsn(ancestor.switchLsn)}\n`
  );
  const text = lines.join("");
  if (text.length <= MOST_TEXT) return { text };
  throw new IntegrityError(`${name.name} has ${ancestors.length} lines, too many to be encrypted`);
}

import type { Bytes } from "../../domain/bytes.ts";
import { IntegrityError, ObjectMissingError, StorageError } from "../../domain/errors.ts";
import type { WalName } from "../../domain/wal.ts";
import { WalDelivery } from "./deliver_wal.ts";
import { type FetchedWal, readArchived, type WalFetchParts } from "./read_archived.ts";

/** Where to put a file of the archive. */
export interface WalFetchOptions {
  /** Its path; it appears there when it is verified, whole and synced. */
  readonly destination: string;
  readonly signal?: AbortSignal | undefined;
}

/** A broken transfer is begun again; damage that is still there the second time is real. */
const MAX_ATTEMPTS = 3;

/**
 * Brings a file of the archive, verified, to where it is wanted.
 *
 * @returns undefined when the store itself says that it is absent, and nothing behind it is there.
 * @throws {IntegrityError} when it is damaged, or missing between others.
 * @throws {RunFailedError} when it cannot be written.
 * @throws {StorageError} when the store cannot be asked.
 */
export async function fetchWal(
  parts: WalFetchParts,
  name: WalName,
  { destination, signal }: WalFetchOptions,
): Promise<FetchedWal | undefined> {
  for (let attempt = 1;; attempt++) {
    const delivery = new WalDelivery(destination);
    try {
      const take = (block: Bytes) => delivery.write(block);
      const fetched = await readArchived(parts, name, { take, signal });
      await delivery.end();
      return fetched;
    } catch (error) {
      delivery.discard();
      if (error instanceof ObjectMissingError) {
        const { refuseGap } = await import("./archive_gap.ts"); // once, at the end of the log
        await refuseGap(parts, name, signal);
        return undefined;
      }
      const again = error instanceof IntegrityError || error instanceof StorageError;
      if (!again || attempt === MAX_ATTEMPTS || signal?.aborted) throw error;
    }
  }
}

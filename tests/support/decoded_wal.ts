import type { Bytes } from "../../src/domain/bytes.ts";
import type { WalName } from "../../src/domain/wal.ts";
import { decodeWal, joined, type WalDigest } from "../../src/engine/wal/wal_object.ts";

/** The plain bytes of an archived file, proved. */
export function decodedWal(
  name: WalName,
  object: { readonly stored: Bytes; readonly expected: WalDigest | undefined },
): Bytes {
  return joined([...decodeWal(name, object)]);
}

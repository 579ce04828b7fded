import { wrappingsOf } from "../../catalog/data_keys.ts";
import { KeyRing, ObjectOpener } from "../../crypto/crypto.ts";
import type { WalOpen } from "../../engine/wal/wal_object.ts";
import type { ObjectStore } from "../../storage/storage.ts";
import { readIdentities } from "../read_identities.ts";
import type { WalSettings } from "./wal_settings.ts";

/** Opens what is fetched; undefined when no identity is configured. */
export function walOpener(
  { cluster, encryption }: Pick<WalSettings, "cluster" | "encryption">,
  store: ObjectStore,
): WalOpen | undefined {
  const file = encryption?.identityFile;
  if (file === undefined) return undefined;
  const place = { store, cluster };
  const ring = new KeyRing({
    identities: () => readIdentities(file),
    rewrapped: (id) => wrappingsOf(place, id),
  });
  const opener = new ObjectOpener(ring);
  return (key, sealed) => opener.open(key, sealed);
}

import { createHash, randomBytes } from "node:crypto";
import type { BackupSlot, ManifestObject } from "../../catalog/catalog.ts";
import type { Bytes } from "../../domain/bytes.ts";
import type { BackupParts, FullBackupOptions } from "../parts.ts";

/** An object of a backup before it is stored. */
export interface NewObject {
  /** Relative to the slot's folder, without the codec's extension. */
  readonly name: string;
  readonly role: ManifestObject["role"];
  readonly database?: string;
  /** Its raw bytes. When it errors, nothing is stored. */
  readonly raw: ReadableStream<Bytes>;
}

/** Compresses and stores one object, and counts and hashes it on the way. */
export async function storeEncoded(
  { store, codecs, progress }: Pick<BackupParts, "store" | "codecs" | "progress">,
  { slot, options, object: { name, role, database, raw } }: {
    readonly slot: BackupSlot;
    readonly options: Pick<FullBackupOptions, "codec" | "signal">;
    readonly object: NewObject;
  },
): Promise<ManifestObject> {
  const codec = codecs.codec(options.codec);
  const key = (codecs.sealing ? concealed({ name, role }) : name) + codec.extension;
  const signal = options.signal ? { signal: options.signal } : {};
  const hash = createHash("sha256");
  let [rawBytes, storedBytes] = [0, 0];
  const body = raw
    .pipeThrough(tap((bytes) => {
      rawBytes += bytes.length;
      progress.advance(bytes.length);
    }))
    .pipeThrough(codec.encode({ name: slot.folder + key, ...signal }))
    .pipeThrough(tap((bytes) => {
      storedBytes += bytes.length;
      hash.update(bytes);
    }));
  await store.put(slot.folder + key, body, { ifAbsent: true, ...signal });
  return {
    key,
    role,
    ...(database !== undefined && { database }),
    rawBytes,
    storedBytes,
    sha256: hash.digest("hex"),
  };
}

/** An encrypted backup does not show the names of databases. */
function concealed({ name, role }: Pick<NewObject, "name" | "role">): string {
  return role === "dump" ? `${randomBytes(8).toString("hex")}.dump` : name;
}

function tap(see: (bytes: Bytes) => void): TransformStream<Bytes, Bytes> {
  return new TransformStream({
    transform(bytes, controller) {
      see(bytes);
      controller.enqueue(bytes);
    },
  });
}

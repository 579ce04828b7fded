import type { Leases, NoteBook } from "../catalog/catalog.ts";
import type { Config } from "../config/config.ts";
import type { ObjectStore } from "../storage/storage.ts";

/** The leases of the cluster in a store. Asks nobody yet. */
export async function openLeases(store: ObjectStore, { cluster }: Config): Promise<Leases> {
  const { Leases } = await import("../catalog/leases.ts");
  return new Leases(store, { cluster, holder: { host: Deno.hostname(), pid: Deno.pid } });
}

/** The notes on the cluster's backups. Asks nobody yet. */
export async function openNotes(store: ObjectStore, config: Config): Promise<NoteBook> {
  const { NoteBook } = await import("../catalog/backup_notes.ts");
  const { sealer, opener } = config.encryption ? (await import("./seals.ts")).sealsOf(config) : {};
  return new NoteBook(store, {
    ...{ cluster: config.cluster, host: Deno.hostname() },
    ...(sealer && { sealer }),
    ...(opener && { opener }),
  });
}

import type { BackupMethod } from "../domain/backup_id.ts";
import { PostgresError } from "../domain/errors.ts";
import type { WalPlace } from "../domain/wal_key.ts";
import type { PostgresServer } from "../postgres/postgres.ts";
import type { ObjectStore, ReadOptions } from "../storage/storage.ts";
import { readArchiving, whyNotArchived } from "./archiving.ts";

/** What `--method auto` came to. */
export interface ChosenMethod {
  readonly method: BackupMethod;
  /** One line for people: why, and for a logical backup what more it would take. */
  readonly reason: string;
}

/**
 * Physical when the server archives its WAL with backupctl into this repository and the role may
 * replicate: then a backup can be rolled forward to any moment. Logical otherwise.
 *
 * @throws {StorageError} when the store cannot be asked.
 */
export async function chooseMethod(
  server: PostgresServer,
  { store, ...options }: ReadOptions & { readonly store: ObjectStore; readonly place: WalPlace },
): Promise<ChosenMethod> {
  const needed = await whatIsMissing(server, { store, ...options });
  if (needed === undefined) {
    const reason = "physical: the server archives its WAL into this repository";
    return { method: "physical", reason };
  }
  return { method: "logical", reason: `logical: point-in-time recovery would need ${needed}` };
}

async function whatIsMissing(
  server: PostgresServer,
  { store, ...options }: ReadOptions & { readonly store: ObjectStore; readonly place: WalPlace },
): Promise<string | undefined> {
  try {
    const missing = await whyNotArchived(store, await readArchiving(server), options);
    return missing ?? await whyNotReplicating(server);
  } catch (error) {
    if (!(error instanceof PostgresError)) throw error;
    return `a role that may ask: ${error.message}`;
  }
}

async function whyNotReplicating(server: PostgresServer): Promise<string | undefined> {
  const [role = {}] = await server.query(
    "select current_user as name, rolreplication or rolsuper as may " +
      "from pg_catalog.pg_roles where rolname = current_user",
  );
  if (role["may"] !== true) {
    return `the right to replicate: alter role "${role["name"]}" replication`;
  }
  const senders = (await server.settings(["max_wal_senders"])).get("max_wal_senders");
  return senders === "0" ? "max_wal_senders of 2 or more" : undefined;
}

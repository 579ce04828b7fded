import type { BackupMethod } from "../domain/backup_id.ts";
import { PostgresError } from "../domain/errors.ts";
import type { WalPlace } from "../domain/wal_key.ts";
import type { PostgresServer } from "../postgres/postgres.ts";
import type { ObjectStore, ReadOptions } from "../storage/storage.ts";
import { awaitsFirstSegment, readArchiving, whyNotArchived } from "./archiving.ts";

/** What `--method auto` came to. */
export interface ChosenMethod {
  readonly method: BackupMethod;
  /** One line for people: why, and for a logical backup what more it would take. */
  readonly reason: string;
  /** Whether it is another one than the server is set up for. */
  readonly warns: boolean;
}

/** Why not a physical one. */
type Obstacle = Pick<ChosenMethod, "reason" | "warns">;

const NOTHING_YET = "logical, although the server is set up to archive its WAL here: nothing was " +
  "archived yet, so nobody knows whether that works; select pg_switch_wal() there makes a first " +
  "segment, and --method physical takes a physical backup all the same";

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
  const obstacle = await obstacleOf(server, { store, ...options });
  if (obstacle) return { method: "logical", ...obstacle };
  const reason = "physical: the server archives its WAL into this repository";
  return { method: "physical", reason, warns: false };
}

async function obstacleOf(
  server: PostgresServer,
  { store, ...options }: ReadOptions & { readonly store: ObjectStore; readonly place: WalPlace },
): Promise<Obstacle | undefined> {
  try {
    const archiving = await readArchiving(server);
    if (awaitsFirstSegment(archiving)) return { reason: NOTHING_YET, warns: true };
    const missing = await whyNotArchived(store, archiving, options);
    const needed = missing ?? await whyNotReplicating(server);
    return needed === undefined ? undefined : wanting(needed);
  } catch (error) {
    if (!(error instanceof PostgresError)) throw error;
    return wanting(`a role that may ask: ${error.message}`);
  }
}

function wanting(needed: string): Obstacle {
  return { reason: `logical: point-in-time recovery would need ${needed}`, warns: false };
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

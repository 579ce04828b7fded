import type { Config } from "../config/config.ts";
import { formatSeconds } from "../domain/bytes.ts";
import { PostgresError, RunFailedError } from "../domain/errors.ts";
import { pause } from "../domain/pause.ts";
import { parseWalName } from "../domain/wal.ts";
import { walKey } from "../domain/wal_key.ts";
import type { PostgresServer, ServerIdentity } from "../postgres/postgres.ts";
import type { ObjectStore } from "../storage/storage.ts";
import { type Check, ok } from "./checks.ts";
import type { Context } from "./context.ts";

const NAME = "archiving probe";
/** Milliseconds that a segment may take; several archive_timeouts of a busy server. */
const PATIENCE = 60_000;
/** Milliseconds between two looks. */
const INTERVAL = 250;

/** Where the segment goes to. */
export interface ProbeOptions {
  readonly config: Config;
  readonly context: Context;
  readonly store: ObjectStore;
  readonly identity: ServerIdentity;
}

/**
 * Ends the server's current segment and waits until it is in the repository.
 *
 * @throws {PostgresError} when the role may not end it.
 * @throws {RunFailedError} when it does not arrive.
 */
export async function probeArchiving(
  server: PostgresServer,
  { config, context, store, identity }: ProbeOptions,
): Promise<Check> {
  const { clock, signal } = context;
  const name = parseWalName(await switchSegment(server))!;
  const place = { cluster: config.cluster, systemIdentifier: identity.systemIdentifier };
  const key = walKey(place, name);
  const start = clock.monotonic();
  while (clock.monotonic() - start < PATIENCE) {
    if (await store.head(key, { signal })) {
      const took = (clock.monotonic() - start) / 1000;
      const figures = [{ label: "archive_time", value: Number(took.toFixed(2)), unit: "s" }];
      return { ...ok(NAME, `${name.name} arrived after ${formatSeconds(took)}`), figures };
    }
    await pause(INTERVAL, signal);
  }
  throw new RunFailedError(
    `${name.name} did not arrive in ${store.location} within ${PATIENCE / 1000} seconds`,
    "does the archive_command push into this repository and cluster? The server's log says more",
  );
}

/**
 * A switch without new WAL does nothing, so a transaction gets a number first. PostgreSQL docs,
 * "Backup Control Functions".
 */
async function switchSegment(server: PostgresServer): Promise<string> {
  try {
    await server.query("select pg_catalog.txid_current()::text");
    const [row] = await server.query(
      "select pg_catalog.pg_walfile_name(pg_catalog.pg_switch_wal()) as name",
    );
    return String(row?.["name"]);
  } catch (error) {
    if (!(error instanceof PostgresError)) throw error;
    throw new PostgresError(
      `the probe cannot end the current segment: ${error.message}`,
      "run once as a superuser: GRANT EXECUTE ON FUNCTION pg_catalog.pg_switch_wal() TO <the role>",
      { cause: error },
    );
  }
}

import { RunFailedError } from "../../domain/errors.ts";
import { archiveBacklog } from "../../engine/wal/archive_backlog.ts";
import type { Caller } from "./archiver_caller.ts";
import {
  openSpool,
  openStoreOf,
  prepareRepository,
  pushSeal,
  type SessionInput,
  systemIdentifierOf,
} from "./wal_session.ts";

/**
 * `backup incremental` as an archive command without `%p`: archives everything that waits, and
 * returns only when all of it is stored. Asks the server nothing: it may be starting, or waiting
 * for this very command before it shuts down.
 *
 * @throws {RunFailedError} when it cannot be told who calls.
 */
export async function walBacklog(input: SessionInput, caller: Caller): Promise<void> {
  if (caller !== "archiver") throw unclear();
  const { settings, env, signal, log } = input;
  const systemIdentifier = systemIdentifierOf(".");
  const spool = openSpool(settings, { env, systemIdentifier });
  spool?.claim();
  const place = { cluster: settings.cluster, systemIdentifier };
  const opened = await openStoreOf(input);
  void opened.warm();
  const codec = { algorithm: "zstd", level: settings.zstdLevel } as const;
  const { conditionalPut } = await prepareRepository(opened, {
    ...{ settings, env, place, spool, takeOver: false, signal, log },
  });
  const seal = await pushSeal(settings, {
    ...{ store: opened.store, spool, dataDirectory: ".", signal },
  });
  const { pushed, confirmed } = await archiveBacklog(
    { store: opened.store, place, codec, conditionalPut, spool, ...seal },
    { walFolder: "pg_wal", signal },
  );
  log.write("info", "wal.pushed", {
    message: `${pushed} WAL files stored in ${opened.store.location}, ${confirmed} were already`,
    files: pushed,
  });
}

function unclear(): RunFailedError {
  return new RunFailedError(
    '"backup incremental" runs in a data directory, and not by its server\'s archiver',
    "as archive_command, write 'backupctl wal-push %p'; for a backup, run it elsewhere",
  );
}

import type { BackupManifest } from "../catalog/catalog.ts";
import { UsageError } from "../domain/errors.ts";
import type { RecoveryRequest } from "../engine/engine.ts";
import type { PostmasterFile } from "../engine/recovery/postmaster_state.ts";
import type { StartedServer } from "../engine/recovery/start_restored.ts";
import type { ClientPrograms } from "../postgres/postgres.ts";
import type { Context } from "./context.ts";
import { serverEnvironment } from "./own_command.ts";
import { openServer } from "./open_parts.ts";
import type { Session } from "./session.ts";

/** Before anything is restored: whether the server could be started at all. */
export async function checkStart(backup: BackupManifest, programs: ClientPrograms): Promise<void> {
  if (backup.method !== "physical") {
    throw new UsageError(
      `--start goes with a physical backup, and ${backup.id} is a logical one`,
      "leave --start out, or name a physical backup with --backup-id",
    );
  }
  const { findServerControl } = await import("../engine/recovery/start_restored.ts");
  await findServerControl(programs, backup.postgresVersion);
}

/** Starts what was restored and waits until it is where its recovery should end. */
export async function startServer(
  { backup, dataDirectory, request }: {
    readonly backup: BackupManifest;
    readonly dataDirectory: string;
    readonly request: RecoveryRequest | undefined;
  },
  { programs, session, context }: {
    readonly programs: ClientPrograms;
    readonly session: Session;
    readonly context: Context;
  },
): Promise<StartedServer> {
  const { startRestored } = await import("../engine/recovery/start_restored.ts");
  session.progress.begin("starting the restored server");
  return await startRestored(programs, {
    dataDirectory,
    postgresVersion: backup.postgresVersion,
    ...(request && { request }),
    env: serverEnvironment(context.env),
    uid: Deno.uid(),
    isPaused,
    clock: context.clock,
    signal: context.signal,
  });
}

/** Over its Unix socket, where local roles are usually trusted; a server that refuses says nothing. */
async function isPaused({ port, socketFolder }: PostmasterFile): Promise<boolean> {
  if (port === undefined || socketFolder === undefined) return false;
  const connection = { host: socketFolder, port, user: "postgres", database: "postgres" };
  try {
    await using server = await openServer({ ...connection, sslmode: "disable" });
    const [row] = await server.query("select pg_catalog.pg_is_wal_replay_paused() as paused");
    return row?.["paused"] === true;
  } catch {
    return false;
  }
}

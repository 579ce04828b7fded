import type { Config } from "../config/config.ts";
import { counted } from "../domain/counted.ts";
import { formatSeconds } from "../domain/bytes.ts";
import { BackupctlError } from "../domain/errors.ts";
import type { Archiving, WalBacklog } from "../engine/archiving.ts";
import type { PostgresServer, ServerIdentity } from "../postgres/postgres.ts";
import { attempt, type Check, ok, warning } from "./checks.ts";
import type { Context } from "./context.ts";
import { openServer, openStore, resolveServer } from "./open_parts.ts";
import { withoutStderr } from "./terminal.ts";
import { probeArchiving } from "./probe_archiving.ts";

const NAME = "archiving";
const BACKLOG = "WAL backlog";

/** How the checks of archiving are done. */
export interface ArchivingChecks {
  /** Sends a segment the whole way. */
  readonly deep: boolean;
}

/**
 * The settings, what the archiver last did, what waits and, when asked for, one segment's way into
 * the repository. Nothing when the server cannot be reached, which another check says.
 */
export async function* checkArchiving(
  config: Config,
  context: Context,
  { deep }: ArchivingChecks,
): AsyncGenerator<Check> {
  const { readArchiving, readBacklog } = await import("../engine/archiving.ts");
  const reached = await reachServer(config, context);
  if (!reached) return;
  await using server = reached.server;
  const { identity } = reached;
  let archiving: Archiving | undefined;
  yield await attempt(NAME, async () => {
    archiving = await readArchiving(server);
    return await settings(server, { archiving, identity, config });
  });
  const mode = archiving?.mode;
  if (!archiving || mode === undefined || mode === "off") {
    if (deep) yield notProbed("the server does not archive its WAL");
    return;
  }
  const elsewhere = await archivesElsewhere(archiving, { config, context, identity });
  yield archiverCheck(archiving, elsewhere);
  const backlog = await readBacklog(server).catch(() => undefined);
  yield backlogCheck(backlog, { config, now: context.clock.now() });
  if (!deep) return;
  if (identity.inRecovery && mode !== "always") {
    yield notProbed("the server is a standby, which does not archive");
    return;
  }
  yield await attempt("archiving probe", async () => {
    const store = await openStore(config);
    try {
      return await probeArchiving(server, { config, context, store, identity });
    } finally {
      await store.close?.();
    }
  });
}

/** Undefined when it cannot be reached. */
async function reachServer(
  config: Config,
  context: Context,
): Promise<{ readonly server: PostgresServer; readonly identity: ServerIdentity } | undefined> {
  const quiet = { ...context, terminal: withoutStderr(context.terminal) };
  let server: PostgresServer | undefined;
  try {
    server = await openServer(await resolveServer(config, quiet));
    return { server, identity: await server.identity() };
  } catch (error) {
    await server?.close();
    if (error instanceof BackupctlError) return undefined;
    throw error;
  }
}

function notProbed(why: string): Check {
  return warning("archiving probe", `not done: ${why}`, "point-in-time recovery needs it");
}

async function settings(
  server: PostgresServer,
  { archiving, identity, config }: {
    readonly archiving: Archiving;
    readonly identity: ServerIdentity;
    readonly config: Config;
  },
): Promise<Check> {
  const { mode, command, byBackupctl } = archiving;
  const level = (await server.settings(["wal_level"])).get("wal_level");
  if (config.backup.method === "logical" && (mode === undefined || mode === "off")) {
    return ok(NAME, "off; backups by pg_dump, which the configuration asks for, do not need it");
  }
  if (mode === undefined) {
    return warning(
      NAME,
      "this role may not see how the server archives",
      "GRANT pg_monitor to the role",
    );
  }
  if (mode === "off" || level === "minimal") {
    const found = level === "minimal" ? "wal_level is minimal" : "archive_mode is off";
    return warning(
      NAME,
      `${found}: only the moments of backups can be restored`,
      "set wal_level = replica, archive_mode = on and archive_command = 'backupctl wal-push %p', " +
        "then restart PostgreSQL",
    );
  }
  if (command === undefined || command === "" || command === "(disabled)") {
    return warning(
      NAME,
      "archive_command is empty or hidden: WAL collects in pg_wal",
      "set archive_command = 'backupctl wal-push %p'",
    );
  }
  const standby = identity.inRecovery && mode === "on"
    ? "; on a standby only mode always does"
    : "";
  if (byBackupctl) return ok(NAME, `archive_mode is ${mode}, by backupctl${standby}`);
  return warning(
    NAME,
    `archive_mode is ${mode}, by another command than backupctl's`,
    "set archive_command = 'backupctl wal-push %p' for recovery from this repository",
  );
}

/**
 * Whether backupctl archives, but not into this repository. A repository that cannot be asked is
 * another check's failure; what a standby counted while it was a primary may be long pruned.
 */
async function archivesElsewhere(
  archiving: Archiving,
  { config, context, identity: { systemIdentifier, inRecovery } }: {
    readonly config: Config;
    readonly context: Context;
    readonly identity: ServerIdentity;
  },
): Promise<boolean> {
  if (!archiving.byBackupctl || (inRecovery && archiving.mode !== "always")) return false;
  const { isArchivedElsewhere } = await import("../engine/archiving.ts");
  try {
    const store = await openStore(config);
    try {
      const place = { cluster: config.cluster, systemIdentifier };
      return await isArchivedElsewhere(store, archiving, { place, signal: context.signal });
    } finally {
      await store.close?.();
    }
  } catch (error) {
    if (error instanceof BackupctlError) return false;
    throw error;
  }
}

/** A failure counts until the next success. */
function archiverCheck(
  { lastArchived, lastArchivedAt, lastFailed, lastFailedAt, failedCount }: Archiving,
  elsewhere: boolean,
): Check {
  const name = "archiver";
  const failing = lastFailedAt !== undefined &&
    (lastArchivedAt === undefined || lastFailedAt > lastArchivedAt);
  if (failing) {
    return {
      name,
      state: "failed",
      status: 1,
      message: `${lastFailed} cannot be archived since ${time(lastFailedAt)}, ` +
        `${counted(failedCount, "attempt")} failed`,
      hint: "the server's log has the reason; try the archive_command by hand as its user",
    };
  }
  if (lastArchived === undefined) return ok(name, "nothing was to be archived yet");
  if (elsewhere) {
    return warning(
      name,
      `the server archived ${lastArchived}, which is not in this repository`,
      "is archive_command for another --config, --cluster or repository? Once that is mended, " +
        "test --deep sends a segment",
    );
  }
  const failures = failedCount === 0 ? "" : `, ${failedCount} earlier attempts failed`;
  return ok(name, `last archived ${lastArchived} at ${time(lastArchivedAt)}${failures}`);
}

function backlogCheck(
  backlog: WalBacklog | undefined,
  { config, now }: { readonly config: Config; readonly now: Date },
): Check {
  if (!backlog) {
    const hint = "GRANT pg_monitor to the role, to see whether archiving keeps up";
    return warning(BACKLOG, "this role may not see what waits to be archived", hint);
  }
  const limit = config.alerts.rules.wal_lag / 1000;
  const age = backlog.oldestAt && Math.max(0, (now.getTime() - backlog.oldestAt.getTime()) / 1000);
  const figures = [
    { label: "wal_lag", value: Math.round(age ?? 0), unit: "s", warn: limit },
    { label: "wal_backlog", value: backlog.files, unit: "" },
  ] as const;
  if (age === undefined) return { ...ok(BACKLOG, "no file waits"), figures };
  const text = backlog.files === 1
    ? `1 file waits, for ${formatSeconds(age)}`
    : `${backlog.files} files wait, the oldest for ${formatSeconds(age)}`;
  if (age <= limit) return { ...ok(BACKLOG, text), figures };
  const hint = `more than ${formatSeconds(limit)} (wal_lag); is the repository reachable, ` +
    "and the archive_command in order?";
  return { ...warning(BACKLOG, text, hint), figures, stale: true };
}

function time(date: Date | undefined): string {
  return date ? date.toISOString().replace(/\.\d+Z$/, "Z") : "an unknown time";
}

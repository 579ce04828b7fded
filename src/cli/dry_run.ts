import type { BackupManifest } from "../catalog/catalog.ts";
import { formatBytes } from "../domain/bytes.ts";
import { NothingMatchesError } from "../domain/errors.ts";
import type { FullBackupOptions } from "../engine/engine.ts";
import { type Context, printResult } from "./context.ts";
import {
  openBaseBackups,
  openCatalog,
  openPrograms,
  openServer,
  openStore,
  resolveServer,
} from "./open_parts.ts";
import type { Session } from "./session.ts";

/**
 * Checks everything that a backup would need, without storing anything, and says what it would do.
 *
 * @throws {BackupctlError} what the backup would fail with.
 */
export async function dryRun(
  options: FullBackupOptions,
  { session, context, parent }: {
    readonly session: Session;
    readonly context: Context;
    /** An increment would be taken on top of it. */
    readonly parent?: BackupManifest;
  },
): Promise<number> {
  const { config } = session.loaded;
  const connection = await resolveServer(config, context);
  const store = await openStore(config);
  const catalog = await openCatalog(store, config);
  await using server = await openServer(connection);
  const identity = await server.identity();
  const all = await server.databases();
  const unknown = options.databases?.find((name) => !all.some((one) => one.name === name));
  if (unknown !== undefined) {
    throw new NothingMatchesError(
      `there is no database ${JSON.stringify(unknown)} on ${server.address}`,
      `it has ${all.map(({ name }) => name).join(", ")}`,
    );
  }
  if (options.method === "physical") {
    await (await openBaseBackups(connection)).identify({ signal: context.signal });
  } else {
    const programs = await openPrograms(config, context);
    const major = Math.floor(identity.version / 10_000);
    for (const name of ["pg_dump", "pg_dumpall", "pg_restore"] as const) {
      await programs.find(name, major);
    }
  }
  // Whether the store answers, and whether a repository is there or may be begun.
  await catalog.backups({ mayBeNone: true, withObjects: false, signal: context.signal });
  await store.close?.();
  const chosen = all.filter(({ name }) => options.databases?.includes(name) ?? true);
  const bytes = chosen.reduce((sum, { sizeBytes }) => sum + (sizeBytes ?? 0), 0);
  const names = chosen.map(({ name }) => name);
  const from = `PostgreSQL ${identity.versionText} at ${server.address}`;
  const what = parent ? `an increment on top of ${parent.id}` : `a ${options.method} full backup`;
  session.progress[Symbol.dispose]();
  printResult(context, {
    json: () => ({
      schema: "backupctl.backup_plan/1",
      cluster: config.cluster,
      method: options.method,
      kind: parent ? "incremental" : "full",
      parent_id: parent?.id ?? null,
      repository: catalog.location,
      databases: names,
      database_bytes: bytes,
      system_identifier: identity.systemIdentifier,
      postgres_version: identity.version,
    }),
    text: () =>
      `dry run: nothing was stored\n` +
      `  would take  ${what} with ${options.codec.algorithm}:${options.codec.level}\n` +
      `  of          ${from}\n` +
      `  databases   ${names.join(", ")} (${formatBytes(bytes)} on the server)\n` +
      `  into        ${catalog.location}\n`,
  });
  return 0;
}

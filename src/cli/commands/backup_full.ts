import type { BackupManifest } from "../../catalog/catalog.ts";
import type { BackupMethod } from "../../domain/backup_id.ts";
import { formatBytes, formatSeconds } from "../../domain/bytes.ts";
import { UsageError } from "../../domain/errors.ts";
import type { FullBackupOptions } from "../../engine/engine.ts";
import { backupDocument, ratio } from "../backup_document.ts";
import { type Command, type Context, printResult } from "../context.ts";
import type { CommandOf } from "../grammar/grammar.ts";
import {
  openBaseBackups,
  openCatalog,
  openCodecs,
  openPrograms,
  openServer,
  openStore,
  resolveServer,
} from "../open_parts.ts";
import { openSession, type Session } from "../session.ts";
import { trackRun } from "../track_run.ts";
import { VERSION } from "../version.ts";

type Line = CommandOf<"backup full">;

/** Takes a full backup. */
export const backupFull: Command<Line> = async (line, context) => {
  await using session = await openSession(context, "backup");
  const method = chooseMethod(line, session);
  const { parseCodec } = await import("../../codec/codec.ts");
  const { compression } = session.loaded.config;
  const options: FullBackupOptions = {
    method,
    codec: parseCodec(method === "physical" ? compression.pages : compression.dumps),
    ...(line.label !== undefined && { label: line.label }),
    ...(line.annotations.length > 0 && { annotations: Object.fromEntries(line.annotations) }),
    ...(line.databases.length > 0 && { databases: line.databases }),
    ...(method === "physical" && { fastCheckpoint: line.fastCheckpoint }),
    ...(method === "physical" && line.maxRate !== undefined && { maxRateKb: line.maxRate }),
    signal: context.signal,
  };
  if (line.dryRun) {
    const { dryRun } = await import("../dry_run.ts");
    return await dryRun(options, { session, context });
  }
  const manifest = await trackRun(session, context, {
    task: "backup",
    operation: "backup full",
    what: `${method} backup of cluster ${session.loaded.config.cluster}`,
    work: () => take(options, { line, session, context }),
    result: (made) => ({ backup: made, rawBytes: made.rawBytes, storedBytes: made.storedBytes }),
  });
  if (!line.quiet || line.output === "json") print(manifest, { session, context });
  return 0;
};

/** The method, with a line that says what the other one would give. @throws {UsageError} */
function chooseMethod(line: Line, { loaded, progress }: Session): BackupMethod {
  const asked = line.method ?? loaded.config.backup.method;
  if (asked === "physical" && line.databases.length > 0) {
    throw new UsageError(
      "--database does not go with a physical backup, which holds the whole cluster",
      "take a logical backup of single databases: --method logical",
    );
  }
  const physicalFlag = line.maxRate !== undefined
    ? "--max-rate"
    : line.fastCheckpoint
    ? "--fast-checkpoint"
    : undefined;
  if (asked !== "physical" && physicalFlag !== undefined) {
    throw new UsageError(
      `${physicalFlag} goes with a physical backup only, and this one would be logical`,
      "add --method physical, or leave the flag out",
    );
  }
  if (asked !== "auto") return asked;
  progress.note("method logical; --method physical copies the whole cluster by a base backup");
  return "logical";
}

async function take(
  options: FullBackupOptions,
  { line, session, context }: {
    readonly line: Line;
    readonly session: Session;
    readonly context: Context;
  },
): Promise<BackupManifest> {
  const { config } = session.loaded;
  const connection = await resolveServer(config, context);
  const store = await openStore(config, session.log);
  await using server = await openServer(connection);
  using codecs = await openCodecs(config, line.jobs);
  const { BackupEngine } = await import("../../engine/engine.ts");
  const engine = new BackupEngine({
    repository: await openCatalog(store, config),
    store,
    codecs,
    server,
    connection,
    baseBackups: await openBaseBackups(connection),
    programs: await openPrograms(config, context),
    clock: context.clock,
    progress: session.progress,
    toolVersion: VERSION,
    host: Deno.hostname(),
  });
  try {
    return await engine.full(options);
  } finally {
    await store.close?.();
  }
}

function print(
  manifest: BackupManifest,
  { session, context }: { readonly session: Session; readonly context: Context },
): void {
  const { loaded: { config: { cluster } } } = session;
  printResult(context, {
    json: () => ({ schema: "backupctl.backup/1", cluster, backup: backupDocument(manifest) }),
    text: () => {
      const { id, method, kind, label, rawBytes, storedBytes, codec } = manifest;
      const seconds = backupDocument(manifest).duration_seconds;
      const labelled = label === null ? "" : `, label ${label}`;
      const compressed = `${ratio(manifest)} by ${codec.algorithm}:${codec.level}`;
      return `backup ${id} is complete (${method} ${kind}${labelled})\n` +
        `  ${formatBytes(rawBytes)} in ${formatSeconds(seconds)}, ` +
        `stored as ${formatBytes(storedBytes)}, ${compressed}\n`;
    },
  });
}

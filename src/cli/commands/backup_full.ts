import type { BackupManifest } from "../../catalog/catalog.ts";
import type { BackupMethod } from "../../domain/backup_id.ts";
import { formatBytes, formatSeconds } from "../../domain/bytes.ts";
import { UsageError } from "../../domain/errors.ts";
import type { BackupParts, FullBackupOptions } from "../../engine/engine.ts";
import { backupDocument, ratio } from "../backup_document.ts";
import { type Command, type Context, printResult } from "../context.ts";
import type { CommandOf } from "../grammar/grammar.ts";
import {
  openBaseBackups,
  openCatalog,
  openCodecs,
  openFileBackups,
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
  const asked = askedMethod(line, session);
  const run = { line, session, context };
  if (line.dryRun) {
    const { dryRun } = await import("../dry_run.ts");
    return await withParts(run, async (parts) => {
      const method = await resolveMethod(asked, { ...run, parts });
      return await dryRun(await backupOptions(method, run), { session, context });
    });
  }
  const manifest = await trackRun(session, context, {
    task: "backup",
    operation: "backup full",
    what: `${
      asked === "auto" ? "" : `${asked} `
    }backup of cluster ${session.loaded.config.cluster}`,
    work: () => withParts(run, (parts) => take(asked, { ...run, parts })),
    result: (made) => ({ backup: made, rawBytes: made.rawBytes, storedBytes: made.storedBytes }),
  });
  if (!line.quiet || line.output === "json") print(manifest, { session, context });
  return 0;
};

interface Run {
  readonly line: Line;
  readonly session: Session;
  readonly context: Context;
}

type RunWithParts = Run & { readonly parts: BackupParts };

/** What the flags and the configuration ask for. @throws {UsageError} when they contradict. */
function askedMethod(line: Line, { loaded }: Session): "auto" | BackupMethod {
  const asked = line.method ?? loaded.config.backup.method;
  if (line.databases.length === 0) {
    if (asked === "logical") refusePhysicalFlags(line);
    return asked;
  }
  if (asked === "physical") {
    throw new UsageError(
      "--database does not go with a physical backup, which holds the whole cluster",
      "take a logical backup of single databases: --method logical",
    );
  }
  refusePhysicalFlags(line);
  return "logical";
}

/** @throws {UsageError} */
function refusePhysicalFlags(line: Line): void {
  const flag = line.maxRate !== undefined
    ? "--max-rate"
    : line.waitWal !== undefined
    ? "--wait-wal"
    : line.source !== undefined
    ? "--source"
    : line.failOnCorruption
    ? "--fail-on-corruption"
    : line.fastCheckpoint
    ? "--fast-checkpoint"
    : undefined;
  if (flag === undefined) return;
  throw new UsageError(
    `${flag} goes with a physical backup only, and this one would be logical`,
    "add --method physical, or leave the flag out",
  );
}

/** The method, with a line that says why and what the other one would take. */
async function resolveMethod(
  asked: "auto" | BackupMethod,
  { line, session, context: { signal }, parts: { server, store } }: RunWithParts,
): Promise<BackupMethod> {
  if (asked !== "auto") return asked;
  const { chooseMethod } = await import("../../engine/choose_method.ts");
  const { systemIdentifier } = await server.identity();
  const place = { cluster: session.loaded.config.cluster, systemIdentifier };
  const { method, reason } = await chooseMethod(server, { store, place, signal });
  session.progress.note(`method ${reason}`);
  if (method === "logical") refusePhysicalFlags(line);
  return method;
}

async function backupOptions(
  method: BackupMethod,
  { line, session, context }: Run,
): Promise<FullBackupOptions> {
  const { parseCodec } = await import("../../codec/codec.ts");
  const { compression, backup } = session.loaded.config;
  return {
    method,
    codec: parseCodec(method === "physical" ? compression.pages : compression.dumps),
    ...(line.label !== undefined && { label: line.label }),
    ...(line.annotations.length > 0 && { annotations: Object.fromEntries(line.annotations) }),
    ...(line.databases.length > 0 && { databases: line.databases }),
    ...(method === "physical" && {
      fastCheckpoint: line.fastCheckpoint,
      waitWal: line.waitWal ?? backup.wait_wal,
      ...(line.maxRate !== undefined && { maxRateKb: line.maxRate }),
      failOnCorruption: line.failOnCorruption,
    }),
    signal: context.signal,
  };
}

async function take(
  asked: "auto" | BackupMethod,
  run: RunWithParts,
): Promise<BackupManifest> {
  const { BackupEngine } = await import("../../engine/engine.ts");
  const method = await resolveMethod(asked, run);
  const options = await backupOptions(method, run);
  if (method === "logical") return await new BackupEngine(run.parts).full(options);
  const source = await resolveSource(run);
  return await new BackupEngine(run.parts).full({ ...options, source });
}

/** Where a physical backup reads, with a line that says why. */
async function resolveSource(
  { line, session, parts: { fileBackups } }: RunWithParts,
): Promise<"stream" | "files"> {
  if (line.source !== undefined && line.source !== "auto") return line.source;
  if (!fileBackups) return "stream";
  const { chooseSource } = await import("../../engine/choose_source.ts");
  const { source, reason } = await chooseSource(fileBackups);
  session.progress.note(`source ${reason}`);
  return source;
}

async function withParts<Result>(
  { line, session, context }: Run,
  work: (parts: BackupParts) => Promise<Result>,
): Promise<Result> {
  const { config } = session.loaded;
  if (config.encryption) (await import("../seals.ts")).requireRecipients(config);
  const connection = await resolveServer(config, context);
  const store = await openStore(config, session.log);
  await using server = await openServer(connection);
  using codecs = await openCodecs(config, line.jobs);
  try {
    return await work({
      repository: await openCatalog(store, config),
      store,
      codecs,
      server,
      connection,
      baseBackups: await openBaseBackups(connection),
      fileBackups: await openFileBackups(config, connection),
      programs: await openPrograms(config, context),
      clock: context.clock,
      progress: session.progress,
      toolVersion: VERSION,
      host: Deno.hostname(),
    });
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

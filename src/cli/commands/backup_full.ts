import type { BackupManifest } from "../../catalog/catalog.ts";
import type { BackupMethod } from "../../domain/backup_id.ts";
import { formatBytes, formatSeconds, GiB, MiB } from "../../domain/bytes.ts";
import type { BackupParts, FullBackupOptions, ParentChoice } from "../../engine/engine.ts";
import { askedMethod } from "../asked_method.ts";
import { backupDocument, ratio } from "../backup_document.ts";
import { type Command, type Context, printResult } from "../context.ts";
import type { CommandOf } from "../grammar/grammar.ts";
import { parseKeep, pinTaken } from "../note_change.ts";
import { openLeases } from "../open_leases.ts";
import {
  openBaseBackups,
  openCatalog,
  openCodecs,
  openFileBackups,
  openPrograms,
  openServer,
  openSnapshots,
  openStore,
  resolveServer,
} from "../open_parts.ts";
import { openSession, type Session } from "../session.ts";
import { trackRun } from "../track_run.ts";
import { VERSION } from "../version.ts";

type Line = CommandOf<"backup full"> | CommandOf<"backup incremental">;

/** Takes a full backup, or an increment where one is possible. */
export const backupFull: Command<Line> = async (line, context) => {
  await using session = await openSession(context, "backup");
  const asked = askedMethod(line, session);
  const pin = line.keep === undefined ? undefined : parseKeep(line.keep, context.clock.now());
  const run = { line, session, context };
  if (line.dryRun) {
    const { dryRun } = await import("../dry_run.ts");
    return await withParts(run, async (parts) => {
      const choice = await chooseIncrement({ ...run, parts });
      if (choice && "parent" in choice) {
        const options = await backupOptions("physical", run);
        return await dryRun(options, { session, context, parent: choice.parent });
      }
      const method = await resolveMethod(asked, { ...run, parts });
      return await dryRun(await backupOptions(method, run), { session, context });
    });
  }
  const { manifest, because } = await trackRun(session, context, {
    task: "backup",
    operation: line.command,
    what: `${
      asked === "auto" ? "" : `${asked} `
    }backup of cluster ${session.loaded.config.cluster}`,
    work: () => withParts(run, (parts) => take(asked, { ...run, parts })),
    result: ({ manifest: { rawBytes, storedBytes }, manifest: backup }) => {
      return { backup, rawBytes, storedBytes };
    },
  });
  if (!line.quiet || line.output === "json") print(manifest, { because, session, context });
  if (pin) await pinTaken(manifest, { pin, context });
  return 0;
};

/** What was taken. */
interface Taken {
  readonly manifest: BackupManifest;
  /** Why it is a full one although an increment was asked for. */
  readonly because?: string;
}

interface Run {
  readonly line: Line;
  readonly session: Session;
  readonly context: Context;
}

type RunWithParts = Run & { readonly parts: BackupParts };

/** The method, with a line that says why and what the other one would take. */
async function resolveMethod(
  asked: "auto" | BackupMethod,
  { session, context: { signal }, parts: { server, store } }: RunWithParts,
): Promise<BackupMethod> {
  if (asked !== "auto") return asked;
  const { chooseMethod } = await import("../../engine/choose_method.ts");
  const { systemIdentifier } = await server.identity();
  const place = { cluster: session.loaded.config.cluster, systemIdentifier };
  const { method, reason, warns } = await chooseMethod(server, { store, place, signal });
  if (warns) session.log.warning("backup.note", `method ${reason}`, { cluster: place.cluster });
  else session.progress.note(`method ${reason}`);
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
    ...(method === "logical" && { split: splitOf(line.jobs ?? backup.jobs) }),
    ...(method === "physical" && {
      fastCheckpoint: line.fastCheckpoint,
      waitWal: line.waitWal ?? backup.wait_wal,
      ...(line.maxRate !== undefined && { maxRateKb: line.maxRate }),
      failOnCorruption: line.failOnCorruption,
      fromStandby: line.fromStandby,
      resume: !line.noResume,
    }),
    signal: context.signal,
  };
}

/** A large database is dumped in several streams; when a number is given, a smaller one is, too. */
function splitOf(jobs: number | "auto"): NonNullable<FullBackupOptions["split"]> {
  if (jobs !== "auto") return { streams: jobs, fromBytes: 128 * MiB };
  return { streams: Math.min(navigator.hardwareConcurrency, 4), fromBytes: GiB };
}

async function take(
  asked: "auto" | BackupMethod,
  run: RunWithParts,
): Promise<Taken> {
  const { BackupEngine } = await import("../../engine/engine.ts");
  const engine = new BackupEngine(run.parts);
  const choice = await chooseIncrement(run);
  if (choice && "parent" in choice) {
    const options = await backupOptions("physical", run);
    const { source } = choice.source;
    const taken = await engine.incremental({ ...options, source, on: choice });
    if (taken.because !== undefined) tellFull(taken.because, run);
    return taken;
  }
  const because = choice && { because: choice.because };
  const method = await resolveMethod(asked, run);
  const options = await backupOptions(method, run);
  if (method === "logical") return { manifest: await engine.full(options) };
  const source = await resolveSource(run);
  return { manifest: await engine.full({ ...options, source }), ...because };
}

/** What an increment would stand on, with a line that says why there is none; undefined for a full one. */
async function chooseIncrement(run: RunWithParts): Promise<ParentChoice | undefined> {
  const { line, session, context: { signal }, parts } = run;
  if (line.command !== "backup incremental") return undefined;
  const { BackupEngine } = await import("../../engine/engine.ts");
  const source = line.fromStandby ? "stream" : line.source;
  const only = source === "stream" || source === "files" ? source : undefined;
  const choice = await new BackupEngine(parts).parent({
    ...{ maxChain: session.loaded.config.backup.max_chain, signal },
    ...(only && { source: only }),
  });
  if ("because" in choice) tellFull(choice.because, run);
  return choice;
}

function tellFull(because: string, { session }: Run): void {
  session.progress.note(`a full backup instead of an increment: ${because}`);
}

/** Where a physical backup reads, with a line that says why. */
async function resolveSource(
  { line, session, parts: { fileBackups } }: RunWithParts,
): Promise<"stream" | "files"> {
  if (line.source !== undefined && line.source !== "auto") return line.source;
  if (line.fromStandby) return "stream";
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
  if (config.signing) await (await import("../signing.ts")).requireSigningKey(config);
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
      snapshots: await openSnapshots(connection),
      programs: await openPrograms(config, context),
      clock: context.clock,
      progress: session.progress,
      toolVersion: VERSION,
      host: Deno.hostname(),
      leases: await openLeases(store, config),
    });
  } finally {
    await store.close?.();
  }
}

function print(
  manifest: BackupManifest,
  { because, session, context }: {
    readonly because: string | undefined;
    readonly session: Session;
    readonly context: Context;
  },
): void {
  const { loaded: { config: { cluster } } } = session;
  printResult(context, {
    json: () => ({
      schema: "backupctl.backup/1",
      cluster,
      backup: backupDocument(manifest),
      full_because: because ?? null,
      taken_over: takenOver(manifest),
    }),
    text: () => {
      const { id, method, kind, parentId, label, rawBytes, storedBytes, codec } = manifest;
      const seconds = backupDocument(manifest).duration_seconds;
      const labelled = label === null ? "" : `, label ${label}`;
      const compressed = `${ratio(manifest)} by ${codec.algorithm}:${codec.level}`;
      return `backup ${id} is complete (${method} ${kind}${labelled})\n` +
        `  ${formatBytes(rawBytes)} in ${formatSeconds(seconds)}, ` +
        `stored as ${formatBytes(storedBytes)}, ${compressed}\n` +
        (parentId === null ? "" : `  on top of ${parentId}\n`) + resumeLine(manifest) +
        damageLine(manifest);
    },
  });
}

function takenOver({ takenOver }: BackupManifest) {
  if (!takenOver) return null;
  const { objects, storedBytes, from } = takenOver;
  return { objects, stored_bytes: storedBytes, from };
}

function resumeLine({ takenOver }: BackupManifest): string {
  if (!takenOver) return "";
  const { objects, storedBytes, from } = takenOver;
  const what = objects === 1 ? "1 object" : `${objects} objects`;
  return `  ${formatBytes(storedBytes)} of it (${what}) taken over from ${from.join(", ")}\n`;
}

function damageLine({ damagedPages }: BackupManifest): string {
  if (!damagedPages) return "";
  const { count, files: [first] } = damagedPages;
  const where = first
    ? `, ${first.path} block ${first.blocks[0]}${count > 1 ? " and others" : ""}`
    : "";
  return `  with damage: wrong page checksums: ${count}${where}\n`;
}

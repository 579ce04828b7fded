import { type AbandonedChunk, findAbandonedChunks } from "../../../catalog/catalog.ts";
import { formatBytes } from "../../../domain/bytes.ts";
import { StorageError } from "../../../domain/errors.ts";
import type { DataFile } from "../../../postgres/postgres.ts";
import type { BackupParts, BackupRun } from "../../parts.ts";
import { planResume, type ResumePlan } from "./plan_resume.ts";

/** Looks for chunks of runs that were cut off, and deals the files into them. */
export async function resumableChunks(
  parts: BackupParts,
  { run, files, signal }: {
    readonly run: BackupRun;
    readonly files: readonly DataFile[];
    readonly signal: AbortSignal;
  },
): Promise<ResumePlan> {
  const { codecs, progress } = parts;
  const { extension } = codecs.codec(run.options.codec);
  const abandoned = await findThem(parts, { run, signal });
  const plan = planResume(files, { abandoned, extension });
  const found = plan.chunks.map(({ candidate }) => candidate);
  if (found.length === 0) return plan;
  const ids = [...new Set(found.map(({ backupId }) => backupId))].sort();
  const bytes = found.reduce((sum, { record }) => sum + record.storedBytes, 0);
  progress.note(
    `${formatBytes(bytes)} that ${ids.join(", ")} stored without coming to an end are compared, ` +
      "and taken over where they are equal",
  );
  return plan;
}

/** Nothing, when nobody can tell: a backup does not need it. */
async function findThem(
  { store, repository: { cluster }, progress }: BackupParts,
  { run: { slot, identity }, signal }: {
    readonly run: BackupRun;
    readonly signal: AbortSignal;
  },
): Promise<readonly AbandonedChunk[]> {
  const { systemIdentifier } = identity;
  try {
    const place = { cluster, systemIdentifier, backupId: slot.id };
    return await findAbandonedChunks(store, { ...place, signal });
  } catch (error) {
    if (!(error instanceof StorageError)) throw error;
    progress.note(`nothing is taken over from runs that were cut off: ${error.message}`);
    return [];
  }
}

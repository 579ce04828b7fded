import type { BackupManifest } from "../../../catalog/catalog.ts";
import { IntegrityError, KeyError } from "../../../domain/errors.ts";
import type { ServerIdentity } from "../../../postgres/postgres.ts";
import type { BackupParts, IncrementalSource } from "../../parts.ts";
import { fileIncrements } from "../files/file_increments.ts";
import { readFileList } from "./file_list.ts";
import { serverIncrements } from "./server_increments.ts";
import { storedManifest } from "./stored_manifest.ts";

/** The ways to find what changed, the best first. */
const SOURCES: readonly IncrementalSource[] = [serverIncrements, fileIncrements];

/** What an increment would be. */
export interface SourceQuestion {
  readonly identity: ServerIdentity;
  readonly parent: BackupManifest;
  /** Only this way; any when absent. */
  readonly source?: "stream" | "files";
  readonly signal?: AbortSignal;
}

/** The first way that is open, or why all of them are closed. */
export async function openIncrementalSource(
  parts: BackupParts,
  { source: wanted, signal, ...about }: SourceQuestion,
): Promise<IncrementalSource | { readonly because: string }> {
  const fault = await manifestFault(parts, about.parent, signal ? { signal } : {});
  if (fault !== undefined) return { because: fault };
  const reasons: string[] = [];
  for (const source of SOURCES) {
    if (wanted !== undefined && source.source !== wanted) continue;
    const reason = await source.whyNot(parts, about);
    if (reason === undefined) return source;
    reasons.push(reason);
  }
  if (reasons.length > 0) return { because: reasons.join("; ") };
  return { because: `the source ${wanted} finds no changes in this version` };
}

/** Why PostgreSQL's list of the parent's files, which every way starts from, cannot be read. */
async function manifestFault(
  parts: BackupParts,
  parent: BackupManifest,
  reading: { readonly signal?: AbortSignal },
): Promise<string | undefined> {
  try {
    await readFileList(storedManifest(parts, parent, reading));
    return undefined;
  } catch (error) {
    if (!(error instanceof IntegrityError || error instanceof KeyError)) throw error;
    return `the backup_manifest of ${parent.id} cannot be read: ${error.message}`;
  }
}

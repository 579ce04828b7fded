import { type CheckOutcome, recordCheck } from "../../catalog/checks.ts";
import { WAL_SUBJECT } from "../../catalog/wal_checks.ts";
import type { ObjectStore } from "../../storage/storage.ts";
import { VERSION } from "../version.ts";
import type { Findings } from "./find_damage.ts";

/** Faults that an object of the repository lists; the run that found them said all. */
const MOST_FAULTS = 1000;

/** When and how it was looked at. */
export interface Look {
  readonly cluster: string;
  readonly sample: number;
  readonly startedAt: Date;
  readonly finishedAt: Date;
  readonly host: string;
}

/**
 * Keeps the outcome of a verification in the repository, as new objects.
 *
 * @throws {StorageError}
 */
export async function keepFindings(
  store: ObjectStore,
  { backups, unreadable, archives }: Findings,
  look: Look,
): Promise<void> {
  const lost = new Set([...backups.flatMap(({ faults }) => faults), ...unreadable]
    .flatMap((fault) => fault.lost));
  for (const { backup, objects, storedBytes, faults } of backups) {
    await recordCheck(store, {
      ...common(look),
      systemIdentifier: backup.systemIdentifier,
      subject: backup.id,
      outcome: outcome(lost.has(backup.id), look),
      details: { ...details(look), objects, storedBytes, faults: shown(faults) },
    });
  }
  for (const { systemIdentifier, objects, storedBytes, faults, ...archive } of archives) {
    await recordCheck(store, {
      ...common(look),
      systemIdentifier,
      subject: WAL_SUBJECT,
      outcome: outcome(faults.length > 0, look),
      details: {
        ...{ ...details(look), objects, storedBytes, faults: shown(faults) },
        ...{ segmentBytes: archive.segmentBytes, segments: archive.verified },
      },
    });
  }
}

function common({ cluster, finishedAt }: Look) {
  return { cluster, finishedAt, kind: "verified" } as const;
}

function outcome(isDamaged: boolean, { sample }: Look): CheckOutcome {
  if (isDamaged) return "damaged";
  return sample < 1 ? "sampled" : "ok";
}

function details({ sample, startedAt, host }: Look): Record<string, unknown> {
  const tool = { name: "backupctl", version: VERSION };
  return { sample, startedAt: startedAt.toISOString(), host, tool };
}

function shown(faults: readonly { readonly key: string; readonly reason: string }[]) {
  return faults.slice(0, MOST_FAULTS).map(({ key, reason }) => ({ key, reason }));
}

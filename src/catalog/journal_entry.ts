import { type AuditEvent, readAuditEvent } from "./audit_event.ts";
import { parseRunRecord, type RunRecord } from "./run_record.ts";
import { readStorageSample, type StorageSample } from "./storage_sample.ts";

/** What a journal keeps until the index can be told. */
export type JournalEntry =
  | { readonly type: "run"; readonly run: RunRecord }
  | { readonly type: "audit"; readonly event: AuditEvent }
  | { readonly type: "storage"; readonly sample: StorageSample };

/** The entry as a line of a journal. Runs stand there as they are, as they did from the start. */
export function journalLine(entry: JournalEntry): string {
  if (entry.type === "run") return JSON.stringify(entry.run);
  if (entry.type === "audit") return JSON.stringify({ audit: entry.event });
  return JSON.stringify({ storage: entry.sample });
}

/** Reads a line of a journal; undefined when it is not a whole entry. */
export function parseJournalLine(line: string): JournalEntry | undefined {
  const run = parseRunRecord(line);
  if (run) return { type: "run", run };
  const { audit, storage } = objectOf(line);
  const event = audit === undefined ? undefined : readAuditEvent(audit);
  if (event) return { type: "audit", event };
  const sample = storage === undefined ? undefined : readStorageSample(storage);
  return sample && { type: "storage", sample };
}

function objectOf(line: string): { readonly audit?: unknown; readonly storage?: unknown } {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === "object" && value !== null ? value : {};
  } catch {
    return {};
  }
}

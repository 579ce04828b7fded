import * as v from "valibot";
import { IntegrityError, RepositoryError } from "../domain/errors.ts";
import { type BackupManifest, MANIFEST_VERSION } from "./manifest.ts";
import { manifestSchema } from "./manifest_schema.ts";

/** What a manifest's key says that must stand in it, too. */
export interface ExpectedManifest {
  readonly cluster: string;
  readonly systemIdentifier: string;
  readonly id: string;
}

/** What no single field can tell. */
const RULES: readonly {
  readonly fault: string;
  readonly holds: (manifest: BackupManifest) => boolean;
}[] = [
  {
    fault: "two objects have the same key",
    holds: ({ objects }) => new Set(objects.map(({ key }) => key)).size === objects.length,
  },
  {
    fault: "the objects' sizes do not add up to rawBytes and storedBytes",
    holds: ({ objects, rawBytes, storedBytes }) =>
      sum(objects.map((object) => object.rawBytes)) === rawBytes &&
      sum(objects.map((object) => object.storedBytes)) === storedBytes,
  },
  {
    fault: "an increment has a parent and a full backup has none",
    holds: ({ kind, parentId, id }) =>
      (kind === "incremental") === (parentId !== null) && parentId !== id,
  },
  {
    fault: "a physical backup has a timeline, LSNs and a segment size",
    holds: ({ method, timeline, startLsn, stopLsn, walSegmentBytes }) =>
      method === "logical" ||
      [timeline, startLsn, stopLsn, walSegmentBytes].every((value) => value !== null),
  },
  {
    fault: "only a dump has a section, and only parts with data have numbers",
    holds: ({ objects }) =>
      objects.every(({ role, section, part }) =>
        (role === "dump" || section === undefined) && (section === "data") === (part !== undefined)
      ),
  },
  {
    fault: "a dump that is not encrypted has the name of its database and nothing else has one",
    holds: ({ objects, encryption }) =>
      objects.every(({ role, database }) =>
        (role === "dump" && encryption === null) === (database !== undefined)
      ),
  },
];

/**
 * Reads backup.json. The text is not trusted: whoever can write into the bucket wrote it. Fields
 * that this version does not know are left out.
 *
 * @param where the key, for messages.
 * @param expected what the key says; the manifest must say the same.
 * @throws {RepositoryError} when it is of a newer version.
 * @throws {IntegrityError} with every fault's path when it is anything else than a manifest.
 */
export function parseManifest(
  json: string,
  { where, expected }: { readonly where: string; readonly expected?: ExpectedManifest },
): BackupManifest {
  const value = parseJson(json, where);
  refuseNewer(value, where);
  const result = v.safeParse(manifestSchema, value);
  if (!result.success) throw broken(where, result.issues.map(describe));
  const found: BackupManifest = result.output;
  const faults = RULES.filter(({ holds }) => !holds(found)).map(({ fault }) => fault);
  if (expected) faults.push(...differences(found, expected));
  if (faults.length > 0) throw broken(where, faults);
  return found;
}

function parseJson(json: string, where: string): unknown {
  try {
    return JSON.parse(json);
  } catch (error) {
    throw broken(where, [error instanceof Error ? error.message : String(error)]);
  }
}

function refuseNewer(value: unknown, where: string): void {
  if (value === null || typeof value !== "object") return;
  const { format, version } = value as { format?: unknown; version?: unknown };
  if (format !== "backupctl.backup" || typeof version !== "number") return;
  if (!(version > MANIFEST_VERSION)) return;
  throw new RepositoryError(
    `${where} is of version ${version}; this backupctl reads ${MANIFEST_VERSION}`,
    "upgrade backupctl",
  );
}

function differences(found: BackupManifest, expected: ExpectedManifest): string[] {
  return (["cluster", "systemIdentifier", "id"] as const)
    .filter((field) => found[field] !== expected[field])
    .map((field) => `${field} is "${found[field]}", its key says "${expected[field]}"`);
}

function describe(issue: v.BaseIssue<unknown>): string {
  const path = v.getDotPath(issue);
  return path ? `${path}: ${issue.message}` : issue.message;
}

/** Some of the faults stand for all of them: a hostile manifest may have millions. */
function broken(where: string, faults: readonly string[]): IntegrityError {
  const shown = faults.slice(0, 5).map((fault) => fault.slice(0, 200));
  if (faults.length > shown.length) shown.push(`and ${faults.length - shown.length} more`);
  return new IntegrityError(
    `${where} is not a manifest of backupctl: ${shown.join("; ")}`,
    "it was damaged or changed after it was written; restore another backup",
  );
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

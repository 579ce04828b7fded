/**
 * What is signed: that a backup was taken, as number so-and-so of its system, and that backups were
 * removed. docs/signing.md says what this tells, docs/repository-format.md how it is stored.
 *
 * @module
 */
import { createHash } from "node:crypto";
import * as v from "valibot";
import type { Bytes } from "../domain/bytes.ts";
import { isBackupId } from "../domain/backup_id.ts";
import { IntegrityError } from "../domain/errors.ts";
import type { ManifestPlace } from "./layout.ts";

const id = v.pipe(v.string(), v.check(isBackupId, "is not the name of a backup"));
/** The limit: somebody counts from 1 to it. */
const sequence = v.pipe(v.number(), v.safeInteger(), v.minValue(1), v.maxValue(10_000_000));
const sha256 = v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/, "is not a SHA-256"));
const link = v.object({ id, sequence, sha256 });

const place = {
  version: v.literal(1, "is of another version; upgrade backupctl"),
  cluster: v.string(),
  systemIdentifier: v.string(),
  signedAt: v.string(),
};

const backupSchema = v.object({
  ...{ format: v.literal("backupctl.signature"), ...place, ...link.entries },
  previous: v.array(link),
});

const removalSchema = v.object({
  ...{ format: v.literal("backupctl.removal"), ...place },
  backups: v.array(link),
});

/** One signed backup: its name, its number, and the SHA-256 of its backup.json as stored. */
export interface SignedLink {
  /** The backup's name. */
  readonly id: string;
  /** Which of its system's it is, counted from 1. */
  readonly sequence: number;
  /** Of its backup.json as stored, in hexadecimal. */
  readonly sha256: string;
}

/** What both kinds begin with. */
export interface SignedPlace {
  /** Of the statement's format. */
  readonly version: 1;
  /** The cluster's name in the repository. */
  readonly cluster: string;
  /** PostgreSQL's, in decimal. */
  readonly systemIdentifier: string;
  /** When it was signed, by the signer's clock. */
  readonly signedAt: string;
}

/** Beside a backup.json: whose it is, and which backups came right before it. */
export interface BackupStatement extends SignedPlace, SignedLink {
  /** Tells it from a removal. */
  readonly format: "backupctl.signature";
  /** The backups right before it. */
  readonly previous: readonly SignedLink[];
}

/** Says of backups that they were removed, and not hidden. */
export interface RemovalStatement extends SignedPlace {
  /** Tells it from a backup's. */
  readonly format: "backupctl.removal";
  /** Those that were removed. */
  readonly backups: readonly SignedLink[];
}

/** Reads what a signature was right for. @throws {IntegrityError} */
export function parseBackupStatement(json: string, where: string): BackupStatement {
  return parse(json, { schema: backupSchema, where });
}

/** Reads what a signature was right for. @throws {IntegrityError} */
export function parseRemovalStatement(json: string, where: string): RemovalStatement {
  return parse(json, { schema: removalSchema, where });
}

/** @throws {IntegrityError} when these are not the bytes that were signed. */
export function refuseUnsigned(manifest: Bytes, { id, sha256: signed }: SignedLink): void {
  if (sha256Of(manifest) === signed) return;
  throw new IntegrityError(
    `the backup.json of ${id} is not the one that was signed`,
    "it was changed after it was written; restore another backup",
  );
}

/** What is right in another place is wrong in this one. @throws {IntegrityError} */
export function refuseElsewhere(
  found: Partial<ManifestPlace> & { readonly cluster: string },
  { where, ...place }: Partial<ManifestPlace> & {
    readonly where: string;
    readonly cluster: string;
  },
): void {
  const fields = ["cluster", "systemIdentifier", "id"] as const;
  const wrong = fields.find((field) => place[field] !== undefined && place[field] !== found[field]);
  if (wrong === undefined) return;
  throw new IntegrityError(
    `${where} is signed for ${wrong} ${found[wrong]}, its key says ${place[wrong]}`,
    "it was copied there from elsewhere",
  );
}

/** As it stands in a {@link SignedLink}. */
export function sha256Of(bytes: Bytes): string {
  return createHash("sha256").update(bytes).digest("hex");
}

function parse<const Schema extends v.GenericSchema>(
  json: string,
  { schema, where }: { readonly schema: Schema; readonly where: string },
): v.InferOutput<Schema> {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (cause) {
    throw new IntegrityError(`${where} is signed and is no JSON`, undefined, { cause });
  }
  const result = v.safeParse(schema, value);
  if (result.success) return result.output;
  const faults = result.issues.slice(0, 3)
    .map((issue) => `${v.getDotPath(issue) ?? ""}: ${issue.message}`);
  throw new IntegrityError(`${where} is signed and says something else: ${faults.join("; ")}`);
}

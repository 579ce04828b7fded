import * as v from "valibot";
import { isBackupId } from "../domain/backup_id.ts";
import { MANIFEST_VERSION } from "./manifest.ts";

const LSN = /^[0-9A-F]{1,8}\/[0-9A-F]{1,8}$/;
const MAX_INT = 2 ** 31 - 1;
/** From the year 2000 on. */
const TIME = /^2\d{3}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$/;

const size = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
/** Timelines and OIDs. */
const unsigned = v.pipe(v.number(), v.safeInteger(), v.minValue(1), v.maxValue(0xffffffff));
const text = v.pipe(v.string(), v.maxLength(4096), v.check(isPlainText, "is not plain text"));
const name = v.pipe(text, v.minLength(1));
const lsn = v.pipe(v.string(), v.regex(LSN, "is not an LSN"));
const time = v.pipe(v.string(), v.check(isTime, "is not a time in UTC"));

const object = v.object({
  key: v.pipe(v.string(), v.check(isSafeKey, "is not a relative key without . and ..")),
  role: v.picklist(["chunk", "backup_manifest", "file_list", "globals", "dump"]),
  database: v.exactOptional(name),
  section: v.exactOptional(v.picklist(["pre-data", "data", "post-data"])),
  part: v.exactOptional(unsigned),
  files: v.exactOptional(size),
  rawBytes: size,
  storedBytes: size,
  sha256: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/, "is not a SHA-256")),
});

const damagedPages = v.object({
  count: size,
  files: v.pipe(
    v.array(v.object({ path: name, blocks: v.pipe(v.array(size), v.maxLength(1000)) })),
    v.maxLength(1000),
  ),
});

const encryption = v.object({
  scheme: v.literal("backupctl.seal/1", "this backup is encrypted otherwise; upgrade backupctl"),
  keyId: v.pipe(v.string(), v.regex(/^[0-9a-f]{32}$/, "is not a key's id")),
  sealed: v.pipe(v.string(), v.regex(/^[A-Za-z0-9+/]+={0,2}$/, "is not base64")),
});

/** What an encrypted backup keeps to itself. Who wrote it needed no secret: it is not trusted. */
export const privatePartSchema = v.object({
  label: v.nullable(text),
  annotations: v.record(text, text),
  tablespaces: v.array(v.object({ oid: unsigned, location: name })),
  databases: v.array(v.object({ name, sizeBytes: v.nullable(size) })),
  dumps: v.record(v.string(), name),
});

/** The form of backup.json, version 1, field by field; unknown fields are left out. */
export const manifestSchema = v.object({
  format: v.literal("backupctl.backup"),
  version: v.literal(MANIFEST_VERSION),
  id: v.pipe(v.string(), v.check(isBackupId, "is not the name of a backup")),
  cluster: name,
  systemIdentifier: v.pipe(v.string(), v.regex(/^\d{1,20}$/, "is not a system identifier")),
  postgresVersion: v.pipe(v.number(), v.safeInteger(), v.minValue(90000), v.maxValue(MAX_INT)),
  method: v.picklist(["physical", "logical"]),
  kind: v.picklist(["full", "incremental"]),
  parentId: v.nullable(v.pipe(v.string(), v.check(isBackupId, "is not the name of a backup"))),
  label: v.nullable(text),
  annotations: v.record(text, text),
  timeline: v.nullable(unsigned),
  startLsn: v.nullable(lsn),
  stopLsn: v.nullable(lsn),
  walSegmentBytes: v.nullable(v.pipe(v.number(), v.check(isSegmentSize, "is no segment size"))),
  startedAt: time,
  stoppedAt: time,
  tablespaces: v.array(
    v.object({ oid: unsigned, location: name }),
  ),
  databases: v.array(v.object({ name, sizeBytes: v.nullable(size) })),
  allDatabases: v.exactOptional(v.boolean()),
  objects: v.array(object),
  rawBytes: size,
  storedBytes: size,
  codec: v.object({
    algorithm: v.picklist(["gzip", "zstd"]),
    level: v.pipe(v.number(), v.safeInteger()),
  }),
  encryption: v.nullable(encryption),
  pageChecksums: v.nullable(v.boolean()),
  source: v.exactOptional(v.picklist(["stream", "files"])),
  damagedPages: v.exactOptional(damagedPages),
  takenOver: v.exactOptional(
    v.object({ objects: size, storedBytes: size, from: v.array(v.string()) }),
  ),
  host: v.nullable(text),
  tool: v.object({ name: v.literal("backupctl"), version: text }),
});

function isSafeKey(key: string): boolean {
  if (key.length > 900 || key === "backup.json" || !key.isWellFormed()) return false;
  // deno-lint-ignore no-control-regex -- keys become paths and lines of output
  if (/[\u0000-\u001f\u007f\\]/.test(key)) return false;
  return key.split("/").every((part) => part !== "" && part !== "." && part !== "..");
}

/** PostgreSQL stores neither zero bytes nor halves of surrogate pairs. */
function isPlainText(value: string): boolean {
  return !value.includes("\0") && value.isWellFormed();
}

function isTime(value: string): boolean {
  return TIME.test(value) && !Number.isNaN(Date.parse(value));
}

/** A power of two from 1 MiB to 1 GiB. PostgreSQL docs, initdb, `--wal-segsize`. */
function isSegmentSize(bytes: number): boolean {
  const exponent = Math.log2(bytes);
  return Number.isInteger(exponent) && exponent >= 20 && exponent <= 30;
}

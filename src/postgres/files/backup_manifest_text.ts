import { createHash } from "node:crypto";
import type { Bytes } from "../../domain/bytes.ts";
import { formatLsn, type Lsn } from "../../domain/lsn.ts";

/** A file as `backup_manifest` lists it. */
export interface ManifestFile {
  /** Below the data directory. */
  readonly path: string;
  /** In bytes. */
  readonly size: number;
  /** Milliseconds since 1970. */
  readonly modifiedAt: number;
  /** Lower-case hexadecimal. */
  readonly sha256: string;
}

/** What else it says. */
export interface ManifestFacts {
  /** Of the server. */
  readonly major: number;
  /** Decimal. */
  readonly systemIdentifier: string;
  /** Of all the WAL that the backup needs. */
  readonly timeline: number;
  /** Where recovery begins. */
  readonly startLsn: Lsn;
  /** Where the backup becomes consistent. */
  readonly stopLsn: Lsn;
}

/** The first version whose manifests name the system. */
const NAMES_SYSTEM_SINCE = 17;
/** How much text is made at a time. */
const LINES_PER_PIECE = 4096;

/**
 * PostgreSQL's backup_manifest, for pg_verifybackup and pg_combinebackup. PostgreSQL docs, "Backup
 * Manifest Format"; its last line has the SHA-256 of all lines before.
 */
export function* backupManifestText(
  files: Iterable<ManifestFile>,
  facts: ManifestFacts,
): Generator<Bytes> {
  const hash = createHash("sha256");
  const encoder = new TextEncoder();
  for (const piece of lines(files, facts)) {
    const bytes = encoder.encode(piece);
    hash.update(bytes);
    yield bytes;
  }
  yield encoder.encode(`"Manifest-Checksum": "${hash.digest("hex")}"}\n`);
}

function* lines(files: Iterable<ManifestFile>, facts: ManifestFacts): Generator<string> {
  const version = facts.major >= NAMES_SYSTEM_SINCE ? 2 : 1;
  const system = version === 2 ? `"System-Identifier": ${facts.systemIdentifier},\n` : "";
  yield `{ "PostgreSQL-Backup-Manifest-Version": ${version},\n${system}"Files": [`;
  let pending: string[] = [];
  let separator = "\n";
  for (const file of files) {
    pending.push(separator + entry(file));
    separator = ",\n";
    if (pending.length < LINES_PER_PIECE) continue;
    yield pending.join("");
    pending = [];
  }
  const range = `"Timeline": ${facts.timeline}, "Start-LSN": "${formatLsn(facts.startLsn)}", ` +
    `"End-LSN": "${formatLsn(facts.stopLsn)}"`;
  yield `${pending.join("")}\n],\n"WAL-Ranges": [\n{ ${range} }\n],\n`;
}

function entry({ path, size, modifiedAt, sha256 }: ManifestFile): string {
  const time = new Date(modifiedAt).toISOString().replace("T", " ").replace(/\.\d+Z$/, " GMT");
  return `{ "Path": ${JSON.stringify(path)}, "Size": ${size}, "Last-Modified": "${time}", ` +
    `"Checksum-Algorithm": "SHA256", "Checksum": "${sha256}" }`;
}

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

/** The entries of some files, to be given to {@link backupManifestText}. */
export function manifestEntries(files: readonly ManifestFile[]): Bytes {
  return new TextEncoder().encode(files.map(entry).join(",\n"));
}

/**
 * PostgreSQL's backup_manifest, for pg_verifybackup and pg_combinebackup. PostgreSQL docs, "Backup
 * Manifest Format"; its last line has the SHA-256 of all lines before.
 *
 * @param entries of all files, as {@link manifestEntries} made them of some at a time.
 */
export function* backupManifestText(
  entries: Iterable<Bytes>,
  facts: ManifestFacts,
): Generator<Bytes> {
  const hash = createHash("sha256");
  for (const piece of pieces(entries, facts)) {
    hash.update(piece);
    yield piece;
  }
  yield new TextEncoder().encode(`"Manifest-Checksum": "${hash.digest("hex")}"}\n`);
}

function* pieces(entries: Iterable<Bytes>, facts: ManifestFacts): Generator<Bytes> {
  const encoder = new TextEncoder();
  const version = facts.major >= NAMES_SYSTEM_SINCE ? 2 : 1;
  const system = version === 2 ? `"System-Identifier": ${facts.systemIdentifier},\n` : "";
  yield encoder.encode(
    `{ "PostgreSQL-Backup-Manifest-Version": ${version},\n${system}"Files": [`,
  );
  let separator = "\n";
  for (const some of entries) {
    if (some.length === 0) continue;
    yield encoder.encode(separator);
    yield some;
    separator = ",\n";
  }
  const range = `"Timeline": ${facts.timeline}, "Start-LSN": "${formatLsn(facts.startLsn)}", ` +
    `"End-LSN": "${formatLsn(facts.stopLsn)}"`;
  yield encoder.encode(`\n],\n"WAL-Ranges": [\n{ ${range} }\n],\n`);
}

function entry({ path, size, modifiedAt, sha256 }: ManifestFile): string {
  const time = new Date(modifiedAt).toISOString().replace("T", " ").replace(/\.\d+Z$/, " GMT");
  return `{ "Path": ${JSON.stringify(path)}, "Size": ${size}, "Last-Modified": "${time}", ` +
    `"Checksum-Algorithm": "SHA256", "Checksum": "${sha256}" }`;
}

import fc from "fast-check";
import type { BackupManifest, ManifestObject } from "../../src/catalog/catalog.ts";

/** A logical backup as backup.json describes it; change what a test needs to. */
export function sampleManifest(changes: Partial<BackupManifest> = {}): BackupManifest {
  const objects: readonly ManifestObject[] = changes.objects ?? [
    { key: "globals.sql.gz", role: "globals", rawBytes: 900, storedBytes: 300, sha256: sha(1) },
    {
      key: "app.dump.gz",
      role: "dump",
      database: "app",
      rawBytes: 12_345,
      storedBytes: 4_321,
      sha256: sha(2),
    },
  ];
  return {
    format: "backupctl.backup",
    version: 1,
    id: "20261123T022415Z-L",
    cluster: "main",
    systemIdentifier: "7345678901234567890",
    postgresVersion: 150018,
    method: "logical",
    kind: "full",
    parentId: null,
    label: "weekly",
    annotations: { ticket: "OPS-7" },
    timeline: null,
    startLsn: null,
    stopLsn: null,
    walSegmentBytes: null,
    startedAt: "2026-11-23T02:24:15.120Z",
    stoppedAt: "2026-11-23T02:25:03.004Z",
    tablespaces: [],
    databases: [{ name: "app", sizeBytes: 7_654_321 }],
    objects,
    rawBytes: objects.reduce((total, object) => total + object.rawBytes, 0),
    storedBytes: objects.reduce((total, object) => total + object.storedBytes, 0),
    codec: { algorithm: "gzip", level: 6 },
    encryption: null,
    pageChecksums: null,
    host: "db1",
    tool: { name: "backupctl", version: "0.1.0" },
    ...changes,
  };
}

/** A physical backup that ended at `stoppedAt`. */
export function samplePhysical(changes: Partial<BackupManifest> = {}): BackupManifest {
  return sampleManifest({
    id: "20261122T020000Z-F",
    method: "physical",
    timeline: 3,
    startLsn: "0/9A000028",
    stopLsn: "0/9B0000F8",
    walSegmentBytes: 16 * 1024 * 1024,
    tablespaces: [{ oid: 16_385, location: "/srv/fast" }],
    databases: [],
    objects: [
      {
        key: "chunks/0001.tar.zst",
        role: "chunk",
        rawBytes: 1_000,
        storedBytes: 400,
        sha256: sha(3),
      },
      {
        key: "backup_manifest.zst",
        role: "backup_manifest",
        rawBytes: 200,
        storedBytes: 90,
        sha256: sha(4),
      },
    ],
    codec: { algorithm: "zstd", level: 1 },
    pageChecksums: true,
    ...changes,
  });
}

function sha(number: number): string {
  return number.toString(16).padStart(64, "0");
}

const sizes = fc.nat({ max: 2 ** 40 });
const texts = fc.string({ unit: "grapheme", minLength: 1, maxLength: 20 })
  .map((value) => value.replaceAll("\0", "0"));

/** Backups of `cluster` that differ in everything that may differ. Objects are only described. */
export function manifests(cluster = "main"): fc.Arbitrary<BackupManifest> {
  return fc.record({
    at: fc.integer({ min: Date.UTC(2020, 0, 1), max: Date.UTC(2030, 0, 1) }),
    seconds: fc.nat({ max: 5000 }),
    system: fc.constantFrom("7345678901234567890", "7400000000000000001"),
    physical: fc.boolean(),
    label: fc.option(fc.constantFrom("weekly", "before.upgrade", "a_b-C")),
    host: fc.option(texts),
    annotations: fc.dictionary(fc.constantFrom("ticket", "owner", "x y"), texts, {
      noNullPrototype: true,
    }),
    names: fc.uniqueArray(texts, { maxLength: 3 }),
    sizes: fc.array(fc.tuple(sizes, sizes), { minLength: 1, maxLength: 4 }),
    timeline: fc.integer({ min: 1, max: 0xffffffff }),
  }).map((parts) => {
    const startedAt = new Date(parts.at);
    const id = startedAt.toISOString().replace(/[-:]|\.\d+/g, "");
    const make = parts.physical ? samplePhysical : sampleManifest;
    return make({
      cluster,
      id: `${id}-${parts.physical ? "F" : "L"}`,
      systemIdentifier: parts.system,
      label: parts.label,
      host: parts.host,
      annotations: parts.annotations,
      databases: parts.names.map((name) => ({ name, sizeBytes: name.length * 1000 })),
      startedAt: startedAt.toISOString(),
      stoppedAt: new Date(parts.at + parts.seconds * 997).toISOString(),
      objects: parts.sizes.map(([rawBytes, storedBytes], index) => ({
        key: parts.physical ? `chunks/000${index}.tar.zst` : `db${index}.dump.gz`,
        ...(parts.physical ? { role: "chunk" } : { role: "dump", database: `db${index}` }),
        rawBytes,
        storedBytes,
        sha256: sha(index),
      })),
      ...(parts.physical && { timeline: parts.timeline }),
    });
  });
}

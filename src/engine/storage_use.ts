import type { BackupManifest, UnfinishedBackup } from "../catalog/catalog.ts";
import type { WalReport } from "./wal_report.ts";

/** What room is used for. */
export type StorageKind = "physical" | "incremental" | "logical" | "wal" | "unfinished";

/** How much room one kind takes. */
export interface StorageUse {
  readonly kind: StorageKind;
  /** Backups, WAL segments, or folders. */
  readonly count: number;
  /** Before compression; undefined where nobody knows. */
  readonly rawBytes: number | undefined;
  readonly storedBytes: number;
}

/** Sums up what a repository holds, by kind; kinds of which there is nothing are left out. */
export function storageUse(
  { backups, unfinished = [], wal }: {
    readonly backups: readonly BackupManifest[];
    readonly unfinished?: readonly UnfinishedBackup[];
    readonly wal?: Pick<WalReport, "segments" | "segmentBytes" | "storedBytes">;
  },
): readonly StorageUse[] {
  const uses = (["physical", "incremental", "logical"] as const).map((kind): StorageUse => {
    const own = backups.filter((backup) => kindOf(backup) === kind);
    const total = (size: (backup: BackupManifest) => number) =>
      own.reduce((sum, backup) => sum + size(backup), 0);
    return {
      ...{ kind, count: own.length },
      rawBytes: total(({ rawBytes }) => rawBytes),
      storedBytes: total(({ storedBytes }) => storedBytes),
    };
  });
  const left: StorageUse = {
    ...{ kind: "unfinished", count: unfinished.length, rawBytes: undefined },
    storedBytes: unfinished.reduce((sum, { storedBytes }) => sum + storedBytes, 0),
  };
  return [...uses, ...(wal ? [walUse(wal)] : []), left]
    .filter(({ count, storedBytes }) => count > 0 || storedBytes > 0);
}

function kindOf({ method, kind }: BackupManifest): StorageKind {
  if (method === "logical") return "logical";
  return kind === "incremental" ? "incremental" : "physical";
}

function walUse(
  { segments, segmentBytes, storedBytes }: Pick<
    WalReport,
    "segments" | "segmentBytes" | "storedBytes"
  >,
): StorageUse {
  return { kind: "wal", count: segments, rawBytes: segments * segmentBytes, storedBytes };
}

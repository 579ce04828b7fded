import type { BaseBackupOptions } from "../postgres.ts";

/** The first major version whose BASE_BACKUP takes options in parentheses and sends one copy. */
export const ONE_COPY_SINCE = 15;
/** The first major version that sends increments. */
export const INCREMENTS_SINCE = 17;

/**
 * The BASE_BACKUP command. PostgreSQL docs, "Streaming Replication Protocol", of 14 and of 15.
 *
 * The server does not wait for its archiver: whoever needs the WAL in an archive waits there, with
 * a time limit. Tablespaces stay symbolic links in the tar (no TABLESPACE_MAP). Page checksums are
 * verified, the server's default.
 */
export function baseBackupStatement(major: number, options: BaseBackupOptions): string {
  const { label, fastCheckpoint, includeWal, maxRateKb, parentManifest } = options;
  if (major >= ONE_COPY_SINCE) {
    const list = [
      `LABEL ${literal(label)}`,
      "PROGRESS true",
      `CHECKPOINT '${fastCheckpoint ? "fast" : "spread"}'`,
      `WAL ${includeWal}`,
      "WAIT false",
      ...(maxRateKb === undefined ? [] : [`MAX_RATE ${maxRateKb}`]),
      ...(parentManifest === undefined ? [] : ["INCREMENTAL true"]),
      "MANIFEST 'yes'",
    ];
    return `BASE_BACKUP (${list.join(", ")})`;
  }
  return [
    `BASE_BACKUP LABEL ${literal(label)} PROGRESS`,
    ...(fastCheckpoint ? ["FAST"] : []),
    ...(includeWal ? ["WAL"] : []),
    "NOWAIT",
    ...(maxRateKb === undefined ? [] : [`MAX_RATE ${maxRateKb}`]),
    "MANIFEST 'yes'",
  ].join(" ");
}

/**
 * Makes a replication slot that lives as long as the connection and keeps all WAL from now on.
 *
 * @param name of lower-case letters, digits and underscores.
 */
export function reserveWalStatement(major: number, name: string): string {
  const reserve = major >= ONE_COPY_SINCE ? "(RESERVE_WAL)" : "RESERVE_WAL";
  return `CREATE_REPLICATION_SLOT "${name}" TEMPORARY PHYSICAL ${reserve}`;
}

function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

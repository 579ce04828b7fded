/**
 * What only alerts ask for, beside the daemon's snapshot. Each part that cannot be told is left
 * out, so that its rule says nothing.
 *
 * @module
 */
import { X509Certificate } from "node:crypto";
import { statfs } from "node:fs/promises";
import { listChecks, readChecks } from "../../catalog/checks.ts";
import { WAL_SUBJECT } from "../../catalog/wal_checks.ts";
import type { Config, Environment } from "../../config/config.ts";
import type {
  AlertSnapshot,
  DamagedBackup,
  DiskSpace,
  Expiry,
} from "../../service/alerts/rules/rule.ts";
import type { ServiceSnapshot } from "../../service/service.ts";
import type { ObjectStore } from "../../storage/storage.ts";
import { stateFolder } from "../open_parts.ts";

/** What is asked. */
export interface FactSources {
  readonly config: Config;
  readonly env: Environment;
  readonly store: ObjectStore;
  readonly signal: AbortSignal;
}

/** The snapshot with what the rules want besides. Never throws. */
export async function withAlertFacts(
  snapshot: ServiceSnapshot,
  sources: FactSources,
): Promise<AlertSnapshot> {
  const [expiries, disks, damaged] = await Promise.all([
    readExpiries(sources).catch(() => undefined),
    readDisks(sources).catch(() => undefined),
    readDamage(snapshot, sources).catch(() => undefined),
  ]);
  return {
    ...snapshot,
    ...(expiries && { expiries }),
    ...(disks && { disks }),
    ...(damaged && { damaged }),
  };
}

/** When the certificates that the configuration names end, and what AWS said of the credentials. */
async function readExpiries({ config, env }: FactSources): Promise<readonly Expiry[]> {
  const { postgres, repository, alerts } = config;
  const files = new Set([
    postgres.sslcert,
    postgres.sslrootcert,
    repository.ca_file,
    alerts.email?.ca_file,
    alerts.heartbeat?.ca_file,
    ...alerts.webhooks.map(({ ca_file }) => ca_file),
  ]);
  const found: Expiry[] = [];
  for (const file of files) {
    const at = file === undefined ? undefined : await certificateEnd(file);
    if (at) found.push({ what: `the certificate ${file}`, at });
  }
  const end = Date.parse(env["AWS_CREDENTIAL_EXPIRATION"] ?? "");
  if (!Number.isNaN(end)) found.push({ what: "the AWS credentials", at: new Date(end) });
  return found;
}

/** Of the first certificate of a file; the others of a bundle may have ended long ago. */
async function certificateEnd(file: string): Promise<Date | undefined> {
  try {
    const { validTo } = new X509Certificate(await Deno.readTextFile(file));
    const end = new Date(validTo);
    return Number.isNaN(end.getTime()) ? undefined : end;
  } catch {
    return undefined;
  }
}

/** The file systems that backupctl itself writes to on this host, besides the repository's. */
async function readDisks({ config, env }: FactSources): Promise<readonly DiskSpace[]> {
  const folder = stateFolder(config, env);
  if (folder === undefined) return [];
  const { bavail, blocks, bsize } = await statfs(folder);
  return [{ what: `the disk of ${folder}`, freeBytes: bavail * bsize, totalBytes: blocks * bsize }];
}

async function readDamage(
  { cluster, repository }: ServiceSnapshot,
  { store, signal }: FactSources,
): Promise<readonly DamagedBackup[] | undefined> {
  if (!repository) return undefined;
  const backups = new Set(repository.backups.map(({ id }) => id));
  const systems = new Set(repository.backups.map(({ systemIdentifier }) => systemIdentifier));
  const damaged: DamagedBackup[] = [];
  for (const systemIdentifier of systems) {
    const checks = await readChecks(store, { cluster, systemIdentifier, signal });
    for (const [backupId, { damagedAt, drillFailedAt }] of checks) {
      if (!backups.has(backupId)) continue;
      const subject = backupId;
      if (damagedAt) damaged.push({ subject, by: "verify", foundAt: damagedAt });
      else if (drillFailedAt) damaged.push({ subject, by: "drill", foundAt: drillFailedAt });
    }
    const place = { cluster, systemIdentifier, kind: "verified", subject: WAL_SUBJECT } as const;
    const ofWal = await listChecks(store, place, { signal });
    const last = ofWal.findLast(({ outcome }) => outcome !== "sampled");
    if (last?.outcome === "damaged") {
      damaged.push({ subject: WAL_SUBJECT, by: "verify", foundAt: last.at });
    }
  }
  return damaged;
}

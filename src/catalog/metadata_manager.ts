import type { PostgresServer } from "../postgres/postgres.ts";
import type { AuditEvent } from "./audit_event.ts";
import {
  AUDIT_COLUMNS,
  AUDIT_SELECT,
  auditValues,
  readAudit,
  readStorage,
  storageValues,
  timeText,
} from "./audit_rows.ts";
import type { BackupManifest, Repository } from "./catalog.ts";
import { backupRows, readIndexedBackup, UPSERT_COLUMNS } from "./index_rows.ts";
import type { IndexedBackup } from "./index_rows.ts";
import { IndexSession } from "./index_session.ts";
import { readRun, RUN_COLUMNS, runValues } from "./run_rows.ts";
import type { RunOutcome, RunRecord } from "./run_record.ts";
import { quoteLiteral } from "./sql_quote.ts";
import type { StorageSample } from "./storage_sample.ts";

/** Where the index is and how long it may take. */
export interface MetadataOptions {
  /** The name of the cluster. */
  readonly cluster: string;
  /** Where its tables are. @default {"backupctl"} */
  readonly schema?: string;
  /** Milliseconds after which a call gives up. @default {5000} */
  readonly deadlineMs?: number;
}

/** Everything that the index holds of a cluster. */
export interface CatalogExport {
  /** The form of this document. */
  readonly schema: "backupctl.catalog/1";
  /** The name of the cluster. */
  readonly cluster: string;
  /** Those that are in the repository, by stop time, oldest first. */
  readonly backups: readonly IndexedBackup[];
  /** Those that are gone from it. */
  readonly removed: readonly IndexedBackup[];
  /** The newest first. */
  readonly runs: readonly RunRecord[];
  /** The newest first. */
  readonly audit: readonly AuditEvent[];
  /** The last sample of each day, oldest first. */
  readonly storage: readonly StorageSample[];
}

/** What {@link MetadataManager.figures} tells. */
export interface IndexFigures {
  /** How many runs ended so since the index began. */
  readonly all: Readonly<Record<RunOutcome, number>>;
  /** The same in the last {@link RECENT_DAYS} days. */
  readonly recent: Readonly<Record<RunOutcome, number>>;
  /** The one that ended last. */
  readonly last: RunRecord | undefined;
  /** The last sample of each day, oldest first. */
  readonly storage: readonly StorageSample[];
}

/** What counts as recent among the figures. */
export const RECENT_DAYS = 30;
/** A year of samples, one a day, is what a picture can show. */
const HISTORY_DAYS = 366;

/**
 * The index of backups and runs in PostgreSQL. It serves status, alerts and metrics; the manifests
 * are the truth, and it may be lost at any time. Every call ends within the deadline, so that a
 * locked table or a dead server never holds a backup up; callers catch what it throws and go on.
 */
export class MetadataManager {
  readonly #session: IndexSession;
  readonly #schema: string;
  readonly #cluster: string;
  /** The cluster's name as SQL needs it. */
  readonly #own: string;

  /**
   * Contacts nobody yet.
   *
   * @param server one that takes several statements at once, as SqlServer does.
   * @throws {RangeError} when the schema's name cannot be one.
   */
  constructor(server: PostgresServer, options: MetadataOptions) {
    const { cluster, schema = "backupctl", deadlineMs = 5000 } = options;
    this.#session = new IndexSession(server, { schema, deadlineMs });
    this.#schema = this.#session.schema;
    this.#cluster = cluster;
    this.#own = quoteLiteral(cluster);
  }

  /**
   * Creates the schema on first use and brings an older one up to date. Every other call does so,
   * too, but {@link figures}.
   *
   * @throws {PostgresError} when the role may not, with the statement that an administrator runs.
   * @throws {RepositoryError} when a newer backupctl has changed the schema.
   */
  async prepare(): Promise<void> {
    await this.#session.prepare();
  }

  /** Adds a committed backup, or brings what is known of it up to date. */
  async recordBackup(manifest: BackupManifest): Promise<void> {
    await this.#query(upsertFrom(this.#schema, incomingBackups([manifest])));
  }

  /** Marks backups as removed from the repository, now; those that were gone already stay so. */
  async forgetBackups(ids: readonly string[]): Promise<void> {
    await this.#query(
      `UPDATE ${this.#schema}.backups SET removed_at = pg_catalog.now()
        WHERE cluster = ${this.#own} AND removed_at IS NULL
          AND id IN (SELECT jsonb_array_elements_text(${quoteLiteral(JSON.stringify(ids))}))`,
    );
  }

  /** Adds a run; one that is there already stays as it is. */
  async recordRun(run: RunRecord): Promise<void> {
    const values = runValues(run).map((value) => value === null ? "NULL" : quoteLiteral(value));
    await this.#query(
      `INSERT INTO ${this.#schema}.runs (${RUN_COLUMNS.map(({ name }) => name).join(", ")})
        VALUES (${values.join(", ")}) ON CONFLICT (run_id) DO NOTHING`,
    );
  }

  /** Adds an event to the audit trail; one that is there already stays as it is. */
  async recordAudit(event: AuditEvent): Promise<void> {
    await this.#query(
      `INSERT INTO ${this.#schema}.audit (${AUDIT_COLUMNS.join(", ")}) ${auditValues(event)}
        ON CONFLICT (event_id) DO NOTHING`,
    );
  }

  /** Adds how much room the repository takes; a sample that is there already stays as it is. */
  async recordStorage(sample: StorageSample): Promise<void> {
    if (sample.uses.length === 0) return;
    await this.#query(
      `INSERT INTO ${this.#schema}.storage_samples
        (cluster, sampled_at, kind, count, raw_bytes, stored_bytes) ${storageValues(sample)}
        ON CONFLICT (cluster, sampled_at, kind) DO NOTHING`,
    );
  }

  /** The last `count` runs of this cluster, the newest first. */
  async recentRuns(count: number): Promise<readonly RunRecord[]> {
    return (await this.#query(this.#selectRuns(count))).map(readRun);
  }

  /** The last `count` events of the audit trail, the newest first. */
  async recentAudit(count: number): Promise<readonly AuditEvent[]> {
    const rows = await this.#query(
      `SELECT ${AUDIT_SELECT} FROM ${this.#schema}.audit WHERE cluster = ${this.#own}
        ORDER BY audit.at DESC, audit.event_id LIMIT ${limit(count)}`,
    );
    return rows.map(readAudit);
  }

  /** How much room the repository took: the last sample of each day, oldest first. */
  async storageHistory(): Promise<readonly StorageSample[]> {
    return readStorage(await this.#query(this.#selectStorage()), this.#cluster);
  }

  /** What the index knows of the backups, by stop time, oldest first. */
  async indexedBackups(): Promise<readonly IndexedBackup[]> {
    return await this.#selectBackups("removed_at IS NULL");
  }

  /** The backups that are gone from the repository; `columns.removed_at` says since when. */
  async removedBackups(): Promise<readonly IndexedBackup[]> {
    return await this.#selectBackups("removed_at IS NOT NULL");
  }

  /**
   * Figures for people who only look: nothing is created or changed.
   *
   * @returns undefined when there is no index of this version.
   */
  async figures(): Promise<IndexFigures | undefined> {
    const counts = await this.#session.glance(
      `SELECT outcome, count(*)::text AS total,
          count(*) FILTER (WHERE finished_at > now() - interval '${RECENT_DAYS} days')::text AS recent
        FROM ${this.#schema}.runs WHERE cluster = ${this.#own} GROUP BY outcome`,
    );
    const [last] = await this.#session.glance(this.#selectRuns(1)) ?? [];
    const samples = await this.#session.glance(this.#selectStorage());
    if (!counts || !samples) return undefined;
    const outcomes = (column: string) => {
      const of = (outcome: RunOutcome) =>
        Number(counts.find((row) => row["outcome"] === outcome)?.[column] ?? 0);
      return {
        succeeded: of("succeeded"),
        failed: of("failed"),
        interrupted: of("interrupted"),
      };
    };
    return {
      all: outcomes("total"),
      recent: outcomes("recent"),
      last: last && readRun(last),
      storage: readStorage(samples, this.#cluster),
    };
  }

  /**
   * Makes the backups of this cluster equal to the repository's, in one transaction; what is not
   * there is marked as removed. Runs, samples and the audit trail stay as they are: the repository
   * does not know them.
   *
   * @returns how many backups the index holds now.
   */
  async rebuild(repository: Repository, signal?: AbortSignal): Promise<number> {
    const since = await this.serverTime();
    const manifests = await repository.backups(signal ? { signal } : {});
    await this.replaceBackups(manifests, { since });
    return manifests.length;
  }

  /** The time of the index's server, for {@link replaceBackups}. */
  async serverTime(): Promise<string> {
    const [row] = await this.#query("SELECT pg_catalog.clock_timestamp()::text AS now");
    return String(row?.["now"]);
  }

  /**
   * The same as {@link rebuild} with manifests that were read already.
   *
   * @param options.since the server's time before they were listed: what others have recorded since
   *   then is there, although they do not show it.
   */
  async replaceBackups(
    manifests: readonly BackupManifest[],
    { since }: { readonly since: string },
  ): Promise<void> {
    await this.#query(
      `WITH incoming AS (${incomingBackups(manifests)}),
        removed AS (
          UPDATE ${this.#schema}.backups AS b SET removed_at = pg_catalog.now()
           WHERE b.cluster = ${this.#own} AND b.removed_at IS NULL
             AND b.seen_at < ${quoteLiteral(since)}::timestamptz AND NOT EXISTS (
             SELECT FROM incoming AS i
              WHERE i.system_identifier = b.system_identifier AND i.id = b.id))
        ${upsertFrom(this.#schema, "SELECT * FROM incoming")}`,
    );
  }

  /** Everything, for a file or another tool. */
  async export(): Promise<CatalogExport> {
    const backups = await this.indexedBackups();
    const removed = await this.removedBackups();
    const runs = await this.recentRuns(Number.MAX_SAFE_INTEGER);
    const audit = await this.recentAudit(Number.MAX_SAFE_INTEGER);
    const storage = await this.storageHistory();
    const { schema, cluster } = { schema: "backupctl.catalog/1", cluster: this.#cluster } as const;
    return { schema, cluster, backups, removed, runs, audit, storage };
  }

  async #query(statement: string): Promise<readonly Readonly<Record<string, unknown>>[]> {
    return await this.#session.query(statement);
  }

  #selectRuns(count: number): string {
    return `SELECT ${RUN_COLUMNS.map(({ select }) => select).join(", ")} FROM ${this.#schema}.runs
      WHERE cluster = ${this.#own}
      ORDER BY runs.finished_at DESC, runs.run_id LIMIT ${limit(count)}`;
  }

  async #selectBackups(condition: string): Promise<readonly IndexedBackup[]> {
    const rows = await this.#query(
      `SELECT (to_jsonb(b) - 'seen_at')::text AS row FROM ${this.#schema}.backups AS b
        WHERE cluster = ${this.#own} AND ${condition} ORDER BY stopped_at, id`,
    );
    return rows.map(readIndexedBackup);
  }

  #selectStorage(): string {
    return `SELECT ${timeText("s.sampled_at")} AS at, s.kind, s.count::text AS count,
        s.raw_bytes::text AS raw_bytes, s.stored_bytes::text AS stored_bytes
      FROM ${this.#schema}.storage_samples AS s
      JOIN (SELECT max(sampled_at) AS newest FROM ${this.#schema}.storage_samples
             WHERE cluster = ${this.#own}
               AND sampled_at > now() - interval '${HISTORY_DAYS} days'
             GROUP BY date_trunc('day', sampled_at AT TIME ZONE 'UTC')) AS d
        ON s.sampled_at = d.newest
      WHERE s.cluster = ${this.#own} ORDER BY s.sampled_at, s.kind`;
  }
}

function limit(count: number): number {
  return Math.max(0, Math.trunc(count));
}

function incomingBackups(manifests: readonly BackupManifest[]): string {
  const columns = UPSERT_COLUMNS.map(({ name, type }) => `${name} ${type}`);
  const rows = quoteLiteral(backupRows(manifests));
  return `SELECT * FROM jsonb_to_recordset(${rows}) AS x(${columns.join(", ")})`;
}

function upsertFrom(schema: string, select: string): string {
  const names = UPSERT_COLUMNS.map(({ name }) => name);
  return `INSERT INTO ${schema}.backups (${names.join(", ")}) ${select}
    ON CONFLICT (cluster, system_identifier, id) DO UPDATE
    SET ${names.map((name) => `${name} = excluded.${name}`).join(", ")},
      removed_at = NULL, seen_at = pg_catalog.clock_timestamp()`;
}

import { PostgresError, RepositoryError } from "../domain/errors.ts";
import type { PostgresServer } from "../postgres/postgres.ts";
import type { BackupManifest, Repository } from "./catalog.ts";
import { backupRows, readIndexedBackup, UPSERT_COLUMNS } from "./index_rows.ts";
import type { IndexedBackup } from "./index_rows.ts";
import { migrationStatement, SCHEMA_VERSION } from "./migrations.ts";
import { readRun, RUN_COLUMNS, runValues } from "./run_rows.ts";
import type { RunRecord } from "./run_record.ts";
import { quoteIdentifier, quoteLiteral } from "./sql_quote.ts";

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
  /** By stop time, oldest first. */
  readonly backups: readonly IndexedBackup[];
  /** The newest first. */
  readonly runs: readonly RunRecord[];
}

/**
 * The index of backups and runs in PostgreSQL. It serves status, alerts and metrics; the manifests
 * are the truth, and it may be lost at any time. Every call ends within the deadline, so that a
 * locked table or a dead server never holds a backup up; callers catch what it throws and go on.
 */
export class MetadataManager {
  readonly #server: PostgresServer;
  readonly #cluster: string;
  readonly #schemaName: string;
  readonly #schema: string;
  readonly #deadlineMs: number;
  #ready = false;

  /**
   * Contacts nobody yet.
   *
   * @param server one that takes several statements at once, as SqlServer does.
   * @throws {RangeError} when the schema's name cannot be one.
   */
  constructor(server: PostgresServer, options: MetadataOptions) {
    const { cluster, schema = "backupctl", deadlineMs = 5000 } = options;
    this.#server = server;
    this.#cluster = cluster;
    this.#schemaName = schema;
    this.#schema = quoteIdentifier(schema);
    this.#deadlineMs = deadlineMs;
  }

  /**
   * Creates the schema on first use and brings an older one up to date. Every other call does so,
   * too.
   *
   * @throws {PostgresError} when the role may not, with the statement that an administrator runs.
   * @throws {RepositoryError} when a newer backupctl has changed the schema.
   */
  async prepare(): Promise<void> {
    await this.#within(() => this.#migrate());
  }

  /** Adds a committed backup, or brings what is known of it up to date. */
  async recordBackup(manifest: BackupManifest): Promise<void> {
    await this.#query(upsertFrom(this.#schema, incomingBackups([manifest])));
  }

  /** Forgets backups that were removed from the repository. */
  async forgetBackups(ids: readonly string[]): Promise<void> {
    await this.#query(
      `DELETE FROM ${this.#schema}.backups WHERE cluster = ${quoteLiteral(this.#cluster)}
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

  /** The last `count` runs of this cluster, the newest first. */
  async recentRuns(count: number): Promise<readonly RunRecord[]> {
    const rows = await this.#query(
      `SELECT ${RUN_COLUMNS.map(({ select }) => select).join(", ")} FROM ${this.#schema}.runs
        WHERE cluster = ${quoteLiteral(this.#cluster)}
        ORDER BY runs.finished_at DESC, runs.run_id LIMIT ${Math.max(0, Math.trunc(count))}`,
    );
    return rows.map(readRun);
  }

  /** What the index knows of the backups, by stop time, oldest first. */
  async indexedBackups(): Promise<readonly IndexedBackup[]> {
    const rows = await this.#query(
      `SELECT to_jsonb(b)::text AS row FROM ${this.#schema}.backups AS b
        WHERE cluster = ${quoteLiteral(this.#cluster)} ORDER BY stopped_at, id`,
    );
    return rows.map(readIndexedBackup);
  }

  /**
   * Makes the backups of this cluster equal to the repository's, in one transaction. Runs stay:
   * the repository does not know them.
   *
   * @returns how many backups the index holds now.
   */
  async rebuild(repository: Repository, signal?: AbortSignal): Promise<number> {
    const manifests = await repository.backups(signal ? { signal } : {});
    await this.#query(
      `WITH incoming AS (${incomingBackups(manifests)}),
        removed AS (
          DELETE FROM ${this.#schema}.backups AS b
           WHERE b.cluster = ${quoteLiteral(this.#cluster)} AND NOT EXISTS (
             SELECT FROM incoming AS i
              WHERE i.system_identifier = b.system_identifier AND i.id = b.id))
        ${upsertFrom(this.#schema, "SELECT * FROM incoming")}`,
    );
    return manifests.length;
  }

  /** Everything, for a file or another tool. */
  async export(): Promise<CatalogExport> {
    const backups = await this.indexedBackups();
    const runs = await this.recentRuns(Number.MAX_SAFE_INTEGER);
    return { schema: "backupctl.catalog/1", cluster: this.#cluster, backups, runs };
  }

  async #query(statement: string): Promise<readonly Record<string, unknown>[]> {
    return await this.#within(async () => {
      const knew = this.#ready;
      if (!knew) await this.#migrate();
      try {
        return await this.#run(statement);
      } catch (error) {
        if (!knew || !isLost(error)) throw error;
        await this.#migrate(); // somebody dropped the schema since
        return await this.#run(statement);
      }
    });
  }

  /**
   * Statements in one string are one transaction, so the limits hold for this one alone, whichever
   * connection it gets. PostgreSQL docs, "Multiple Statements in a Simple Query".
   */
  async #run(statement: string): Promise<readonly Record<string, unknown>[]> {
    const limit = Math.ceil(this.#deadlineMs * 0.8);
    return await this.#server.query(
      `SET LOCAL lock_timeout = ${limit}; SET LOCAL statement_timeout = ${limit}; ${statement}`,
    );
  }

  async #migrate(): Promise<void> {
    this.#ready = false;
    const version = await this.#version();
    if (version > SCHEMA_VERSION) throw newerSchema(this.#schemaName, version);
    if (version < SCHEMA_VERSION) await this.#applySteps();
    this.#ready = true;
  }

  /** 0 when there is nothing yet. */
  async #version(): Promise<number> {
    const table = `${this.#schema}.schema_version`;
    const [found] = await this.#run(
      `SELECT pg_catalog.to_regclass(${quoteLiteral(table)})::text AS name`,
    );
    if (typeof found?.["name"] !== "string") return 0;
    const [row] = await this.#run(`SELECT max(version)::text AS version FROM ${table}`);
    return Number(row?.["version"] ?? 0);
  }

  async #applySteps(): Promise<void> {
    try {
      await this.#run(migrationStatement(this.#schemaName));
    } catch (error) {
      if (sqlState(error) !== "42501") throw error;
      throw new PostgresError(
        `the role may not create schema ${this.#schema} for the index at ${this.#server.address}`,
        `run once as the database's owner: CREATE SCHEMA ${this.#schema} AUTHORIZATION <the role>;`,
        { cause: error },
      );
    }
  }

  /** Gives up waiting after the deadline; the server ends the statement by its own limit. */
  async #within<T>(work: () => Promise<T>): Promise<T> {
    const { promise: late, reject } = Promise.withResolvers<never>();
    const timer = setTimeout(() => {
      reject(
        new PostgresError(
          `the index at ${this.#server.address} did not answer within ${this.#deadlineMs} ms`,
          "is one of its tables locked, or the server down? Backups do not need it",
        ),
      );
    }, this.#deadlineMs);
    const result = work();
    result.catch(() => {}); // nobody waits for it any more after the deadline
    try {
      return await Promise.race([result, late]);
    } finally {
      clearTimeout(timer);
    }
  }
}

function newerSchema(schema: string, version: number): RepositoryError {
  return new RepositoryError(
    `the index in schema "${schema}" is of version ${version}; this backupctl knows ${SCHEMA_VERSION}`,
    "upgrade backupctl, or give it another schema by metadata.schema",
  );
}

/** The SQLSTATE of what a driver threw, or of what it threw because of. */
function sqlState(error: unknown): string | undefined {
  for (let current = error; current instanceof Error; current = current.cause) {
    const { sqlstate, code } = current as { readonly sqlstate?: unknown; readonly code?: unknown };
    const state = sqlstate ?? code;
    if (typeof state === "string" && /^[0-9A-Z]{5}$/.test(state)) return state;
  }
  return undefined;
}

/** Undefined table, or invalid schema name. PostgreSQL docs, "PostgreSQL Error Codes". */
function isLost(error: unknown): boolean {
  return ["42P01", "3F000"].includes(sqlState(error) ?? "");
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
    SET ${names.map((name) => `${name} = excluded.${name}`).join(", ")}`;
}

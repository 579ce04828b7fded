import { PostgresError, RepositoryError } from "../domain/errors.ts";
import type { PostgresServer } from "../postgres/postgres.ts";
import { migrationStatement, SCHEMA_VERSION } from "./migrations.ts";
import { quoteIdentifier, quoteLiteral } from "./sql_quote.ts";

/** A row as the driver returns it. */
export type IndexRow = Readonly<Record<string, unknown>>;

/**
 * Statements to the index in PostgreSQL: its schema is made and brought up to date when needed, and
 * every call ends within the deadline.
 */
export class IndexSession {
  /** The schema's name as SQL needs it. */
  readonly schema: string;
  readonly #server: PostgresServer;
  readonly #schemaName: string;
  readonly #deadlineMs: number;
  #ready = false;

  /** @throws {RangeError} when the schema's name cannot be one. */
  constructor(
    server: PostgresServer,
    { schema, deadlineMs }: { readonly schema: string; readonly deadlineMs: number },
  ) {
    this.#server = server;
    this.#schemaName = schema;
    this.schema = quoteIdentifier(schema);
    this.#deadlineMs = deadlineMs;
  }

  /** See {@link MetadataManager.prepare}. */
  async prepare(): Promise<void> {
    await this.#within(() => this.#migrate());
  }

  /** Runs a statement; the schema is made first where there is none. */
  async query(statement: string): Promise<readonly IndexRow[]> {
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

  /** Runs a statement that only reads; undefined when there is no schema of this version. */
  async glance(statement: string): Promise<readonly IndexRow[] | undefined> {
    return await this.#within(async () => {
      if (!this.#ready && await this.#version() !== SCHEMA_VERSION) return undefined;
      return await this.#run(statement);
    });
  }

  /**
   * Statements in one string are one transaction, so the limits hold for this one alone, whichever
   * connection it gets. PostgreSQL docs, "Multiple Statements in a Simple Query".
   */
  async #run(statement: string): Promise<readonly IndexRow[]> {
    const limit = Math.ceil(this.#deadlineMs * 0.8);
    const limits = `SET LOCAL lock_timeout = ${limit}; SET LOCAL statement_timeout = ${limit}`;
    try {
      return await this.#server.query(`${limits}; ${statement}`);
    } catch (error) {
      if (sqlState(error) !== INSUFFICIENT_PRIVILEGE || !(error instanceof Error)) throw error;
      throw new PostgresError(error.message, foreignSchemaRemedy(this.schema), { cause: error });
    }
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
    const table = `${this.schema}.schema_version`;
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
      if (sqlState(error) !== INSUFFICIENT_PRIVILEGE) throw error;
      throw new PostgresError(
        `the role may not create schema ${this.schema} for the index at ${this.#server.address}, ` +
          "or does not own it",
        `run once as the database's owner: CREATE SCHEMA ${this.schema} AUTHORIZATION <the role>;`,
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

/** PostgreSQL docs, "PostgreSQL Error Codes". */
const INSUFFICIENT_PRIVILEGE = "42501";

/** Whoever took the first backup made it, perhaps a superuser by hand. */
function foreignSchemaRemedy(schema: string): string {
  return `schema ${schema} belongs to another role: as its owner or a superuser run ` +
    `GRANT ALL ON SCHEMA ${schema} TO <the role>; GRANT ALL ON ALL TABLES IN SCHEMA ${schema} ` +
    "TO <the role>;";
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

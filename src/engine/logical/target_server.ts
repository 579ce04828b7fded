import type { BackupManifest } from "../../catalog/catalog.ts";
import { PostgresError } from "../../domain/errors.ts";
import type { ClientPrograms, ConnectionOptions, Program } from "../../postgres/postgres.ts";
import { serverAddress } from "./connection_string.ts";
import { psqlFailure } from "./psql_failure.ts";

/** psql's verbose words: `psql:<stdin>:7: ERROR:  42501: permission denied …`. */
const COMPLAINT = /^psql:.*?:\d+: [^:]+:\s+([0-9A-Z]{5}: .*)$/gm;

/** A live server that a logical backup goes into, asked by psql. */
export class TargetServer {
  readonly address: string;
  readonly #programs: ClientPrograms;
  readonly #program: Program;
  readonly #connection: ConnectionOptions;
  readonly #signal: AbortSignal | undefined;

  private constructor(programs: ClientPrograms, psql: Program, options: TargetOptions) {
    this.address = serverAddress(options.connection);
    this.#programs = programs;
    this.#program = psql;
    this.#connection = options.connection;
    this.#signal = options.signal;
  }

  /** @throws {VersionError} without psql of the backup's major or a later one. */
  static async open(programs: ClientPrograms, options: TargetOptions): Promise<TargetServer> {
    const major = Math.floor(options.backup.postgresVersion / 10_000);
    return new TargetServer(programs, await programs.find("psql", major), options);
  }

  /** Major version of the server. */
  async major(): Promise<number> {
    return Math.floor(Number(await this.ask("SHOW server_version_num")) / 10_000);
  }

  /** Names of a catalogue's column, such as `datname` of `pg_database`. */
  async names(column: string, catalog: string): Promise<ReadonlySet<string>> {
    const sql = `SELECT coalesce(json_agg(${column}), '[]') FROM pg_catalog.${catalog}`;
    return new Set(JSON.parse(await this.ask(sql)));
  }

  /** The first value of a query of our own. @throws {PostgresError} */
  async ask(
    sql: string,
    { database = this.#connection.database }: { readonly database?: string } = {},
  ): Promise<string> {
    const { output } = await this.#psql(`${sql};`, { database, settings: ["ON_ERROR_STOP=1"] });
    return output.trim();
  }

  /**
   * Runs SQL that came out of a backup, and goes on after errors. psql is kept from its own
   * commands, `\\!` among them: whoever could write into the repository wrote this. PostgreSQL docs,
   * psql, `\\restrict`; a psql from before August 2025 does not know it and ignores it.
   *
   * @returns the errors with their SQLSTATE in front.
   * @throws {PostgresError} when it cannot connect.
   */
  async runForeign(script: string): Promise<readonly string[]> {
    const own = script.replaceAll(/^\\(un)?restrict .*$/gm, "");
    const key = crypto.randomUUID().replaceAll("-", "");
    const { complaints } = await this.#psql(
      `SET client_min_messages = error;\n\\restrict ${key}\n${own}\n`,
      { database: this.#connection.database, settings: ["VERBOSITY=verbose"] },
    );
    return [...complaints.matchAll(COMPLAINT)].map(([, complaint]) => complaint!);
  }

  async #psql(
    script: string,
    { database, settings }: { readonly database: string; readonly settings: readonly string[] },
  ): Promise<{ readonly output: string; readonly complaints: string }> {
    const args = ["--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "--file=-"];
    const running = this.#programs.run(
      this.#program,
      [...args, ...settings.map((setting) => `--set=${setting}`)],
      {
        connection: { ...this.#connection, database },
        stdin: "piped",
        ...(this.#signal && { signal: this.#signal }),
      },
    );
    const input = new Blob([script]).stream();
    const written = input.pipeTo(running.stdin).catch(() => {}); // its status tells why
    const output = new Response(running.stdout).text();
    try {
      const { stderr } = await running.finished();
      return { output: await output, complaints: stderr };
    } catch (error) {
      if (!(error instanceof PostgresError)) throw error;
      throw psqlFailure(error, this.#connection);
    } finally {
      await Promise.all([written, output.catch(() => {})]);
    }
  }
}

/** What {@link TargetServer.open} needs to know. */
export interface TargetOptions {
  readonly connection: ConnectionOptions;
  readonly backup: BackupManifest;
  readonly signal?: AbortSignal;
}

import { dirname } from "node:path";
import { PostgresError, VersionError } from "../domain/errors.ts";
import { inTemporaryFolder } from "../domain/in_temporary_folder.ts";
import type {
  ClientPrograms,
  ConnectionOptions,
  Program,
  ProgramName,
  RunningProgram,
  RunOptions,
} from "./postgres.ts";
import { passwordLine } from "./password_file.ts";
import { programFolders, type ProgramPlaces, searchProgram } from "./program_search.ts";
import { passwordFilePrefix, sweepPasswordFiles } from "./sweep_password_files.ts";
import { ProgramProcess } from "./program_process.ts";
import { systemBundlePath } from "./tls_options.ts";

/** Variables that programs keep: where to find things, language, time zone, Kerberos. */
const KEPT = /^(PATH|HOME|TMPDIR|LANG|LC_[A-Z]+|TZ|LD_LIBRARY_PATH|KRB5.*)$/;
/** Programs that come with the server's package and not with the client's. */
const SERVER_PROGRAMS: readonly ProgramName[] = ["pg_ctl", "postgres", "initdb", "pg_verifybackup"];

/** PostgreSQL's programs on this machine. */
export class LocalPrograms implements ClientPrograms {
  readonly #places: ProgramPlaces;
  readonly #env: Readonly<Record<string, string>>;
  readonly #temporary: string | undefined;
  readonly #found = new Map<ProgramName, Promise<readonly Program[]>>();

  /**
   * Looks for nothing yet.
   *
   * @param options.bin the only folder to look in; PATH and the usual folders when absent.
   * @param options.env the process's variables.
   * @param options.temporary the folder of password files; the system's own when absent.
   */
  constructor({ bin, env, temporary }: {
    readonly bin?: string;
    readonly temporary?: string;
    readonly env: Readonly<Record<string, string | undefined>>;
  }) {
    this.#temporary = temporary;
    this.#places = { ...(bin && { bin }), ...(env.PATH && { path: env.PATH }) };
    const kept = Object.entries(env).filter(([name, value]) => KEPT.test(name) && value);
    this.#env = Object.fromEntries(kept) as Record<string, string>;
  }

  async find(name: ProgramName, minMajor: number): Promise<Program> {
    const all = this.#found.get(name) ?? this.#search(name);
    this.#found.set(name, all);
    const programs = await all;
    const program = programs.find(({ major }) => major >= minMajor);
    if (program) return program;
    throw tooOld(programs.at(-1), { name, minMajor, places: this.#places });
  }

  run(
    program: Program,
    args: readonly string[],
    { connection, stdin = "null", env, user, cwd, signal }: RunOptions,
  ): RunningProgram {
    signal?.throwIfAborted();
    const passwordFile = connection &&
      writePassword(connection, { reader: user, dir: this.#temporary });
    return ProgramProcess.start(program, {
      args: connection ? ["--no-password", ...args] : args,
      env: { ...this.#env, ...(connection && variables(connection, passwordFile)), ...env },
      stdin,
      ...(user && { user }),
      ...(cwd !== undefined && { cwd }),
      ...(passwordFile && { cleanUp: () => remove(passwordFile) }),
      ...(signal && { signal }),
    });
  }

  async #search(name: ProgramName): Promise<readonly Program[]> {
    return await searchProgram(name, await programFolders(this.#places));
  }
}

function tooOld(
  best: Program | undefined,
  { name, minMajor, places }: {
    readonly name: ProgramName;
    readonly minMajor: number;
    readonly places: ProgramPlaces;
  },
): VersionError {
  const kind = SERVER_PROGRAMS.includes(name) ? "postgresql" : "postgresql-client";
  const where = places.bin ?? "PATH and the usual folders";
  const hint = `install ${kind}-${minMajor}, or set postgres.bin to the folder that has it`;
  if (!best) return new VersionError(`${name} was not found in ${where}`, hint);
  const needed = name === "pg_dump" || name === "pg_dumpall" ? "the server" : "the required";
  return new VersionError(
    `${name} ${best.major} (${best.path}) is older than ${needed} ${minMajor}`,
    hint,
  );
}

/** A file that only the program's user may read, to be removed when the program has ended. */
function writePassword(
  { password, user }: ConnectionOptions,
  { reader, dir }: { readonly reader: RunOptions["user"]; readonly dir: string | undefined },
): string | undefined {
  if (password === undefined || password === "") return undefined;
  if (/[\r\n\0]/.test(password)) {
    throw new PostgresError(
      `the password of role ${user} has a line break, which PostgreSQL's programs cannot read`,
      "choose another password",
    );
  }
  const place = { ...(dir !== undefined && { dir }), suffix: ".pgpass" };
  const path = inTemporaryFolder(() =>
    Deno.makeTempFileSync({ ...place, prefix: passwordFilePrefix() })
  );
  try {
    Deno.chmodSync(path, 0o600);
    Deno.writeTextFileSync(path, passwordLine(password));
    const now = Deno.lstatSync(path).mtime?.getTime();
    if (now !== undefined) void sweepPasswordFiles(dirname(path), { now });
    if (reader) Deno.chownSync(path, reader.uid, reader.gid);
    return path;
  } catch (error) {
    remove(path);
    throw error;
  }
}

function remove(path: string): void {
  try {
    Deno.removeSync(path);
  } catch {
    // Somebody tidied the temporary folder.
  }
}

function variables(
  connection: ConnectionOptions,
  passwordFile: string | undefined,
): Record<string, string> {
  const { host, port, user, database, sslmode, sslcert, sslkey } = connection;
  const { applicationName = "backupctl", connectTimeout } = connection;
  const verifies = sslmode === "verify-ca" || sslmode === "verify-full";
  const root = connection.sslrootcert === "system" ? undefined : connection.sslrootcert;
  const rootcert = root ?? (verifies ? systemBundlePath() : undefined);
  return {
    ...{ PGHOST: host, PGPORT: String(port), PGUSER: user, PGDATABASE: database },
    ...{ PGSSLMODE: sslmode, PGAPPNAME: applicationName, PGCLIENTENCODING: "UTF8" },
    ...(passwordFile && { PGPASSFILE: passwordFile }),
    ...(rootcert && { PGSSLROOTCERT: rootcert }),
    ...(sslcert && { PGSSLCERT: sslcert }),
    ...(sslkey && { PGSSLKEY: sslkey }),
    ...(connectTimeout !== undefined && { PGCONNECT_TIMEOUT: String(Math.ceil(connectTimeout)) }),
  };
}

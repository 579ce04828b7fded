import type { Clock } from "../../domain/clock.ts";
import {
  DestinationError,
  PostgresError,
  RunFailedError,
  VersionError,
} from "../../domain/errors.ts";
import { pause } from "../../domain/pause.ts";
import type { ClientPrograms, Program, RunOptions } from "../../postgres/postgres.ts";
import { ProgramError } from "../../postgres/postgres.ts";
import type { PostmasterFile } from "./postmaster_state.ts";
import { readControlState, readPostmasterFile } from "./postmaster_state.ts";
import type { RecoveryRequest } from "./recovery_target.ts";
import {
  graveLines,
  lastReplayedCommit,
  remedyOf,
  saysPaused,
  saysTooSmall,
  ServerLog,
} from "./server_log.ts";

/** What became of a server that was started. */
export type StartedState =
  /** Open for writing: recovery is over. */
  | "promoted"
  /** At the target, open for reading, waiting for pg_wal_replay_resume(). */
  | "paused"
  /** Consistent, open for reading, going on with recovery. */
  | "standby"
  /** At the target, and ended. */
  | "shutdown";

/** A server that arrived where it should. */
export interface StartedServer {
  readonly state: StartedState;
  readonly pid: number | undefined;
  readonly port: number | undefined;
  readonly socketFolder: string | undefined;
  /** Where it wrote its log until its own settings took over. */
  readonly logFile: string;
  /** In the log's words. */
  readonly lastCommit: string | undefined;
  /** What to do next, for people. */
  readonly next: string | undefined;
}

/** How to start a restored data directory. */
export interface StartRestoredOptions {
  readonly dataDirectory: string;
  /** `server_version_num` of the backup. */
  readonly postgresVersion: number;
  /** Absent: it just opens. */
  readonly request?: RecoveryRequest;
  /** Settings for its command line. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Variables for its restore_command, such as the repository's credentials. */
  readonly env?: Readonly<Record<string, string>>;
  /** Who runs this; root starts the server as the owner of its data directory. */
  readonly uid: number | null;
  /** Asked besides the log, for servers that log in another language. */
  readonly isPaused?: (server: PostmasterFile) => Promise<boolean>;
  readonly clock: Clock;
  /** Milliseconds; then it is left to itself. @default {no limit} */
  readonly timeout?: number;
  readonly signal?: AbortSignal;
}

/** Milliseconds between two looks. */
const PAUSE_MS = 100;
/** Milliseconds until a server without postmaster.pid counts as ended: when it has logged, and when not. */
const APPEARS_WITHIN_MS = { logged: 1_000, silent: 5_000 };
/** Milliseconds between two questions whether the process is still there. */
const ALIVE_EVERY_MS = 2_000;
/** `pg_ctl status`: no server runs. */
const NOT_RUNNING = 3;

/** The name of the log in the data directory. */
export const START_LOG = "backupctl-start.log";

/**
 * Starts a restored server and waits until it is where its recovery was to end. It goes on running
 * when this process ends, as after `pg_ctl start`.
 *
 * @throws {PostgresError} with the log's FATAL lines when the server ends before; the data directory
 * stays as it is.
 * @throws {RunFailedError} when the time is up; the server goes on.
 * @throws {VersionError} when this machine has no server of that version.
 */
export async function startRestored(
  programs: ClientPrograms,
  options: StartRestoredOptions,
): Promise<StartedServer> {
  const program = await findServerControl(programs, options.postgresVersion);
  const owner = await serverOwner(options);
  const log = await ServerLog.open(options.dataDirectory, START_LOG);
  const run: RunOptions = {
    env: { ...options.env },
    cwd: options.dataDirectory,
    ...(owner && { user: owner }),
  };
  const control = (args: readonly string[]) =>
    finish(programs, program, { args: ["-D", options.dataDirectory, "-s", ...args], run });
  try {
    await control(["start", "-W", "-l", log.file, ...commandLine(options)]);
  } catch (error) {
    throw await failure(log, error);
  }
  return await new Watch(options, { log, control }).untilArrived();
}

/**
 * `pg_ctl` of the backup's own major version: no other server can run its data directory.
 *
 * @throws {VersionError} when this machine has none.
 */
export async function findServerControl(
  programs: ClientPrograms,
  version: number,
): Promise<Program> {
  const major = Math.floor(version / 10_000);
  const program = await programs.find("pg_ctl", major);
  if (program.major === major) return program;
  throw new VersionError(
    `${program.path} is of PostgreSQL ${program.major}, the backup of ${major}`,
    `install postgresql-${major}, or set postgres.bin to the folder that has it`,
  );
}

/** PostgreSQL refuses root. */
async function serverOwner(
  { uid, dataDirectory }: StartRestoredOptions,
): Promise<{ readonly uid: number; readonly gid: number } | undefined> {
  if (uid !== 0) return undefined;
  const info = await Deno.stat(dataDirectory);
  if (info.uid && info.gid !== null) return { uid: info.uid, gid: info.gid };
  throw new DestinationError(
    `${dataDirectory} belongs to root, as whom PostgreSQL does not run`,
    "give it to the user that is to run PostgreSQL",
  );
}

/** A restored postgresql.conf may name the original's data directory: that one must not be started. */
function commandLine(
  { dataDirectory, settings }: Pick<StartRestoredOptions, "dataDirectory" | "settings">,
): readonly string[] {
  const words = Object.entries({ data_directory: dataDirectory, ...settings })
    .map(([name, value]) => `-c '${`${name}=${value}`.replaceAll("'", `'\\''`)}'`);
  return ["-o", words.join(" ")];
}

async function finish(
  programs: ClientPrograms,
  program: Program,
  { args, run }: { readonly args: readonly string[]; readonly run: RunOptions },
): Promise<void> {
  const running = programs.run(program, args, run);
  const drained = running.stdout.pipeTo(new WritableStream()).catch(() => {});
  await running.finished();
  await drained;
}

async function failure(serverLog: ServerLog, cause?: unknown): Promise<PostgresError> {
  const log = await serverLog.read();
  const lines = graveLines(log);
  const last = lastReplayedCommit(log);
  const said = lines.length > 0 ? lines.join("; ") : String(cause ?? "its log is empty");
  return new PostgresError(
    `the restored server ended: ${said}${last ? `; last transaction replayed: ${last}` : ""}`,
    remedyOf(log) ?? `its log is ${serverLog.file}`,
    { cause },
  );
}

/** Looks at a starting server until it has arrived or ended. */
class Watch {
  readonly #options: StartRestoredOptions;
  readonly #log: ServerLog;
  readonly #control: (args: readonly string[]) => Promise<void>;
  readonly #startedAt: number;
  #seen: PostmasterFile | undefined;
  #aliveAt: number;

  constructor(
    options: StartRestoredOptions,
    { log, control }: {
      readonly log: ServerLog;
      readonly control: (args: readonly string[]) => Promise<void>;
    },
  ) {
    this.#options = options;
    this.#log = log;
    this.#control = control;
    this.#startedAt = options.clock.monotonic();
    this.#aliveAt = this.#startedAt;
  }

  async untilArrived(): Promise<StartedServer> {
    for (;;) {
      const file = await readPostmasterFile(this.#options.dataDirectory);
      this.#seen = file ?? this.#seen;
      const state = file ? await this.#stateOf(file) : undefined;
      if (state) return await this.#arrived(state, file);
      if (await this.#hasEnded(file)) return await this.#ended();
      this.#checkTime();
      await pause(PAUSE_MS, this.#options.signal);
    }
  }

  async #stateOf(file: PostmasterFile): Promise<StartedState | undefined> {
    const { request, dataDirectory } = this.#options;
    if (file.status !== "ready" && file.status !== "standby") return undefined;
    if (await readControlState(dataDirectory) === "in production") return "promoted";
    const log = await this.#log.read();
    if (saysTooSmall(log)) throw tooSmall(log, this.#log.file);
    if (request?.standby && request.target.kind === "latest") return "standby";
    if (request?.action !== "pause") return undefined;
    return saysPaused(log) || await this.#options.isPaused?.(file) ? "paused" : undefined;
  }

  async #arrived(state: StartedState, file: PostmasterFile | undefined): Promise<StartedServer> {
    const log = await this.#log.read();
    return {
      state,
      pid: file?.pid,
      port: file?.port,
      socketFolder: file?.socketFolder,
      logFile: this.#log.file,
      lastCommit: lastReplayedCommit(log),
      next: NEXT[state],
    };
  }

  /** The postmaster removes its file when it ends, unless it was killed. */
  async #hasEnded(file: PostmasterFile | undefined): Promise<boolean> {
    const now = this.#options.clock.monotonic();
    if (!file) return this.#seen !== undefined || await this.#hasVanished(now - this.#startedAt);
    if (now - this.#aliveAt < ALIVE_EVERY_MS) return false;
    this.#aliveAt = now;
    try {
      await this.#control(["status"]);
      return false;
    } catch (error) {
      return error instanceof ProgramError && error.status === NOT_RUNNING;
    }
  }

  /** It may have come and gone between two looks, or not have come yet. */
  async #hasVanished(elapsed: number): Promise<boolean> {
    if (elapsed < APPEARS_WITHIN_MS.logged) return false;
    return elapsed > APPEARS_WITHIN_MS.silent || await this.#log.read() !== "";
  }

  async #ended(): Promise<StartedServer> {
    const { dataDirectory, request } = this.#options;
    const meant = request !== undefined && request.action !== "promote";
    if (meant && await readControlState(dataDirectory) === "shut down in recovery") {
      return await this.#arrived("shutdown", undefined);
    }
    throw await failure(this.#log);
  }

  #checkTime(): void {
    const { timeout, clock, dataDirectory } = this.#options;
    if (timeout === undefined || clock.monotonic() - this.#startedAt < timeout) return;
    throw new RunFailedError(
      `the restored server is still in recovery after ${Math.round(timeout / 1000)} s`,
      `it goes on by itself: watch ${this.#log.file}, or pg_ctl -D ${dataDirectory} status`,
    );
  }
}

const NEXT: Readonly<Record<StartedState, string | undefined>> = {
  promoted: undefined,
  paused: "it stands still at the target, open for reading: " +
    "SELECT pg_wal_replay_resume() lets it open for writing",
  standby: "it goes on with recovery; pg_promote() or pg_ctl promote opens it for writing",
  shutdown: "it ended at the target; while recovery.signal is there, a start goes on from here",
};

function tooSmall(log: string, logFile: string): PostgresError {
  const lines = log.split("\n").filter((line) =>
    /insufficient parameter settings|is a lower setting/.test(line)
  );
  return new PostgresError(
    `the restored server stands still: ${lines.slice(-2).map((line) => line.trim()).join("; ")}`,
    remedyOf(log) ?? `its log is ${logFile}`,
  );
}

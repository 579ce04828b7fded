import type { BackupManifest } from "../../catalog/catalog.ts";
import type { Clock } from "../../domain/clock.ts";
import { PostgresError } from "../../domain/errors.ts";
import type {
  ClientPrograms,
  ConnectionOptions,
  Program,
  RunOptions,
} from "../../postgres/postgres.ts";
import { TargetServer } from "../logical/target_server.ts";
import type { RecoveryRequest } from "../recovery/recovery_target.ts";
import {
  findServerControl,
  type StartedServer,
  startRestored,
} from "../recovery/start_restored.ts";
import type { ScratchFolder } from "./scratch_folder.ts";
import { SCRATCH_PORT, scratchSettings } from "./scratch_settings.ts";

/** How a scratch server is started. */
export interface ScratchServerOptions {
  readonly backup: BackupManifest;
  /** Where its recovery is to end; absent: it just opens. */
  readonly request?: RecoveryRequest;
  /** Variables for its restore_command. */
  readonly env: Readonly<Record<string, string>>;
  /** Who runs this. */
  readonly uid: number | null;
  /** Of this machine. */
  readonly memoryMb: number;
  /** Whether its data directory came with a postgresql.conf. */
  readonly ownsConfiguration: boolean;
  readonly clock: Clock;
  readonly signal?: AbortSignal;
}

/** Seconds that a server gets to end, kindly and at once. After a signal there are 30 in all. */
const STOP_SECONDS = { fast: 15, immediate: 5 } as const;
/** The superuser that initdb made, whatever it is called. */
const SUPERUSER = "SELECT rolname FROM pg_catalog.pg_roles WHERE oid = 10";

/** A server that nobody else can reach. */
export class ScratchServer {
  readonly #programs: ClientPrograms;
  readonly #control: Program;
  readonly #folder: ScratchFolder;

  private constructor(programs: ClientPrograms, control: Program, folder: ScratchFolder) {
    this.#programs = programs;
    this.#control = control;
    this.#folder = folder;
  }

  /** Finds the programs. @throws {VersionError} */
  static async open(
    programs: ClientPrograms,
    folder: ScratchFolder,
    { postgresVersion }: BackupManifest,
  ): Promise<ScratchServer> {
    const control = await findServerControl(programs, postgresVersion);
    return new ScratchServer(programs, control, folder);
  }

  /**
   * Starts it and waits until it is open for writing.
   *
   * @throws {PostgresError} with the lines of its log that tell why it ended.
   */
  async start(options: ScratchServerOptions): Promise<StartedServer> {
    const { backup, request, ownsConfiguration, memoryMb, env, uid, clock, signal } = options;
    return await startRestored(this.#programs, {
      dataDirectory: this.#folder.dataDirectory,
      postgresVersion: backup.postgresVersion,
      settings: scratchSettings(this.#folder, { ownsConfiguration, memoryMb }),
      ...{ env, uid, clock, ...(request && { request }), ...(signal && { signal }) },
    });
  }

  /**
   * Ends it, by force when it does not listen. It may have ended by itself.
   *
   * @param options.atOnce there is no time to be kind.
   */
  async stop({ atOnce }: { readonly atOnce: boolean }): Promise<void> {
    const modes = atOnce ? ["immediate"] as const : ["fast", "immediate"] as const;
    for (const mode of modes) {
      if (!await this.#runs()) return;
      const how = ["-s", "-w", "-t", String(STOP_SECONDS[mode]), "-m", mode];
      await this.#run(["-D", this.#folder.dataDirectory, ...how, "stop"]).catch(ignoreRefusal);
    }
  }

  /** As `role`, over the socket. */
  connection(role: string): ConnectionOptions {
    const host = this.#folder.socketFolder;
    return { host, port: SCRATCH_PORT, user: role, database: "postgres", sslmode: "disable" };
  }

  /**
   * SQL as its superuser, whose name any role can tell.
   *
   * @param roles that may be there.
   * @throws {PostgresError} when none of them is.
   */
  async sql(
    roles: readonly string[],
    { backup, signal }: { readonly backup: BackupManifest; readonly signal?: AbortSignal },
  ): Promise<{ readonly server: TargetServer; readonly connection: ConnectionOptions }> {
    let refusal: unknown;
    for (const role of new Set(roles)) {
      const options = { backup, ...(signal && { signal }) };
      try {
        const known = { connection: this.connection(role), ...options };
        const name = await (await TargetServer.open(this.#programs, known)).ask(SUPERUSER);
        const connection = this.connection(name);
        const server = await TargetServer.open(this.#programs, { connection, ...options });
        return { server, connection };
      } catch (error) {
        if (!(error instanceof PostgresError)) throw error;
        refusal ??= error;
      }
    }
    throw refusal;
  }

  async #runs(): Promise<boolean> {
    try {
      await this.#run(["-D", this.#folder.dataDirectory, "-s", "status"]);
      return true;
    } catch (error) {
      ignoreRefusal(error);
      return false;
    }
  }

  async #run(args: readonly string[]): Promise<void> {
    const { owner, path } = this.#folder;
    const run = { cwd: path, ...(owner && { user: owner }) };
    await runControl(this.#programs, this.#control, { args, run });
  }
}

/**
 * Ends the server that a drill which was killed has left running: nobody needs it any more, so there
 * is no time to be kind. Never throws: one that goes on is found to run.
 *
 * @param options.backup any of the same major version.
 * @param options.uid who runs this.
 */
export async function stopAbandoned(
  programs: ClientPrograms,
  { dataDirectory, backup, uid: self }: {
    readonly dataDirectory: string;
    readonly backup: BackupManifest;
    readonly uid: number | null;
  },
): Promise<void> {
  const how = ["-s", "-w", "-t", String(STOP_SECONDS.fast), "-m", "immediate"];
  try {
    const control = await findServerControl(programs, backup.postgresVersion);
    const { uid, gid } = await Deno.stat(dataDirectory);
    const isOthers = self === 0 && uid !== null && gid !== null;
    await runControl(programs, control, {
      args: ["-D", dataDirectory, ...how, "stop"],
      run: { cwd: dataDirectory, ...(isOthers && { user: { uid, gid } }) },
    });
  } catch {
    // It may have ended by itself; whether it has is looked at next.
  }
}

async function runControl(
  programs: ClientPrograms,
  control: Program,
  { args, run }: { readonly args: readonly string[]; readonly run: RunOptions },
): Promise<void> {
  const running = programs.run(control, args, run);
  const drained = running.stdout.pipeTo(new WritableStream()).catch(() => {});
  await running.finished();
  await drained;
}

function ignoreRefusal(error: unknown): void {
  if (!(error instanceof PostgresError)) throw error;
}

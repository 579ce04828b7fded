/**
 * What a server tells through files of its data directory: no connection and no language needed.
 *
 * @module
 */

/** A running postmaster, from postmaster.pid. src/include/utils/pidfile.h */
export interface PostmasterFile {
  readonly pid: number;
  readonly port: number | undefined;
  /** The first folder of its Unix sockets. */
  readonly socketFolder: string | undefined;
  /** `ready`: it accepts connections, for reading alone while in recovery; `standby`: it never does. */
  readonly status: "starting" | "stopping" | "standby" | "ready" | undefined;
}

const [PID_LINE, PORT_LINE, SOCKET_LINE, STATUS_LINE] = [0, 3, 4, 7] as const;
/** Of `DBState` in pg_control. */
const STATES: Readonly<Record<number, ControlState>> = {
  2: "shut down in recovery",
  5: "in recovery",
  6: "in production",
};
/** Behind the system identifier and two version numbers. src/include/catalog/pg_control.h */
const STATE_OFFSET = 16;

/** Undefined when no server has the data directory, or its file is just being written. */
export async function readPostmasterFile(
  dataDirectory: string,
): Promise<PostmasterFile | undefined> {
  const text = await readText(`${dataDirectory}/postmaster.pid`);
  const lines = text?.split("\n").map((line) => line.trim());
  const pid = Number(lines?.[PID_LINE]);
  if (!lines || !Number.isInteger(pid) || pid <= 0) return undefined;
  const port = Number(lines[PORT_LINE]);
  const status = lines[STATUS_LINE];
  return {
    pid,
    port: port > 0 ? port : undefined,
    socketFolder: lines[SOCKET_LINE] || undefined,
    status: isStatus(status) ? status : undefined,
  };
}

function isStatus(text: string | undefined): text is NonNullable<PostmasterFile["status"]> {
  return text === "starting" || text === "stopping" || text === "standby" || text === "ready";
}

/** What a cluster is doing, as pg_control has it; undefined for what does not matter here. */
export type ControlState = "shut down in recovery" | "in recovery" | "in production";

/** Reads the state of the cluster. Right after a restore it is that of the moment of the backup. */
export async function readControlState(dataDirectory: string): Promise<ControlState | undefined> {
  const bytes = await Deno.readFile(`${dataDirectory}/global/pg_control`);
  // In the machine's own byte order, which is this one wherever Deno runs.
  return STATES[new DataView(bytes.buffer).getUint32(STATE_OFFSET, true)];
}

async function readText(path: string): Promise<string | undefined> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

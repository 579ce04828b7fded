/** What a scratch server differs in from the server that was backed up. */
export interface ScratchPaths {
  readonly dataDirectory: string;
  readonly hbaFile: string;
  readonly identFile: string;
  readonly socketFolder: string;
}

/** The number in the name of the socket; its folder is the server's own, so none is taken. */
export const SCRATCH_PORT = 5432;
/** What the server calls itself, in its command line and to `ps`. */
export const SCRATCH_NAME = "backupctl drill";
/** Prepared transactions that a log may hold, for a cluster whose own limit is not known. */
const MOST_PREPARED = 1000;

/**
 * Settings for the command line, where they win over every file: nobody outside may reach the copy,
 * and the copy must reach nobody. It archives nowhere, follows no primary, consumes no
 * subscription, runs no jobs, waits for no standby, and needs nothing outside its folder.
 *
 * @param options.ownsConfiguration its data directory came with a postgresql.conf.
 * @param options.memoryMb megabytes of this machine; a drill takes a part of them.
 */
export function scratchSettings(
  { dataDirectory, hbaFile, identFile, socketFolder }: ScratchPaths,
  { ownsConfiguration, memoryMb }: {
    readonly ownsConfiguration: boolean;
    readonly memoryMb: number;
  },
): Readonly<Record<string, string>> {
  const sharedMb = Math.min(1024, Math.max(16, Math.floor(memoryMb / 8)));
  return {
    data_directory: dataDirectory, // a postgresql.conf may name the original's
    hba_file: hbaFile,
    ident_file: identFile,
    external_pid_file: "",
    listen_addresses: "",
    unix_socket_directories: socketFolder,
    unix_socket_group: "",
    port: String(SCRATCH_PORT),
    ssl: "off",
    archive_mode: "off",
    primary_conninfo: "",
    synchronous_standby_names: "",
    max_logical_replication_workers: "0",
    "cron.launch_active_jobs": "off",
    hot_standby: "off", // its limits need not be the primary's then
    cluster_name: SCRATCH_NAME,
    logging_collector: "off",
    log_destination: "stderr",
    huge_pages: "off",
    shared_buffers: `${sharedMb}MB`,
    ...(ownsConfiguration ? {} : { max_prepared_transactions: String(MOST_PREPARED) }),
  };
}

/** What an error code means and what to do. */
export interface Explanation {
  readonly code: string;
  /** The exit status. */
  readonly status: number;
  readonly meaning: string;
  readonly remedy: string;
}

/** Every code that an error carries; docs/cli.md has the same table. */
export const EXPLANATIONS: readonly Explanation[] = [
  {
    code: "RUN_FAILED",
    status: 1,
    meaning: "The run failed for a reason that has no status of its own.",
    remedy: "The message says why; running the command again may help.",
  },
  {
    code: "ALERT_NOT_DELIVERED",
    status: 1,
    meaning: "An alert did not get through a channel: e-mail, a webhook or the heartbeat.",
    remedy: 'The message says what the receiver did; "backupctl alert test" tries each channel.',
  },
  {
    code: "USAGE",
    status: 2,
    meaning: "The command line is wrong: a command, a flag, a value or a combination.",
    remedy: "The command with --help shows what it takes.",
  },
  {
    code: "PARTIAL",
    status: 3,
    meaning: "Part of the work was done and part was not.",
    remedy: "The message says which part is missing.",
  },
  {
    code: "CONFIG_INVALID",
    status: 4,
    meaning: "The configuration, an environment variable or a file with a secret is wrong.",
    remedy: 'Each fault names its place. "backupctl config show" prints what applies.',
  },
  {
    code: "INCREMENT_REFUSED",
    status: 5,
    meaning: "The server cannot tell what changed since the backup that was to be built on.",
    remedy:
      '"backup incremental" takes a full one by itself; docs/incremental-backups.md says why.',
  },
  {
    code: "POSTGRES_REFUSED",
    status: 5,
    meaning: "PostgreSQL cannot be reached, or refuses what was asked.",
    remedy: 'Check host, port, role and pg_hba.conf; "backupctl test" tells them apart.',
  },
  {
    code: "STORAGE_REFUSED",
    status: 6,
    meaning: "The bucket or folder of the repository refuses what was asked.",
    remedy: "Check that it exists and that the keys or this user may read and write it.",
  },
  {
    code: "STORAGE_UNREACHABLE",
    status: 6,
    meaning: "The object store did not answer, also after several tries.",
    remedy: "Check the endpoint, the network, and whether the store is up; then run again.",
  },
  {
    code: "OBJECT_EXISTS",
    status: 6,
    meaning: "An object of that name is in the repository already; it was left as it is.",
    remedy: "Does another run or another cluster write under the same name?",
  },
  {
    code: "OBJECT_MISSING",
    status: 6,
    meaning: "The store says that the object does not exist.",
    remedy: '"backupctl repo ls" lists what is there. Did a lifecycle rule remove it?',
  },
  {
    code: "NOTHING_MATCHES",
    status: 7,
    meaning: "No backup, database or object matches what was asked for.",
    remedy: '"backupctl status" lists the backups; is it the right --cluster?',
  },
  {
    code: "INTEGRITY",
    status: 8,
    meaning: "Stored bytes are not what was written: a checksum, a length, a missing object.",
    remedy: "Do not trust this backup; restore another one, and find out what changed the object.",
  },
  {
    code: "DESTINATION",
    status: 9,
    meaning: "The destination is not empty, in use, too small or not writable.",
    remedy:
      "Name an empty folder with enough room; the message says when something was left in it.",
  },
  {
    code: "REPOSITORY",
    status: 10,
    meaning: "There is no repository here, or it has a newer format.",
    remedy: "Check bucket, prefix and --cluster; for a newer format, upgrade backupctl. One that " +
      "was there is not begun anew: mount its folder, or remove the file that the hint names.",
  },
  {
    code: "LEASE_HELD",
    status: 11,
    meaning: "Another run, perhaps on another host, does what must not be done twice at a time.",
    remedy: "The message names it. Wait for it; the lease of a dead process runs out by itself.",
  },
  {
    code: "LEASE_LOST",
    status: 11,
    meaning:
      "The run was suspended until others could take over, and stopped before its next write.",
    remedy: "Run the command again. Was the machine asleep, or the store out of reach for long?",
  },
  {
    code: "KEY",
    status: 12,
    meaning: "An identity that opens encrypted objects is missing, is none, or is another one's.",
    remedy:
      'Give the right one with --identity or encryption.identity_file; "backupctl key check" ' +
      "tells what an identity opens.",
  },
  {
    code: "VERSION_NOT_SUPPORTED",
    status: 13,
    meaning: "The PostgreSQL version, or a client program's, cannot do what was asked.",
    remedy: "Install client programs of at least the server's major, or set postgres.bin.",
  },
  {
    code: "STALE",
    status: 14,
    meaning: "The newest full backup, or WAL that waits, is older than a rule allows.",
    remedy: 'See "backupctl test" for which; alerts.rules has full_max_age and wal_lag.',
  },
  {
    code: "ARCHIVE_CONFLICT",
    status: 15,
    meaning: "A WAL file of that name is archived with other content; nothing was overwritten.",
    remedy: "Does a restored copy, or another cluster, archive under the same cluster name?",
  },
  {
    code: "BUG",
    status: 70,
    meaning: "Something happened that backupctl does not know: a mistake in the program.",
    remedy: "Please report it with the lines that were printed.",
  },
  {
    code: "INTERRUPTED",
    status: 130,
    meaning: "SIGINT (Ctrl-C) or SIGTERM ended the run; what was begun was undone.",
    remedy: "Run the command again.",
  },
];

import * as v from "valibot";

/** How a command ended. */
export type AuditOutcome = "succeeded" | "failed" | "interrupted";

/** Who did what with the repository, where, and how it ended. */
export interface AuditEvent {
  /** A UUID: recording the same event twice is recording it once. */
  readonly eventId: string;
  /** The cluster that it was about. */
  readonly cluster: string;
  /** When it ended: RFC 3339 UTC. */
  readonly at: string;
  /** The command's words: `backup full`. */
  readonly operation: string;
  /** The whole command line, without secrets. */
  readonly command: string;
  /** How it ended. */
  readonly outcome: AuditOutcome;
  /** The status that the process ended with. */
  readonly exitStatus: number;
  /** Why it failed: {@link BackupctlError.code}. */
  readonly errorCode: string | null;
  /** The user of the operating system: `postgres`, `root (sudo by alice)`. */
  readonly osUser: string | null;
  /** The role that it used at the server. */
  readonly pgRole: string | null;
  /** The machine that it ran on. */
  readonly host: string | null;
  /** The version of backupctl. */
  readonly toolVersion: string;
}

const text = v.nullable(v.string());

const schema = v.object({
  eventId: v.pipe(v.string(), v.uuid()),
  cluster: v.string(),
  at: v.pipe(v.string(), v.isoTimestamp()),
  operation: v.string(),
  command: v.string(),
  outcome: v.picklist(["succeeded", "failed", "interrupted"]),
  exitStatus: v.pipe(v.number(), v.safeInteger()),
  errorCode: text,
  osUser: text,
  pgRole: text,
  host: text,
  toolVersion: v.string(),
});

/** Checks what was read from a journal; undefined when it is not a whole event. */
export function readAuditEvent(value: unknown): AuditEvent | undefined {
  const result = v.safeParse(schema, value);
  return result.success ? result.output : undefined;
}

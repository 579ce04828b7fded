import { BackupctlError, exitStatus } from "../domain/errors.ts";

/** How a check came out. */
export type CheckState = "ok" | "warning" | "failed";

/** One line of `test`. */
export interface Check {
  /** What was looked at: `connection`. */
  readonly name: string;
  readonly state: CheckState;
  /** What was found. */
  readonly message: string;
  /** The remedy; only beside a warning or a failure. */
  readonly hint?: string;
  /** The exit status that this failure stands for. */
  readonly status?: number;
  /** Older than a rule of the configuration allows: a failure for those who ask for freshness. */
  readonly stale?: true;
  /** For monitoring systems. */
  readonly figures?: readonly CheckFigure[];
}

/** One figure of a check. */
export interface CheckFigure {
  readonly label: string;
  readonly value: number;
  /** `s`, `B`, `%` or nothing. */
  readonly unit: string;
  /** Above it something is wrong. */
  readonly warn?: number;
}

/** What was found, and that it is well. */
export function ok(name: string, message: string): Check {
  return { name, state: "ok", message };
}

/** Not well, but a backup can be taken. */
export function warning(name: string, message: string, hint: string): Check {
  return { name, state: "warning", message, hint };
}

/** The check of something that throws when it is not well. Bugs are not swallowed. */
export async function attempt(
  name: string,
  look: () => Promise<Check>,
): Promise<Check> {
  try {
    return await look();
  } catch (error) {
    return failed(name, error);
  }
}

/** A failure in the words of its error. @throws what is no expected failure. */
export function failed(name: string, error: unknown): Check {
  if (!(error instanceof BackupctlError)) throw error;
  const { message, hint } = error;
  const status = exitStatus(error);
  return { name, state: "failed", message, status, ...(hint !== undefined && { hint }) };
}

import { BackupctlError, type ErrorCause } from "../../domain/errors.ts";

/** A message did not get through a channel. What it says holds no secret. */
export class DeliveryError extends BackupctlError {
  /** Stable, see {@link BackupctlError.code}. */
  readonly code = "ALERT_NOT_DELIVERED";
  /** See {@link BackupctlError.exitCode}. */
  readonly exitCode = 1;
  /** The receiver refused this very message or these credentials: others may get through. */
  readonly refused: boolean;
  /** Milliseconds that the receiver asks to be left alone for. */
  readonly retryAfterMs: number | undefined;

  /** Says what the receiver did. */
  constructor(
    message: string,
    { hint, refused = false, retryAfterMs, cause }: ErrorCause & {
      readonly hint?: string;
      readonly refused?: boolean;
      readonly retryAfterMs?: number;
    } = {},
  ) {
    super(message, hint, cause === undefined ? {} : { cause });
    this.refused = refused;
    this.retryAfterMs = retryAfterMs;
  }
}

import type { Bytes } from "../../domain/bytes.ts";

/** A connection as bytes. */
export interface Channel {
  /** Whether the bytes are encrypted. */
  readonly encrypted: boolean;
  /** Reads what is there, at least one byte, into `buffer`; null at the end. */
  read(buffer: Bytes): Promise<number | null>;
  /** Writes all of `bytes`. */
  write(bytes: Bytes): Promise<void>;
  /** Ends the connection; pending reads fail. May be called again. */
  close(): void;
}

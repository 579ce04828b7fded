import type { Message } from "../notice.ts";

/** A way to reach people. */
export interface Channel {
  /** What the configuration calls it: `email`, `slack-1`. */
  readonly name: string;
  /** Where it leads, without what is secret in it. */
  readonly target: string;
  /**
   * Returns when the receiver has taken the message.
   *
   * @throws {DeliveryError}
   */
  send(message: Message, options?: { readonly signal?: AbortSignal }): Promise<void>;
}

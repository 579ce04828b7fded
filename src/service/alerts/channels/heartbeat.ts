import { placeOf, type RequestOptions, sendRequest } from "./http_request.ts";

/** How a heartbeat is sent, and where to. */
export interface HeartbeatOptions extends Omit<RequestOptions, "signal"> {
  readonly url: string;
}

/**
 * A dead man's switch: an address that somebody else watches, and that raises the alarm when
 * nothing is heard from here any more. It is the only alert that a dead machine can give.
 */
export class Heartbeat {
  readonly #url: URL;
  readonly #options: RequestOptions;

  /** Contacts nobody yet. */
  constructor({ url, ...options }: HeartbeatOptions) {
    this.#url = new URL(url);
    this.#options = options;
  }

  /** Where it leads, without what is secret in it. */
  get target(): string {
    return placeOf(this.#url);
  }

  /** @throws {DeliveryError} */
  async beat({ signal }: { readonly signal?: AbortSignal } = {}): Promise<void> {
    await sendRequest(this.#url, { method: "GET", headers: {} }, {
      ...this.#options,
      ...(signal && { signal }),
    });
  }
}

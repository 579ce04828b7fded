import { createHmac } from "node:crypto";
import { DeliveryError } from "../delivery_error.ts";
import type { Message } from "../notice.ts";
import type { Channel } from "./channel.ts";
import { placeOf, type RequestOptions, sendRequest } from "./http_request.ts";
import { alertmanagerBody } from "./presets/alertmanager.ts";
import { discordBody } from "./presets/discord.ts";
import { genericBody } from "./presets/generic.ts";
import { pagerdutyBodies } from "./presets/pagerduty.ts";
import { slackBody } from "./presets/slack.ts";
import { teamsBody } from "./presets/teams.ts";

/** What a receiver understands. */
export type WebhookKind = "generic" | "slack" | "teams" | "discord" | "pagerduty" | "alertmanager";

/** Where alerts are posted to. */
export interface WebhookOptions extends Omit<RequestOptions, "signal"> {
  readonly name: string;
  readonly url: string;
  readonly kind: WebhookKind;
  /** generic: signs; pagerduty: the routing key; alertmanager: a bearer token. */
  readonly secret?: string;
  /** Milliseconds after which an alert is told again. */
  readonly repeatMs: number;
  /** The time of the signature. */
  readonly now: () => Date;
}

/** Alerts as HTTP POSTs. */
export class WebhookChannel implements Channel {
  readonly name: string;
  readonly #url: URL;
  readonly #options: WebhookOptions;

  /** Contacts nobody yet. */
  constructor(options: WebhookOptions) {
    this.name = options.name;
    this.#url = new URL(options.url);
    this.#options = options;
  }

  /** See {@link Channel}. */
  get target(): string {
    return `${this.#options.kind} at ${placeOf(this.#url)}`;
  }

  /** See {@link Channel}. @throws {DeliveryError} */
  async send(
    message: Message,
    { signal }: { readonly signal?: AbortSignal } = {},
  ): Promise<void> {
    for (const body of this.#bodies(message)) {
      const text = JSON.stringify(body);
      await sendRequest(
        this.#url,
        { method: "POST", headers: this.#headers(text, message), body: text },
        { ...this.#options, ...(signal && { signal }) },
      );
    }
  }

  #bodies(message: Message): readonly unknown[] {
    const { kind, secret, repeatMs } = this.#options;
    switch (kind) {
      case "generic":
        return [genericBody(message)];
      case "slack":
        return [slackBody(message)];
      case "teams":
        return [teamsBody(message)];
      case "discord":
        return [discordBody(message)];
      case "alertmanager":
        return [alertmanagerBody(message, { repeatMs })];
      case "pagerduty":
        if (secret === undefined) {
          throw new DeliveryError(`${this.name} has no routing key`, {
            hint: "set its secret or secret_file to the integration key of PagerDuty",
            refused: true,
          });
        }
        return pagerdutyBodies(message, { routingKey: secret });
    }
  }

  #headers(body: string, message: Message): Record<string, string> {
    const { kind, secret, now } = this.#options;
    const headers = {
      "content-type": "application/json; charset=utf-8",
      "x-backupctl-delivery": message.id,
    };
    if (secret === undefined || kind === "pagerduty") return headers;
    if (kind === "alertmanager") return { ...headers, authorization: `Bearer ${secret}` };
    return kind === "generic"
      ? { ...headers, ...signature(body, { secret, now: now() }) }
      : headers;
  }
}

/**
 * The time in seconds, and HMAC-SHA256 (RFC 2104) in hexadecimal over the time, a full stop and the
 * body: a receiver that checks both can neither be lied to nor be sent an old message again.
 */
export function signature(
  body: string,
  { secret, now }: { readonly secret: string; readonly now: Date },
): { readonly "x-backupctl-timestamp": string; readonly "x-backupctl-signature": string } {
  const time = String(Math.floor(now.getTime() / 1000));
  const digest = createHmac("sha256", secret).update(`${time}.${body}`).digest("hex");
  return { "x-backupctl-timestamp": time, "x-backupctl-signature": `sha256=${digest}` };
}

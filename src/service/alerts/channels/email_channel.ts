import { isIP } from "node:net";
import type { Message } from "../notice.ts";
import { DeliveryError } from "../delivery_error.ts";
import type { Channel } from "./channel.ts";
import { messageHtml } from "./message_html.ts";
import { headline, messageText, shorten } from "./message_text.ts";
import { type Resolver, targetAddresses } from "./target_address.ts";

/** How mail is handed in. */
export interface EmailOptions {
  readonly name: string;
  readonly host: string;
  readonly port: number;
  /** `starttls`: nothing is said before the connection is encrypted; `smtps`: from the start. */
  readonly tls: "none" | "starttls" | "smtps";
  readonly user?: string;
  readonly password?: string;
  readonly from: string;
  readonly to: readonly string[];
  /** Certificates that are trusted instead of the system's, in PEM. */
  readonly ca?: string;
  /** Milliseconds for a whole message. @default {20000} */
  readonly timeoutMs?: number;
  /** For tests. */
  readonly resolver?: Resolver;
}

/** What nodemailer's errors carry. */
interface MailError {
  readonly code?: string;
  readonly responseCode?: number;
  readonly message?: string;
}

/** Alerts by SMTP (RFC 5321), each a mail in plain text and HTML. */
export class EmailChannel implements Channel {
  readonly name: string;
  readonly #options: EmailOptions;

  /** Contacts nobody yet. */
  constructor(options: EmailOptions) {
    this.name = options.name;
    this.#options = options;
  }

  /** See {@link Channel}. */
  get target(): string {
    const { host, port, to } = this.#options;
    return `${to.join(", ")} by ${host}:${port}`;
  }

  /** See {@link Channel}. @throws {DeliveryError} */
  async send(
    message: Message,
    { signal }: { readonly signal?: AbortSignal } = {},
  ): Promise<void> {
    const { timeoutMs = 20_000 } = this.#options;
    const controller = new AbortController();
    const timer = setTimeout(() => controller.abort(this.#late(timeoutMs)), timeoutMs);
    const limit = signal ? AbortSignal.any([signal, controller.signal]) : controller.signal;
    try {
      await this.#handIn(message, limit);
    } catch (error) {
      if (limit.aborted) throw this.#deliveryError(limit.reason);
      throw this.#deliveryError(error);
    } finally {
      clearTimeout(timer);
    }
  }

  #late(timeoutMs: number): DeliveryError {
    return new DeliveryError(`${this.#place} did not take the mail within ${timeoutMs / 1000} s`);
  }

  get #place(): string {
    return `${this.#options.host}:${this.#options.port}`;
  }

  async #handIn(message: Message, signal: AbortSignal): Promise<void> {
    const { host, resolver, from, to } = this.#options;
    const [target] = await targetAddresses(host, { signal, ...(resolver && { resolver }) });
    const { createTransport } = await import("nodemailer");
    const transport = createTransport(this.#transport(target!.address));
    const close = () => transport.close();
    signal.addEventListener("abort", close, { once: true });
    const { promise: aborted, reject } = Promise.withResolvers<never>();
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    try {
      const sent = transport.sendMail({
        from,
        to: [...to],
        subject: shorten(`[backupctl] ${headline(message)}`, 200),
        text: messageText(message),
        html: messageHtml(message),
        // The same for a second try, so that mail programs show the two as one.
        messageId: `<${message.id}@backupctl>`,
        headers: { "Auto-Submitted": "auto-generated", "X-Backupctl-Cluster": message.cluster },
        ...(message.notices.some(({ severity }) => severity === "critical") && {
          priority: "high" as const,
        }),
        disableFileAccess: true,
        disableUrlAccess: true,
      });
      sent.catch(() => {}); // nobody waits for it any more after the abort
      await Promise.race([sent, aborted]);
    } finally {
      signal.removeEventListener("abort", close);
      transport.close();
    }
  }

  #transport(address: string) {
    const { host, port, tls, user, password, ca, timeoutMs = 20_000 } = this.#options;
    return {
      host: address,
      port,
      secure: tls === "smtps",
      // Without it a server, or somebody in between, that offers no STARTTLS would get it all.
      requireTLS: tls === "starttls",
      ignoreTLS: tls === "none",
      ...(user !== undefined && { auth: { user, pass: password ?? "" } }),
      tls: {
        // The certificate must be of what was configured: a name is given here; an address, which
        // must not be (RFC 6066, 3), is what is connected to.
        ...(isIP(host) === 0 && { servername: host }),
        minVersion: "TLSv1.2" as const,
        ...(ca !== undefined && { ca }),
      },
      name: "localhost",
      // Ours ends it before, and says in words what was waited for.
      connectionTimeout: 2 * timeoutMs,
      greetingTimeout: 2 * timeoutMs,
      socketTimeout: 2 * timeoutMs,
      logger: false as const,
    };
  }

  /** Never the server's whole answer: some repeat what they were sent. */
  #deliveryError(error: unknown): DeliveryError {
    if (error instanceof DeliveryError) return error;
    const { code = "", responseCode, message = "" } = (error ?? {}) as MailError;
    const answer = responseCode === undefined ? "" : ` with ${responseCode}`;
    if (code === "EAUTH") {
      return new DeliveryError(`${this.#place} refused the login${answer}`, {
        hint: "are alerts.email.user and its password right?",
        cause: error,
      });
    }
    if (code === "ETLS" || /certificate|altnames|self.signed|STARTTLS/i.test(message)) {
      return new DeliveryError(`${this.#place}: no encrypted connection: ${reasonOf(message)}`, {
        hint: "nothing was sent; is alerts.email.tls right, and the certificate trusted (ca_file)?",
        cause: error,
      });
    }
    // 5yz is final for this message (RFC 5321, 4.2.1); 4yz asks to come back.
    const refused = responseCode !== undefined && responseCode >= 500;
    return new DeliveryError(
      responseCode !== undefined
        ? `${this.#place} refused the mail${answer}`
        : `${this.#place} cannot be reached: ${reasonOf(message)}`,
      {
        refused,
        ...(refused && { hint: "are the sender and the receivers right?" }),
        cause: error,
      },
    );
  }
}

function reasonOf(message: string): string {
  const text = message.replace(/ \(os error.*$/s, "").replace(/\s+/g, " ");
  return shorten(text, 160) || "the connection broke";
}

import type { AddressInfo, Socket } from "node:net";
import { SMTPServer, type SMTPServerOptions } from "smtp-server";

/** A mail as the server got it. */
export interface ReceivedMail {
  readonly from: string;
  readonly to: readonly string[];
  /** Headers and body, as sent. */
  readonly raw: string;
  readonly encrypted: boolean;
  readonly user: string | undefined;
}

/** How a {@link MailServer} behaves. */
export interface MailServerOptions {
  /** @default {"starttls"} */
  readonly tls?: "none" | "starttls" | "smtps";
  /** PEM texts; needed unless `tls` is none. */
  readonly cert?: string;
  readonly key?: string;
  /** Who may log in; nobody needs to when absent. */
  readonly login?: { readonly user: string; readonly password: string };
  /** Answers to the end of a mail, in turn: a status such as 451 refuses. The last one stays. */
  readonly answers?: readonly number[];
  /** Accepts connections and says nothing. */
  readonly silent?: boolean;
}

/** A real SMTP server on a free port of 127.0.0.1. */
export class MailServer implements AsyncDisposable {
  readonly mails: ReceivedMail[] = [];
  /** Mails that came to their end, refused ones too. */
  attempts = 0;
  readonly #server: SMTPServer;
  readonly #sockets = new Set<Socket>();

  private constructor(options: MailServerOptions) {
    this.#server = new SMTPServer(this.#settings(options));
    this.#server.on("error", () => {}); // a client that breaks off is not this server's fault
    this.#server.server.on("connection", (socket: Socket) => {
      this.#sockets.add(socket);
      socket.on("error", () => {});
    });
  }

  /** Starts one. */
  static async start(options: MailServerOptions = {}): Promise<MailServer> {
    const server = new MailServer(options);
    const { promise, resolve } = Promise.withResolvers<void>();
    server.#server.listen(0, "127.0.0.1", resolve);
    await promise;
    return server;
  }

  get port(): number {
    return (this.#server.server.address() as AddressInfo).port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#server.close(() => resolve());
    for (const socket of this.#sockets) socket.destroy();
    await promise;
  }

  #settings(options: MailServerOptions): SMTPServerOptions {
    const { tls = "starttls", cert, key, login, answers = [], silent = false } = options;
    return {
      secure: tls === "smtps",
      ...(cert !== undefined && key !== undefined && { cert, key }),
      disabledCommands: tls === "starttls" ? [] : ["STARTTLS"],
      authOptional: login === undefined,
      allowInsecureAuth: tls === "none",
      closeTimeout: 100,
      logger: false,
      onConnect: (_session, callback) => {
        if (!silent) callback();
      },
      onAuth: (auth, _session, callback) => {
        const right = auth.username === login?.user && auth.password === login?.password;
        if (right) callback(null, { user: auth.username ?? "" });
        else callback(new Error("wrong"));
      },
      onData: (stream, session, callback) => {
        const chunks: Uint8Array[] = [];
        stream.on("data", (chunk: Uint8Array) => chunks.push(chunk));
        stream.on("end", () => {
          const code = answers[Math.min(this.attempts, answers.length - 1)] ?? 250;
          this.attempts++;
          if (code >= 400) {
            const canary = login?.password ?? "";
            callback(Object.assign(new Error(`no: ${canary}`), { responseCode: code }));
            return;
          }
          this.mails.push({
            from: session.envelope.mailFrom ? session.envelope.mailFrom.address : "",
            to: session.envelope.rcptTo.map(({ address }) => address),
            raw: new TextDecoder().decode(concat(chunks)),
            encrypted: session.secure,
            user: session.user,
          });
          callback();
        });
      },
    };
  }
}

function concat(chunks: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(chunks.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole;
}

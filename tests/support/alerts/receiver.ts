/** What a receiver was sent. */
export interface ReceivedRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Headers;
  readonly body: string;
}

/** What a receiver answers: a status, a whole answer, or nothing at all. */
export type ReceiverAnswer = number | Response | "never" | "break";

/** A receiver of webhooks on a free port of 127.0.0.1, with TLS when it has a certificate. */
export class Receiver implements AsyncDisposable {
  readonly requests: ReceivedRequest[] = [];
  readonly port: number;
  readonly #server: Deno.HttpServer;
  readonly #stop = new AbortController();

  /** @param answers in turn; the last one stays. */
  constructor(
    answers: readonly ReceiverAnswer[] = [200],
    tls?: { readonly cert: string; readonly key: string },
  ) {
    const options = {
      hostname: "127.0.0.1",
      port: 0,
      signal: this.#stop.signal,
      onListen: () => {},
      onError: () => new Response(null, { status: 500 }),
      ...tls,
    };
    this.#server = Deno.serve(options, (request) => this.#answer(request, answers));
    this.port = (this.#server.addr as Deno.NetAddr).port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#server.finished;
  }

  async #answer(request: Request, answers: readonly ReceiverAnswer[]): Promise<Response> {
    const turn = Math.min(this.requests.length, answers.length - 1);
    const { pathname, search } = new URL(request.url);
    const { method, headers } = request;
    this.requests.push({ method, path: pathname + search, headers, body: await request.text() });
    const answer = answers[turn] ?? 200;
    if (typeof answer === "number") return new Response("ok", { status: answer });
    if (answer === "never") return await new Promise<Response>(() => {});
    if (answer === "break") throw new Error("broken on purpose");
    return answer.clone();
  }
}

import type { LightTarget } from "./light_connection.ts";
import { ConnectionError } from "./light_response.ts";
import type { LightAnswer, LightRequest, LightTransport } from "./light_transport.ts";

/** `fetch`, which knows the proxy variables. Redirects are handed back, never followed. */
export class FetchTransport implements LightTransport {
  readonly #origin: string;
  readonly #client: Deno.HttpClient;
  readonly #idleMs: number;

  constructor({ hostname, port, tls, caCerts, idleMs }: LightTarget) {
    this.#origin = `${tls ? "https" : "http"}://${hostname}:${port}`;
    this.#client = Deno.createHttpClient({ caCerts: [...caCerts] });
    this.#idleMs = idleMs;
  }

  async exchange(request: LightRequest, signal: AbortSignal): Promise<LightAnswer> {
    const { method, path, headers: { host: _, ...headers }, body } = request;
    try {
      const answer = await fetch(`${this.#origin}${path}`, {
        ...{ method, headers, body: body ?? null, redirect: "manual" },
        ...{ signal: AbortSignal.any([signal, AbortSignal.timeout(this.#idleMs * 3)]) },
        client: this.#client,
      });
      return fetched(answer, signal);
    } catch (error) {
      signal.throwIfAborted();
      throw new ConnectionError(error instanceof Error ? error.message : String(error), {
        cause: error,
      });
    }
  }

  async warm(): Promise<void> {}

  close(): void {
    this.#client.close();
  }
}

function fetched(answer: Response, signal: AbortSignal): LightAnswer {
  const reader = answer.body?.getReader();
  const expected = Number(answer.headers.get("content-length") ?? NaN);
  let bytes = 0;
  return {
    status: answer.status,
    headers: new Map(answer.headers),
    read: async () => {
      const part = await reader?.read().catch((error: unknown) => {
        signal.throwIfAborted();
        throw new ConnectionError("the answer broke off", { answered: true, cause: error });
      });
      bytes += part?.value?.length ?? 0;
      if (part?.value) return part.value;
      if (!reader || Number.isNaN(expected) || bytes === expected) return undefined;
      throw new ConnectionError("the answer was cut short", { answered: true });
    },
    discard: () => void reader?.cancel().catch(() => {}),
  };
}

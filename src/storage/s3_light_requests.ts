import type { Bytes } from "../domain/bytes.ts";
import type { Clock } from "../domain/clock.ts";
import { StorageError } from "../domain/errors.ts";
import { ConnectionError } from "./light_response.ts";
import type { LightAnswer, LightTransport } from "./light_transport.ts";
import { s3Error } from "./s3_errors.ts";
import type { S3Failure } from "./s3_failure.ts";
import type { S3Address } from "./s3_light_address.ts";
import { connectionFailure, readFailure } from "./s3_light_answer.ts";
import type { S3Settings } from "./s3_options.ts";
import { type AwsCredentials, encodePath, encodeQuery, signRequest } from "./sigv4.ts";

/** The first pause between attempts is at most this long; it doubles. */
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5_000;

/** What requests are made with. */
export interface RequestParts {
  readonly transport: LightTransport;
  readonly address: S3Address;
  readonly settings: S3Settings;
  readonly region: string;
  /** Asked before each attempt; with `renew` after the store called the last ones expired. */
  readonly credentials: (renew: boolean) => Promise<AwsCredentials>;
  readonly clock: Clock;
  /** Milliseconds until a call, its further attempts included, is given up. */
  readonly deadlineMs: number;
}

/** One call to the store. */
export interface LightCall {
  /** The S3 operation, for messages: `PutObject`. */
  readonly operation: string;
  readonly method: "GET" | "HEAD" | "PUT" | "DELETE";
  /** Without the prefix; absent for the bucket itself. */
  readonly key?: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Bytes;
  readonly payloadHash: string;
  /** Statuses that are an answer and no failure. */
  readonly accept: readonly number[];
  /** Called when the connection broke, since the request may have been carried out; may throw. */
  readonly afterBreak?: (signal: AbortSignal) => Promise<void>;
}

/** What is done with the answer to a {@link LightCall}. */
interface Taking<T> {
  /** Reads the answer to its end; a {@link ConnectionError} counts as a failed attempt. */
  readonly take: (answer: LightAnswer) => Promise<T>;
  readonly signal?: AbortSignal | undefined;
}

/** What came of one attempt: a value, or why there is none. */
type Outcome<T> = { readonly value: T } | { readonly failure: S3Failure };

/** Makes calls: signs, sends, and tries again what may succeed later. */
export class S3Requests {
  readonly #parts: RequestParts;
  #skewMs = 0;

  constructor(parts: RequestParts) {
    this.#parts = parts;
  }

  /** @throws {StorageError} when the store refuses, or gives no answer before the deadline. */
  async call<T>(call: LightCall, { take, signal: outer }: Taking<T>): Promise<T> {
    const { deadlineMs, clock } = this.#parts;
    outer?.throwIfAborted();
    const deadline = AbortSignal.timeout(deadlineMs);
    const signal = outer ? AbortSignal.any([outer, deadline]) : deadline;
    const end = clock.monotonic() + deadlineMs;
    let renew = false;
    for (let attempt = 1;; attempt++) {
      const outcome: Outcome<T> = await this.#attempt(call, { take, signal, outer, renew });
      if ("value" in outcome) return outcome.value;
      const pauseMs = pause(attempt, outcome.failure.retryAfter);
      const late = clock.monotonic() + pauseMs >= end;
      if (late || !this.#isWorthAnother(outcome.failure, renew)) {
        throw this.#error(outcome.failure, call, late ? deadlineMs : undefined);
      }
      renew ||= outcome.failure.retryable === "new credentials";
      const { operation } = call;
      const reason = outcome.failure.code;
      this.#parts.settings.onRetry?.({ operation, attempt, reason, delaySeconds: pauseMs / 1000 });
      await sleep(pauseMs, outer);
    }
  }

  async #attempt<T>(
    call: LightCall,
    { take, signal, outer, renew }: Taking<T> & {
      readonly signal: AbortSignal;
      readonly outer: AbortSignal | undefined;
      readonly renew: boolean;
    },
  ): Promise<Outcome<T>> {
    try {
      const request = await this.#signed(call, renew);
      const answer = await this.#parts.transport.exchange(request, signal);
      if (call.accept.includes(answer.status)) return { value: await take(answer) };
      const failure = await readFailure(answer);
      this.#takeClock(failure, answer.headers.get("date"));
      return { failure };
    } catch (error) {
      outer?.throwIfAborted();
      if (!(error instanceof ConnectionError) && !signal.aborted) throw error;
      const unsent = error instanceof ConnectionError && error.unsent;
      if (!signal.aborted && !unsent) await call.afterBreak?.(signal);
      return { failure: connectionFailure(error as Error) };
    }
  }

  async #signed(call: LightCall, renew: boolean) {
    const { address, region, clock, settings } = this.#parts;
    const credentials = await this.#parts.credentials(renew);
    const key = call.key === undefined ? "" : encodePath(settings.keyPrefix + call.key);
    const path = `${address.base}/${key}`;
    const { method, payloadHash, body, query = {} } = call;
    const headers = { host: address.hostHeader, ...call.headers };
    const time = new Date(clock.now().getTime() + this.#skewMs);
    const request = { method, path, query, headers, payloadHash };
    const signed = signRequest(request, { credentials, region, time });
    const text = encodeQuery(query);
    return { method, path: text === "" ? path : `${path}?${text}`, headers: signed, body };
  }

  #isWorthAnother({ retryable, code }: S3Failure, renewed: boolean): boolean {
    if (retryable === "new credentials") return !renewed;
    if (code === "RequestTimeTooSkewed") return this.#skewMs !== 0;
    return retryable === "yes";
  }

  /** Signs by the store's clock once it says that ours is wrong. */
  #takeClock({ code }: S3Failure, date: string | undefined): void {
    if (code !== "RequestTimeTooSkewed") return;
    const time = Date.parse(date ?? "");
    const skew = Number.isNaN(time) ? 0 : time - this.#parts.clock.now().getTime();
    this.#skewMs = this.#skewMs === 0 ? skew : 0; // once only: a second refusal is final
  }

  #error(failure: S3Failure, { operation, key }: LightCall, deadlineMs?: number): StorageError {
    const call = { operation, ...(key !== undefined && { key }) };
    const error = s3Error(failure, call, this.#parts.settings);
    if (deadlineMs === undefined) return error;
    const after = `${error.message}; gave up after ${Math.round(deadlineMs / 1000)} s`;
    return new StorageError(after, error.hint, { cause: error });
  }
}

/** Full jitter: many hosts that failed together do not come back together. */
function pause(attempt: number, askedSeconds: number | undefined): number {
  const most = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (attempt - 1));
  return Math.max((askedSeconds ?? 0) * 1000, Math.random() * most);
}

async function sleep(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, milliseconds);
  const wake = () => resolve();
  signal?.addEventListener("abort", wake, { once: true });
  await promise;
  clearTimeout(timer);
  signal?.removeEventListener("abort", wake);
  signal?.throwIfAborted();
}

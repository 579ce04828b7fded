import type { S3Client } from "@aws-sdk/client-s3";
import { BackupctlError, type StorageError } from "../domain/errors.ts";
import { type S3Call, s3Error } from "./s3_errors.ts";
import { S3Failure } from "./s3_failure.ts";
import type { S3Settings } from "./s3_options.ts";
import { createClient, type LoadedSdk, loadSdk, type Sdk } from "./s3_sdk.ts";

/** The slowest upload that is waited for. */
const SLOWEST_BYTES_PER_MS = 128;
const BASE_DELAY_MS = 100;
const MAX_DELAY_MS = 20_000;
const MAX_RETRY_AFTER_SECONDS = 60;
/** Until the store has answered once, it is more likely misconfigured than away for a moment. */
const FIRST_CONTACT_ATTEMPTS = 3;

/** What tests put in the place of time, chance and names. */
export interface S3Internals {
  /** Waits; rejects with the signal's reason. */
  readonly sleep?: (milliseconds: number, signal: AbortSignal | undefined) => Promise<void>;
  /** From 0 to below 1. */
  readonly random?: () => number;
  /** Milliseconds that a connection may have been idle when it is used again. */
  readonly maxIdleMs?: number;
}

/** One call with everything that its repetition needs. */
export interface S3Request<T> extends S3Call {
  /** Length of the body, for the time that it may take. */
  readonly bodyBytes?: number;
  readonly signal?: AbortSignal | undefined;
  /** Other than usual. */
  readonly attempts?: number;
  /** Called for each attempt. Its result may be refused by throwing {@link S3Failure}. */
  readonly send: (client: S3Client, sdk: Sdk, http: HttpOptions) => Promise<T>;
}

/** What goes to `client.send` as its second argument. */
export interface HttpOptions {
  readonly abortSignal: AbortSignal;
  readonly requestTimeout: number;
}

/** A call that failed for good, before it is worded for people. */
export class S3CallError extends Error {
  readonly failure: S3Failure;
  /** Whether an attempt before the last may have been carried out. */
  readonly wasUncertain: boolean;
  readonly #settings: S3Settings;
  readonly #call: S3Call;

  constructor(
    failure: S3Failure,
    { wasUncertain, call, settings }: {
      readonly wasUncertain: boolean;
      readonly call: S3Call;
      readonly settings: S3Settings;
    },
  ) {
    super(failure.message);
    this.failure = failure;
    this.wasUncertain = wasUncertain;
    this.#call = call;
    this.#settings = settings;
  }

  toStorageError(): StorageError {
    return s3Error(this.failure, this.#call, this.#settings);
  }
}

/** Makes calls of S3, each until it succeeds or it is clear that it will not. */
export class S3Connection {
  readonly settings: S3Settings;
  readonly #internals: S3Internals;
  #loaded: Promise<LoadedSdk> | undefined;
  #client: Promise<S3Client> | undefined;
  /** Clients whose credentials expired; calls of theirs may still be under way. */
  #retired: Promise<S3Client>[] = [];
  #answered = false;

  constructor(settings: S3Settings, internals: S3Internals = {}) {
    this.settings = settings;
    this.#internals = internals;
  }

  /** The SDK and what belongs to it. */
  load(): Promise<LoadedSdk> {
    this.#loaded ??= loadSdk();
    return this.#loaded;
  }

  /**
   * Makes a call.
   *
   * @throws {S3CallError} when the store refuses or all attempts failed.
   * @throws the signal's reason.
   */
  async call<T>(request: S3Request<T>): Promise<T> {
    let wasUncertain = false;
    let renewed = false;
    for (let attempt = 1;; attempt++) {
      request.signal?.throwIfAborted();
      const client = this.#client ??= this.#createClient();
      try {
        const result = await this.#attempt(await client, request);
        this.#answered = true;
        return result;
      } catch (error) {
        request.signal?.throwIfAborted();
        if (error instanceof BackupctlError) throw error;
        const failure = error instanceof S3Failure ? error : new S3Failure(error);
        this.#answered ||= failure.status !== undefined;
        const renewing: boolean = failure.retryable === "new credentials" && !renewed;
        renewed ||= renewing;
        if (renewing && this.settings.credentials === undefined) this.#retire(client);
        else if (!this.#mayRetry(failure, attempt, request)) {
          throw new S3CallError(failure, { wasUncertain, call: request, settings: this.settings });
        }
        wasUncertain ||= failure.isUncertain;
        await this.#pause(failure, attempt, request);
      }
    }
  }

  /** Like {@link call}, for callers that have nothing to add to a failure. */
  async callOrThrow<T>(request: S3Request<T>): Promise<T> {
    try {
      return await this.call(request);
    } catch (error) {
      throw error instanceof S3CallError ? error.toStorageError() : error;
    }
  }

  /** Waits before something is tried for the next time: exponential, with full jitter. */
  async backOff(
    attempt: number,
    { atLeastMs = 0, signal, onDelay }: {
      readonly atLeastMs?: number;
      readonly signal?: AbortSignal | undefined;
      readonly onDelay?: (milliseconds: number) => void;
    } = {},
  ): Promise<void> {
    const { random = Math.random, sleep = sleepFor } = this.#internals;
    const ceiling = Math.min(MAX_DELAY_MS, BASE_DELAY_MS * 2 ** attempt);
    const delay = atLeastMs + random() * ceiling;
    onDelay?.(delay);
    await sleep(delay, signal);
  }

  /** Closes the connections; the next call opens new ones. */
  async close(): Promise<void> {
    const clients = [...this.#retired, ...(this.#client ? [this.#client] : [])];
    this.#retired = [];
    this.#client = undefined;
    for (const client of clients) (await client.catch(() => undefined))?.destroy();
  }

  async #createClient(): Promise<S3Client> {
    const { sdk } = await this.load();
    return await createClient(sdk, this.settings, this.#internals);
  }

  async #attempt<T>(
    client: S3Client,
    { bodyBytes = 0, signal, send }: S3Request<T>,
  ): Promise<T> {
    const { sdk } = await this.load();
    const requestTimeout = Math.ceil(this.settings.idleMs + bodyBytes / SLOWEST_BYTES_PER_MS);
    // The answer's body may stall too, which requestTimeout does not see.
    const abort = new AbortController();
    const timer = setTimeout(() => abort.abort(), requestTimeout + 1_000);
    const stop = () => abort.abort();
    signal?.addEventListener("abort", stop, { once: true });
    try {
      return await send(client, sdk, { abortSignal: abort.signal, requestTimeout });
    } catch (error) {
      throw abort.signal.aborted ? timeoutFailure(requestTimeout) : error;
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", stop);
    }
  }

  #mayRetry(failure: S3Failure, attempt: number, { attempts }: S3Request<unknown>): boolean {
    if (failure.retryable !== "yes") return false;
    const limit = attempts ?? this.settings.attempts;
    const known = this.#answered ? limit : Math.min(limit, FIRST_CONTACT_ATTEMPTS);
    return attempt < known;
  }

  async #pause<T>(failure: S3Failure, attempt: number, request: S3Request<T>): Promise<void> {
    const wanted = Math.min(failure.retryAfter ?? 0, MAX_RETRY_AFTER_SECONDS) * 1000;
    await this.backOff(attempt, {
      atLeastMs: wanted,
      signal: request.signal,
      onDelay: (milliseconds) =>
        this.settings.onRetry?.({
          operation: request.operation,
          attempt,
          reason: s3Error(failure, request, this.settings).message,
          delaySeconds: milliseconds / 1000,
        }),
    });
  }

  /** The next call looks for credentials afresh. */
  #retire(client: Promise<S3Client>): void {
    if (client !== this.#client) return; // another call did it
    this.#retired.push(client);
    this.#client = undefined;
  }
}

/** Waits, no longer than until the signal. */
async function sleepFor(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  signal?.throwIfAborted();
  const done = Promise.withResolvers<void>();
  const timer = setTimeout(done.resolve, milliseconds);
  const stop = () => done.reject(signal?.reason);
  signal?.addEventListener("abort", stop, { once: true });
  try {
    await done.promise;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", stop);
  }
}

function timeoutFailure(milliseconds: number): S3Failure {
  const message = `no answer within ${Math.round(milliseconds / 1000)} s`;
  return new S3Failure(Object.assign(new Error(message), { name: "TimeoutError" }));
}

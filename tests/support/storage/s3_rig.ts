import type { S3Internals } from "../../../src/storage/s3_connection.ts";
import { type S3Options, S3Store } from "../../../src/storage/s3.ts";
import type { S3Retry } from "../../../src/storage/s3_options.ts";
import { S3Server, type ServerOptions } from "../s3_server/s3_server.ts";

/** A store on a small server, without real waiting. */
export interface S3Rig extends AsyncDisposable {
  readonly server: S3Server;
  readonly store: S3Store;
  /** Milliseconds of every pause that the store took. */
  readonly pauses: readonly number[];
  readonly retries: readonly S3Retry[];
}

/** Starts both. Parts have 100,000 bytes. */
export function startS3(
  { server: serverOptions = {}, store: storeOptions = {}, internals = {} }: {
    readonly server?: Partial<ServerOptions>;
    readonly store?: Partial<S3Options>;
    readonly internals?: S3Internals;
  } = {},
): S3Rig {
  const server = S3Server.start(serverOptions);
  const pauses: number[] = [];
  const retries: S3Retry[] = [];
  const store = new S3Store({
    bucket: "bucket",
    endpoint: server.endpoint,
    credentials: server.options.credentials,
    partBytes: 100_000,
    onRetry: (retry) => retries.push(retry),
    ...storeOptions,
  }, {
    sleep: (milliseconds, signal) => {
      pauses.push(milliseconds);
      signal?.throwIfAborted();
      return Promise.resolve();
    },
    ...internals,
  });
  return {
    server,
    store,
    pauses,
    retries,
    async [Symbol.asyncDispose]() {
      await store.close();
      await server[Symbol.asyncDispose]();
    },
  };
}

import type { Config } from "../config/config.ts";
import type { Log } from "../log/log.ts";
import { S3Store } from "../storage/s3.ts";
import { s3Options } from "./s3_options_of.ts";

/** The bucket that the configuration names; repeated requests are told to the log. */
export function openS3Store(repository: Config["repository"], log: Log | undefined): S3Store {
  return new S3Store({
    ...s3Options(repository),
    onRetry: ({ operation, attempt, reason, delaySeconds }) =>
      log?.warning(
        "storage.request_retried",
        `${operation} failed and is tried again in ${delaySeconds.toFixed(1)} s: ${reason}`,
        { operation, attempt },
      ),
  });
}

import type { Config } from "../config/config.ts";
import type { Log } from "../log/log.ts";
import { S3Store } from "../storage/s3.ts";
import type { S3Options } from "../storage/s3_options.ts";

/** Where keys begin when the configuration says nothing. */
const DEFAULT_PREFIX = "backupctl";

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

/** The settings of a bucket in the storage room's words. */
export function s3Options(repository: Config["repository"]): S3Options {
  const { access_key_id: id, secret_access_key: secret, session_token: token } = repository;
  const { prefix = DEFAULT_PREFIX, region, endpoint, storage_class, sse, kms_key_id } = repository;
  const { bucket_key, ca_file, max_parts } = repository;
  return {
    bucket: repository.bucket!,
    prefix,
    pathStyle: repository.path_style,
    transferAcceleration: repository.transfer_acceleration,
    allowHttp: repository.allow_http,
    checksums: repository.checksums,
    ...(region !== undefined && { region }),
    ...(endpoint !== undefined && { endpoint }),
    ...(storage_class !== undefined && { storageClass: storage_class }),
    ...(sse !== undefined && { sse }),
    ...(kms_key_id !== undefined && { kmsKeyId: kms_key_id }),
    ...(bucket_key !== undefined && { bucketKey: bucket_key }),
    ...(ca_file !== undefined && { caFile: ca_file }),
    ...(max_parts !== undefined && { maxParts: max_parts }),
    ...(id !== undefined && secret !== undefined && {
      credentials: {
        accessKeyId: id,
        secretAccessKey: secret,
        ...(token !== undefined && { sessionToken: token }),
      },
    }),
  };
}

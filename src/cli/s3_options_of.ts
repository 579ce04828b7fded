import type { Config } from "../config/config.ts";
import type { S3Options } from "../storage/s3_options.ts";

/** Where keys begin when the configuration says nothing. */
const DEFAULT_PREFIX = "backupctl";

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

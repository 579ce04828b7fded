/**
 * The grammar of the configuration. Keys are written as people write them in YAML, so that a
 * message, the documentation and the code name the same thing.
 *
 * @module
 */
import * as v from "valibot";
import * as leaf from "./leaves.ts";

const postgres = v.object({
  host: v.exactOptional(leaf.text),
  port: v.exactOptional(leaf.whole(1, 65535)),
  user: v.exactOptional(leaf.text),
  password: v.exactOptional(leaf.text),
  password_file: v.exactOptional(leaf.absolutePath),
  database: v.exactOptional(leaf.text),
  sslmode: v.exactOptional(
    leaf.oneOf(["disable", "allow", "prefer", "require", "verify-ca", "verify-full"]),
  ),
  sslrootcert: v.exactOptional(leaf.path),
  sslcert: v.exactOptional(leaf.path),
  sslkey: v.exactOptional(leaf.path),
  connect_timeout: v.exactOptional(leaf.duration),
  data_directory: v.optional(leaf.path, "auto"),
  bin: v.optional(leaf.path, "auto"),
});

const repository = v.object({
  type: v.optional(leaf.oneOf(["auto", "s3", "directory"]), "auto"),
  path: v.exactOptional(leaf.repositoryPath),
  bucket: v.exactOptional(leaf.bucketName),
  prefix: v.exactOptional(leaf.keyPrefix),
  region: v.exactOptional(leaf.text),
  endpoint: v.exactOptional(leaf.webUrl),
  path_style: v.optional(leaf.wordOr("auto", leaf.flag), "auto"),
  storage_class: v.exactOptional(leaf.text),
  sse: v.exactOptional(leaf.oneOf(["AES256", "aws:kms"])),
  kms_key_id: v.exactOptional(leaf.text),
  bucket_key: v.exactOptional(leaf.flag),
  transfer_acceleration: v.optional(leaf.flag, false),
  access_key_id: v.exactOptional(leaf.text),
  secret_access_key: v.exactOptional(leaf.text),
  secret_access_key_file: v.exactOptional(leaf.absolutePath),
  session_token: v.exactOptional(leaf.text),
  ca_file: v.exactOptional(leaf.absolutePath),
  allow_http: v.optional(leaf.flag, false),
  max_parts: v.exactOptional(leaf.whole(2, 10_000)),
  checksums: v.optional(leaf.flag, true),
});

const compression = v.object({
  dumps: v.optional(leaf.codec, "gzip:6"),
  pages: v.optional(leaf.codec, "zstd:1"),
  wal: v.optional(leaf.codec, "zstd:1"),
});

const encryption = v.object({
  recipients: v.exactOptional(
    v.pipe(v.array(leaf.recipient, "is not a list"), v.minLength(1, "names nobody")),
  ),
  // --identity names standard input so.
  identity_file: v.exactOptional(leaf.absolutePathOr("-")),
});

const signing = v.pipe(
  v.object({
    key_file: v.exactOptional(leaf.path),
    trusted_keys: v.exactOptional(
      v.pipe(v.array(leaf.publicKey, "is not a list"), v.minLength(1, "names nobody")),
    ),
  }),
  v.check((keys) => Object.keys(keys).length > 0, "names neither key_file nor trusted_keys"),
);

const backup = v.object({
  method: v.optional(leaf.oneOf(["auto", "logical", "physical"]), "auto"),
  jobs: v.optional(leaf.wordOr("auto", leaf.whole(1, 64)), "auto"),
  wait_wal: v.optional(leaf.duration, "10m"),
  max_chain: v.optional(leaf.whole(1, 100), 6),
});

const wal = v.object({
  look_ahead: v.optional(leaf.whole(0, 256), 16),
  spool: v.optional(leaf.absolutePathOr("auto"), "auto"),
  timeout: v.optional(leaf.duration, "60s"),
});

const scheduleEntry = v.object({
  name: leaf.label,
  cron: leaf.cron,
  run: leaf.text,
  timezone: v.exactOptional(leaf.timezone),
  jitter: v.exactOptional(leaf.duration),
  missed: v.optional(leaf.oneOf(["run", "skip"]), "run"),
});

const email = v.object({
  host: leaf.text,
  port: v.optional(leaf.whole(1, 65535), 587),
  tls: v.optional(leaf.oneOf(["none", "starttls", "smtps"]), "starttls"),
  user: v.exactOptional(leaf.text),
  password: v.exactOptional(leaf.text),
  password_file: v.exactOptional(leaf.path),
  from: leaf.mailAddress,
  to: v.pipe(v.array(leaf.mailAddress, "is not a list"), v.minLength(1, "names nobody")),
  ca_file: v.exactOptional(leaf.path),
});

const webhook = v.object({
  name: v.exactOptional(leaf.label),
  url: leaf.webUrl,
  kind: v.optional(
    leaf.oneOf(["generic", "slack", "teams", "discord", "pagerduty", "alertmanager"]),
    "generic",
  ),
  secret: v.exactOptional(leaf.text),
  secret_file: v.exactOptional(leaf.path),
  ca_file: v.exactOptional(leaf.path),
});

const heartbeat = v.object({
  url: leaf.webUrl,
  ca_file: v.exactOptional(leaf.path),
});

const quietTime = v.object({
  from: leaf.timeOfDay,
  to: leaf.timeOfDay,
  days: v.exactOptional(
    v.array(leaf.oneOf(["sun", "mon", "tue", "wed", "thu", "fri", "sat"]), "is not a list"),
  ),
  timezone: v.exactOptional(leaf.timezone),
});

const alertRules = v.object({
  full_max_age: v.optional(leaf.duration, "8d"),
  wal_lag: v.optional(leaf.duration, "10m"),
  disk_free: v.optional(leaf.percentage, "10%"),
  prune_max_age: v.optional(leaf.duration, "8d"),
  drill_max_age: v.exactOptional(leaf.duration),
  verify_max_age: v.exactOptional(leaf.duration),
  schedule_late: v.optional(leaf.duration, "15m"),
  expiry_warning: v.optional(leaf.duration, "14d"),
});

const alerts = v.object({
  email: v.exactOptional(email),
  webhooks: v.optional(v.array(webhook, "is not a list"), []),
  heartbeat: v.exactOptional(heartbeat),
  rules: v.optional(alertRules, {}),
  quiet: v.optional(v.array(quietTime, "is not a list"), []),
  repeat: v.optional(leaf.duration, "24h"),
  resolve_after: v.optional(leaf.duration, "5m"),
});

const metadata = v.object({
  url: v.optional(
    v.union(
      [v.literal("auto"), v.literal("off"), leaf.postgresUrl],
      'is not "auto", "off" or a postgres:// address',
    ),
    "auto",
  ),
  schema: v.optional(leaf.identifier, "backupctl"),
});

const log = v.object({
  level: v.optional(leaf.oneOf(["DEBUG", "INFO", "WARNING", "ERROR"]), "INFO"),
  format: v.optional(leaf.oneOf(["auto", "text", "json"]), "auto"),
  file: v.exactOptional(leaf.absolutePath),
});

/** Every key, its kind and its default. */
export const CONFIG_SCHEMA = v.object({
  cluster: v.optional(leaf.label, "main"),
  postgres: v.optional(postgres, {}),
  repository: v.optional(repository, {}),
  compression: v.optional(compression, {}),
  encryption: v.exactOptional(encryption),
  signing: v.exactOptional(signing),
  backup: v.optional(backup, {}),
  wal: v.optional(wal, {}),
  retention: v.exactOptional(leaf.retention),
  schedule: v.optional(v.array(scheduleEntry, "is not a list"), []),
  alerts: v.optional(alerts, {}),
  metadata: v.optional(metadata, {}),
  log: v.optional(log, {}),
  listen: v.exactOptional(leaf.listenAddress),
  listen_token: v.exactOptional(leaf.text),
  listen_token_file: v.exactOptional(leaf.absolutePath),
});

/** The configuration as it applies: defaults filled in, durations in milliseconds. */
export type Config = v.InferOutput<typeof CONFIG_SCHEMA>;

/** The same text as config/config.yaml, for executables that come without that file. */
export const SAMPLE_CONFIG =
  `# backupctl's configuration. Copy it to /etc/backupctl/config.yaml and take the "#" away where a
# value is not the default. docs/cli.md describes every key; "backupctl config show" prints what
# applies and where each value comes from, "backupctl config check" names every fault.
#
# Read in this order, the later winning: defaults, /etc/backupctl/config.yaml, this file when it is
# config/config.yaml beside the working directory, the environment (BACKUPCTL_POSTGRES_HOST …, also
# PG_HOST, S3_BUCKET and the like), flags. "--config FILE" replaces both files.
#
# As it stands, this file sets nothing but a schedule and a retention policy, so the environment
# alone is enough: PG_HOST PG_USER PG_PASSWORD S3_BUCKET AWS_REGION AWS_ACCESS_KEY_ID
# AWS_SECRET_ACCESS_KEY.

# cluster: main                       # its name in the repository

# postgres:
#   host: localhost                   # or a socket's folder such as /var/run/postgresql
#   port: 5432
#   user: backup
#   database: postgres
#   password_file: /etc/backupctl/password
#   sslmode: verify-full              # disable, allow, prefer, require, verify-ca, verify-full
#   sslrootcert: /etc/backupctl/ca.pem
#   bin: auto                         # the folder of pg_dump and its siblings

# Either a bucket …
# repository:
#   type: s3
#   bucket: my-bucket
#   prefix: backupctl
#   region: us-east-1
#   endpoint: https://s3.example.com  # other providers than AWS
#   path_style: auto
#   storage_class: STANDARD
#   sse: aws:kms                      # or AES256
#   kms_key_id: alias/backups
#
# … or a folder, best on another machine's disk.
# repository:
#   type: directory
#   path: /var/backups/postgresql

# compression: { dumps: "gzip:6", pages: "zstd:1", wal: "zstd:1" }

# Everything is encrypted to these before it leaves the machine. "backupctl key generate" makes an
# identity and its recipient: keep identities elsewhere, and have two.
# encryption:
#   recipients: [age1…, age1…]

# Backups are signed, and what no trusted key signed is none. "backupctl key generate --signing FILE"
# makes the key, for the database host only; others need its public key: docs/signing.md.
# signing:
#   key_file: /etc/backupctl/signing.pem
#   trusted_keys: [MCowBQYDK2VwAyEA…]

# backup: { method: auto, jobs: auto }

# metadata:
#   url: auto                         # the server being backed up; off, or postgres://…
#   schema: backupctl

# log:
#   level: INFO                       # DEBUG, INFO, WARNING, ERROR
#   format: auto                      # text on a terminal, JSON lines elsewhere
#   file: /var/log/backupctl.log

# What "prune" keeps, and what "schedule --daemon" runs; "schedule" shows when. An entry may have a
# timezone such as America/Sao_Paulo, a jitter such as 5m (it begins up to so much later), and
# "missed: skip" (what nobody was there for is not made up for).
retention: "weekly-retain=4,monthly-retain=3,pitr-window=14d,min-redundancy=1"

schedule:
  - { name: full, cron: "0 2 * * 0", run: "backup full --label weekly" }
  - { name: incremental, cron: "0 */6 * * *", run: "backup incremental" }
  - { name: prune, cron: "0 3 * * 0", run: "prune" }

# Where "schedule --daemon" shows the status page, /metrics and /healthz. Any other address than this
# machine's own needs a token.
# listen: 127.0.0.1:9187
# listen_token_file: /etc/backupctl/token

# Who is told when something is wrong: "backupctl alert test" tries it, docs/alerts.md has the rest.
# alerts:
#   email:
#     host: smtp.example.com
#     port: 587
#     tls: starttls                   # smtps, none
#     user: backupctl
#     password_file: /etc/backupctl/smtp_password
#     from: backupctl@example.com
#     to: [dba@example.com]
#   webhooks:                         # generic, slack, teams, discord, pagerduty, alertmanager
#     - { kind: slack, url: "https://hooks.slack.com/services/…" }
#   heartbeat: { url: "https://hc.example.com/ping/…" }
#   rules: { full_max_age: 8d, wal_lag: 10m, disk_free: 10% }
`;

#!/bin/sh
# Whether backups can be taken and are taken: for Docker's HEALTHCHECK, a Kubernetes probe, cron.
# Ends with 0 when all is well; the reasons are printed otherwise. 14: backups or WAL are too old.
# Arguments are passed on: healthcheck.sh --config /etc/backupctl/config.yaml
exec "${BACKUPCTL:-backupctl}" test --quiet --exit-on-stale --timeout "${HEALTHCHECK_TIMEOUT:-50s}" "$@"

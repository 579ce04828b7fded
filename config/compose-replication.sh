# For compose.yaml: PostgreSQL's image runs this once, when it makes the cluster. It lets nobody in
# from elsewhere over the replication protocol, and physical backups come that way.
echo "host replication all all scram-sha-256" >> "$PGDATA/pg_hba.conf"

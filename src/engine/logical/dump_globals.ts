import type { BackupSlot, ManifestObject } from "../../catalog/catalog.ts";
import type { Bytes } from "../../domain/bytes.ts";
import { IntegrityError } from "../../domain/errors.ts";
import type { PostgresServer, Program } from "../../postgres/postgres.ts";
import type { BackupParts, FullBackupOptions } from "../parts.ts";
import { databaseArgument } from "./connection_string.ts";
import { GLOBALS_NAME } from "./object_names.ts";
import { storeEncoded } from "./store_encoded.ts";

/** pg_dumpall's last words. PostgreSQL, src/bin/pg_dump/pg_dumpall.c. */
const LAST_WORDS = "-- PostgreSQL database cluster dump complete";

/** Stores roles, their memberships and settings, and tablespaces: what no database's dump has. */
export async function dumpGlobals(
  parts: BackupParts,
  { slot, options, pgDumpAll }: {
    readonly slot: BackupSlot;
    readonly options: FullBackupOptions;
    readonly pgDumpAll: Program;
  },
): Promise<ManifestObject> {
  const { connection, programs, progress, server } = parts;
  const args = ["--globals-only", databaseArgument(connection.database)];
  if (!await mayReadPasswords(server)) {
    args.push("--no-role-passwords");
    progress.note(
      "the role may not read pg_authid: the backup has the roles without their passwords",
    );
  }
  const running = programs.run(pgDumpAll, args, {
    connection,
    stdin: "null",
    ...(options.signal && { signal: options.signal }),
  });
  const sql = await new Response(running.stdout).bytes();
  await running.finished();
  if (!new TextDecoder().decode(sql.subarray(-4096)).includes(LAST_WORDS)) {
    throw new IntegrityError(
      `pg_dumpall --globals-only ended with 0 and left ${sql.length} bytes without their end`,
      "the backup was not committed; is pg_dumpall what it should be?",
    );
  }
  const raw: ReadableStream<Bytes> = ReadableStream.from([sql]);
  return await storeEncoded(parts, {
    slot,
    options,
    object: { name: GLOBALS_NAME, role: "globals", raw },
  });
}

async function mayReadPasswords(server: PostgresServer): Promise<boolean> {
  const [row] = await server.query(
    "SELECT pg_catalog.has_table_privilege('pg_catalog.pg_authid', 'SELECT')::text AS may",
  );
  return row?.["may"] === "true";
}

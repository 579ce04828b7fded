import { createHmac } from "node:crypto";
import { clusterSecret } from "../../domain/control_file.ts";
import { RepositoryError } from "../../domain/errors.ts";

/** A write of pg_control under way is over by then. */
const ATTEMPTS = 3;

/**
 * What compares encrypted WAL: an HMAC of a file's SHA-256 under a secret that each server of the
 * cluster has in its data directory and the store has not. The hash itself would tell whoever reads
 * the bucket whether a guess at the content is right.
 *
 * @throws {RepositoryError} when pg_control is damaged.
 */
export function walTag(dataDirectory: string, sha256: string): string {
  const secret = readSecret(`${dataDirectory}/global/pg_control`);
  return createHmac("sha256", secret).update(`backupctl wal 1 ${sha256}`).digest("hex");
}

function readSecret(path: string): Uint8Array<ArrayBuffer> {
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    const secret = clusterSecret(Deno.readFileSync(path).subarray(0, 1024));
    if (secret) return secret;
  }
  throw new RepositoryError(
    `${path} does not match its checksum, so WAL cannot be encrypted`,
    "does pg_controldata read it?",
  );
}

import { isIP } from "node:net";
import type { ConnectionOptions as TlsConnectionOptions } from "node:tls";
import { PostgresError } from "../domain/errors.ts";
import type { ConnectionOptions } from "./postgres.ts";

/** Where systems keep the certificates that they trust: Debian, Red Hat, SUSE, Alpine and BSD. */
const SYSTEM_BUNDLES = [
  "/etc/ssl/certs/ca-certificates.crt",
  "/etc/pki/tls/certs/ca-bundle.crt",
  "/etc/ssl/ca-bundle.pem",
  "/etc/ssl/cert.pem",
];

/**
 * The options of `node:tls` for libpq's sslmode. PostgreSQL docs, "SSL Support" of libpq: `require`
 * with a root certificate behaves as `verify-ca`. With `sslrootcert` only that file is trusted;
 * without, or with the word `system`, the system's own certificates.
 *
 * @throws {PostgresError} when a file cannot be read.
 */
export async function tlsOptions(connection: ConnectionOptions): Promise<TlsConnectionOptions> {
  const { host, sslmode, sslcert, sslkey } = connection;
  const trust = await trusted(connection);
  const ownName = sslmode === "verify-full";
  return {
    host,
    ...(isIP(host) === 0 && { servername: host }),
    rejectUnauthorized: trust !== undefined,
    ...(trust !== undefined && { ca: trust }),
    ...(!ownName && { checkServerIdentity: () => undefined }),
    ...(sslcert && { cert: await pem(sslcert, "sslcert") }),
    ...(sslkey && { key: await pem(sslkey, "sslkey") }),
  };
}

/** The certificates to trust; undefined when any certificate will do. */
async function trusted(
  { sslmode, sslrootcert }: ConnectionOptions,
): Promise<string | undefined> {
  const verifies = sslmode === "verify-ca" || sslmode === "verify-full";
  if (sslrootcert && sslrootcert !== "system") {
    return verifies || sslmode === "require" ? await pem(sslrootcert, "sslrootcert") : undefined;
  }
  return verifies ? await systemBundle() : undefined;
}

/** The system's file of trusted certificates; undefined when it has none in the usual places. */
export function systemBundlePath(): string | undefined {
  return SYSTEM_BUNDLES.find((path) => {
    try {
      return Deno.statSync(path).isFile;
    } catch {
      return false;
    }
  });
}

async function systemBundle(): Promise<string> {
  const path = systemBundlePath();
  if (path) return await pem(path, "trusted certificates");
  throw new PostgresError(
    "this system has no file of trusted certificates",
    "install ca-certificates, or name the authority's file in sslrootcert",
  );
}

async function pem(path: string, option: string): Promise<string> {
  try {
    return await Deno.readTextFile(path);
  } catch (cause) {
    throw new PostgresError(
      `cannot read ${option} ${path}`,
      "does the file exist, and may this user read it?",
      { cause },
    );
  }
}

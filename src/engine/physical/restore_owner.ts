import { DestinationError } from "../../domain/errors.ts";
import type { FileOwner } from "./file_owner.ts";

const REMEDY = "run the restore as the user that will run PostgreSQL, or make the empty " +
  "destination folder first and give it to that user";

/**
 * Who gets the restored files: PostgreSQL refuses to run as root. For root, the owner of the
 * destination, or the account `postgres`; for anybody else themselves, which undefined stands for.
 *
 * @param uid who runs this.
 * @throws {DestinationError} when nobody can be found.
 */
export async function restoreOwner(
  destination: string,
  { uid, passwd = "/etc/passwd" }: { readonly uid: number | null; readonly passwd?: string },
): Promise<FileOwner | undefined> {
  if (uid !== 0) return undefined;
  const folder = await Deno.stat(destination).catch(() => undefined);
  if (folder?.isDirectory && folder.uid !== null && folder.gid !== null && folder.uid !== 0) {
    return { uid: folder.uid, gid: folder.gid };
  }
  const account = await postgresAccount(passwd);
  if (account) return account;
  throw new DestinationError(
    "root cannot own a data directory, and there is no account named postgres",
    REMEDY,
  );
}

/** The account `postgres`. passwd(5): name:password:uid:gid:… */
async function postgresAccount(passwd: string): Promise<FileOwner | undefined> {
  const text = await Deno.readTextFile(passwd).catch(() => "");
  const fields = text.split("\n").find((line) => line.startsWith("postgres:"))?.split(":");
  const [uid, gid] = [Number(fields?.[2]), Number(fields?.[3])];
  return Number.isInteger(uid) && Number.isInteger(gid) ? { uid, gid } : undefined;
}

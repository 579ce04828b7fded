import type { BackupManifest } from "../../catalog/catalog.ts";
import { VersionError } from "../../domain/errors.ts";
import type { ClientPrograms } from "../../postgres/postgres.ts";
import type { ScratchFolder } from "./scratch_folder.ts";

/**
 * Makes an empty cluster of the backup's major version for its dumps. Databases bring their own
 * encoding and locale along.
 *
 * @throws {VersionError} when this machine has no server of that version.
 */
export async function createCluster(
  programs: ClientPrograms,
  { folder, backup, signal }: {
    readonly folder: ScratchFolder;
    readonly backup: BackupManifest;
    readonly signal?: AbortSignal;
  },
): Promise<void> {
  const major = Math.floor(backup.postgresVersion / 10_000);
  const initdb = await programs.find("initdb", major);
  if (initdb.major !== major) {
    throw new VersionError(
      `${initdb.path} is of PostgreSQL ${initdb.major}, the backup of ${major}`,
      `install postgresql-${major}, or set postgres.bin to the folder that has it`,
    );
  }
  const { dataDirectory, path, owner } = folder;
  const args = ["-D", dataDirectory, "-U", "postgres", "-A", "trust"];
  const running = programs.run(initdb, [...args, "-E", "UTF8", "--locale=C", "--no-sync"], {
    cwd: path,
    ...(owner && { user: owner }),
    ...(signal && { signal }),
  });
  const drained = running.stdout.pipeTo(new WritableStream()).catch(() => {});
  await running.finished();
  await drained;
}

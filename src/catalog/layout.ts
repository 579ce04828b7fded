/**
 * The keys of a repository. docs/repository-format.md has the whole tree.
 *
 * @module
 */
import { isBackupId } from "../domain/backup_id.ts";

/** The object that commits a backup, in its folder. */
export const MANIFEST_NAME = "backup.json";

/** Where a manifest stands, read off its key. */
export interface ManifestPlace {
  /** Of the cluster. */
  readonly systemIdentifier: string;
  /** Of the backup. */
  readonly id: string;
}

/** `<cluster>/`: everything of one cluster. */
export function clusterFolder(cluster: string): string {
  return `${cluster}/`;
}

/** `<cluster>/repository.json`: its presence makes the folder a repository. */
export function repositoryKey(cluster: string): string {
  return `${cluster}/repository.json`;
}

/** `<cluster>/<system identifier>/backups/<id>/`: one backup. */
export function backupFolder(cluster: string, { systemIdentifier, id }: ManifestPlace): string {
  return `${cluster}/${systemIdentifier}/backups/${id}/`;
}

/** `…/<id>/backup.json`: the commit point of that backup. */
export function manifestKey(cluster: string, place: ManifestPlace): string {
  return backupFolder(cluster, place) + MANIFEST_NAME;
}

/** `…/<id>/backup.json.sig`: who signed for that backup.json. */
export function signatureKey(cluster: string, place: ManifestPlace): string {
  return `${manifestKey(cluster, place)}.sig`;
}

/** Which backup `key` is the manifest of, or undefined when it is no manifest's key. */
export function parseManifestKey(cluster: string, key: string): ManifestPlace | undefined {
  if (!key.startsWith(clusterFolder(cluster))) return undefined;
  const [systemIdentifier, room, id, name, ...rest] = key.slice(cluster.length + 1).split("/");
  if (room !== "backups" || name !== MANIFEST_NAME || rest.length > 0) return undefined;
  if (!systemIdentifier || !/^\d{1,20}$/.test(systemIdentifier)) return undefined;
  if (!id || !isBackupId(id)) return undefined;
  return { systemIdentifier, id };
}

/**
 * The least key behind everything in `folder`, for a listing that leaps over it. `0` is the
 * character behind the slash.
 *
 * @param folder with the slash at its end.
 */
export function behind(folder: string): string {
  return `${folder.slice(0, -1)}0`;
}

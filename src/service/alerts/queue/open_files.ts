import { briefReason } from "../../../log/told_reason.ts";
import type { DiskFolder, FolderFiles } from "./folder_files.ts";

/** Where alerts are kept. */
export interface OpenedFiles {
  readonly files: FolderFiles;
  /** Why it is not the disk; undefined when it is. */
  readonly fault: string | undefined;
}

/**
 * The folder on the disk when it can be used, else the one in memory: an alert that nobody will
 * remember is better than none. Never throws.
 */
export async function openFiles(disk: DiskFolder, memory: FolderFiles): Promise<OpenedFiles> {
  try {
    await disk.probe();
    return { files: disk, fault: undefined };
  } catch (error) {
    return { files: memory, fault: briefReason(error) };
  }
}

import { PostgresError } from "../domain/errors.ts";
import type { FileBackupSource } from "../postgres/postgres.ts";

/** What `--source auto` came to. */
export interface ChosenSource {
  readonly source: "stream" | "files";
  /** One line for people. */
  readonly reason: string;
}

/**
 * The server's files when this process can read them, which is several times as fast on a machine
 * of several cores; otherwise what the server sends.
 */
export async function chooseSource(files: FileBackupSource): Promise<ChosenSource> {
  const obstacle = await obstacleOf(files);
  if (obstacle === undefined) {
    return { source: "files", reason: "files: the server's own are read" };
  }
  return { source: "stream", reason: `stream: ${obstacle}` };
}

async function obstacleOf(files: FileBackupSource): Promise<string | undefined> {
  try {
    return await files.obstacle();
  } catch (error) {
    if (!(error instanceof PostgresError)) throw error;
    return error.message;
  }
}

import { toldReason } from "../../log/told_reason.ts";
import { runningServer } from "../../postgres/postgres.ts";

/** What is at a path that a restore is to fill. */
export type FolderState =
  | { readonly state: "absent" }
  | { readonly state: "empty"; readonly uid: number | null; readonly gid: number | null }
  /** Why it cannot be used, as people should read it. */
  | { readonly state: "unusable"; readonly reason: string };

const SHOWN_NAMES = 3;

/** Looks at a folder without changing it. Links to folders are followed. */
export async function inspectFolder(path: string): Promise<FolderState> {
  try {
    const info = await Deno.stat(path);
    if (!info.isDirectory) return { state: "unusable", reason: `${path} is not a folder` };
    const names: string[] = [];
    for await (const entry of Deno.readDir(path)) names.push(entry.name);
    if (names.length === 0) return { state: "empty", uid: info.uid, gid: info.gid };
    return { state: "unusable", reason: await occupied(path, names.sort()) };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return await absent(path);
    return { state: "unusable", reason: `${path} cannot be read: ${toldReason(error)}` };
  }
}

/** Absent, unless it is a link that leads nowhere. */
async function absent(path: string): Promise<FolderState> {
  const link = await Deno.lstat(path).catch(() => undefined);
  if (!link) return { state: "absent" };
  return { state: "unusable", reason: `${path} is a link that leads nowhere` };
}

async function occupied(path: string, names: readonly string[]): Promise<string> {
  if (names.includes("postmaster.pid")) {
    const pid = await runningServer(path);
    if (pid !== undefined) return `a PostgreSQL server (process ${pid}) is running in ${path}`;
  }
  const shown = names.slice(0, SHOWN_NAMES).join(", ");
  const more = names.length > SHOWN_NAMES ? ` and ${names.length - SHOWN_NAMES} more` : "";
  return `${path} is not empty: it holds ${shown}${more}`;
}

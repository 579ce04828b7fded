/** The user that servers run as: PostgreSQL refuses root. */
export interface ServerUser {
  readonly uid: number;
  readonly gid: number;
}

/** `postgres`, else `nobody`, when the tests run as root; undefined when they do not: no change. */
export function serverUser(): ServerUser | undefined {
  if (Deno.uid() !== 0) return undefined;
  const lines = Deno.readTextFileSync("/etc/passwd").split("\n").map((line) => line.split(":"));
  const entry = lines.find(([name]) => name === "postgres") ??
    lines.find(([name]) => name === "nobody");
  if (!entry) throw new Error("neither a user postgres nor nobody: servers cannot run as root");
  return { uid: Number(entry[2]), gid: Number(entry[3]) };
}

/** A new temporary folder, mode 0700, that belongs to the server's user. Remove it afterwards. */
export async function makeServerFolder(prefix = "backupctl-"): Promise<string> {
  const folder = await Deno.makeTempDir({ prefix });
  await giveToServer(folder);
  return folder;
}

/**
 * Gives `path` and what is below to the server's user, and lets that user reach it through the
 * temporary folders above. Links are not followed.
 */
export async function giveToServer(path: string): Promise<void> {
  const user = serverUser();
  if (!user) return;
  await own(path, user);
  await openAncestors(path);
}

async function own(path: string, user: ServerUser): Promise<void> {
  const info = await Deno.lstat(path);
  if (info.isSymlink) return;
  await Deno.chown(path, user.uid, user.gid);
  if (!info.isDirectory) return;
  for await (const entry of Deno.readDir(path)) await own(`${path}/${entry.name}`, user);
}

/** Adds the right to pass (0011) to folders above `path` that only root may enter. */
async function openAncestors(path: string): Promise<void> {
  const parent = path.replace(/\/[^/]+\/?$/, "");
  if (parent === "" || parent === path) return;
  const info = await Deno.stat(parent);
  const passable = ((info.mode ?? 0) & 0o001) !== 0 || info.uid !== 0;
  if (!passable && isTemporary(parent)) await Deno.chmod(parent, (info.mode ?? 0) & 0o7777 | 0o011);
  await openAncestors(parent);
}

function isTemporary(path: string): boolean {
  const root = Deno.env.get("TMPDIR") ?? "/tmp";
  return path.startsWith(`${root.replace(/\/$/, "")}/`);
}

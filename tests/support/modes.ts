/** One file or folder below a root. */
export interface ModeEntry {
  readonly path: string;
  /** Octal. */
  readonly mode: string;
  readonly modifiedAt: number;
}

/** Everything below a folder, by path, with its permissions. */
export async function modesBelow(root: string, below = ""): Promise<readonly ModeEntry[]> {
  const entries: ModeEntry[] = [];
  for await (const { name, isDirectory } of Deno.readDir(`${root}/${below}`)) {
    const path = below === "" ? name : `${below}/${name}`;
    const { mode, mtime } = await Deno.lstat(`${root}/${path}`);
    entries.push({
      path,
      mode: ((mode ?? 0) & 0o777).toString(8),
      modifiedAt: isDirectory ? 0 : mtime?.getTime() ?? 0,
    });
    if (isDirectory) entries.push(...await modesBelow(root, path));
  }
  return entries.sort((a, b) => a.path < b.path ? -1 : 1);
}

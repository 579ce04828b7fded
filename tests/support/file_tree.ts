import { createHash } from "node:crypto";

/**
 * What lies below a folder: path → `folder`, `→ target` of a link, or length and SHA-256 of a file,
 * each with its mode. Links are not followed.
 */
export async function fileTree(root: string): Promise<Map<string, string>> {
  const tree = new Map<string, string>();
  await walk(root, "", tree);
  return new Map([...tree].sort(([left], [right]) => left < right ? -1 : 1));
}

async function walk(root: string, folder: string, tree: Map<string, string>): Promise<void> {
  for await (const { name } of Deno.readDir(`${root}/${folder}`)) {
    const path = folder === "" ? name : `${folder}/${name}`;
    const info = await Deno.lstat(`${root}/${path}`);
    const mode = ((info.mode ?? 0) & 0o7777).toString(8);
    tree.set(path, await describe(`${root}/${path}`, info, mode));
    if (info.isDirectory) await walk(root, path, tree);
  }
}

async function describe(path: string, info: Deno.FileInfo, mode: string): Promise<string> {
  if (info.isSymlink) return `→ ${await Deno.readLink(path)}`;
  if (info.isDirectory) return `folder ${mode}`;
  const hash = createHash("sha256").update(await Deno.readFile(path)).digest("hex");
  return `file ${mode} ${info.size} ${hash}`;
}

import { relative } from "node:path";

/** A TypeScript file of the project. */
export interface SourceFile {
  /** From the root, with slashes. */
  readonly path: string;
  readonly text: string;
}

/** `path` as seen from `root`. */
export function relativePath(root: string, path: string): string {
  return relative(root, path);
}

/** Every TypeScript file under `places`, which are folders or files below `root`. */
export async function sourceFiles(root: string, places: readonly string[]): Promise<SourceFile[]> {
  const found: SourceFile[] = [];
  for (const place of places) await collect(root, place, found);
  return found.sort((a, b) => a.path < b.path ? -1 : 1);
}

async function collect(root: string, place: string, found: SourceFile[]): Promise<void> {
  const info = await Deno.stat(`${root}/${place}`).catch(() => undefined);
  if (!info) return;
  if (info.isFile) {
    if (place.endsWith(".ts")) {
      found.push({ path: place, text: await Deno.readTextFile(`${root}/${place}`) });
    }
    return;
  }
  for await (const entry of Deno.readDir(`${root}/${place}`)) {
    await collect(root, `${place}/${entry.name}`, found);
  }
}

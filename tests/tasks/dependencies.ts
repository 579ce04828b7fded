/** The packages that end up in the executable, read from deno.lock. */
import { PROJECT_ROOT } from "../support/paths.ts";
import { sourceFiles } from "../support/source_files.ts";

/** One package of the executable. */
export interface Dependency {
  readonly name: string;
  readonly version: string;
  /** `sha512-` and base64, of the package's archive. */
  readonly integrity: string;
  /** An SPDX expression, as the package itself gives it. */
  readonly licence: string;
}

interface Lock {
  readonly specifiers: Readonly<Record<string, string>>;
  readonly npm: Readonly<
    Record<string, { readonly integrity: string; readonly dependencies?: readonly string[] }>
  >;
}

/** Those that the sources import, and what these depend on, by name. */
export async function dependencies(): Promise<readonly Dependency[]> {
  const lock: Lock = JSON.parse(await Deno.readTextFile(`${PROJECT_ROOT}deno.lock`));
  const found = new Set<string>();
  const waiting = (await importedPackages()).map((name) => lockedName(lock, name));
  for (let id = waiting.pop(); id !== undefined; id = waiting.pop()) {
    if (found.has(id)) continue;
    found.add(id);
    for (const needed of lock.npm[id]?.dependencies ?? []) waiting.push(lockedName(lock, needed));
  }
  const cache = await npmCache();
  return await Promise.all([...found].sort().map((id) => describe(lock, { id, cache })));
}

/** The names in deno.json's imports that the product's own files use. */
async function importedPackages(): Promise<string[]> {
  const { imports } = JSON.parse(await Deno.readTextFile(`${PROJECT_ROOT}deno.json`));
  const sources = await sourceFiles(PROJECT_ROOT, ["src"]);
  const texts = sources.map(({ text }) => text).join("\n");
  return Object.keys(imports).filter((name) => {
    const quoted = name.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&");
    return new RegExp(`(?:from|import\\()\\s*"${quoted}[/"]`).test(texts);
  });
}

/** `name` or `name@version` as the lock's packages are named: `name@version_peer@version`. */
function lockedName({ npm, specifiers }: Lock, wanted: string): string {
  if (npm[wanted]) return wanted;
  const specifier = Object.keys(specifiers).find((key) => key.startsWith(`npm:${wanted}@`));
  if (specifier) return `${wanted}@${specifiers[specifier]}`;
  const candidates = Object.keys(npm).filter((id) => id.startsWith(`${wanted}@`));
  if (candidates.length === 1) return candidates[0]!;
  throw new Error(`deno.lock has ${candidates.length} packages ${wanted}`);
}

async function describe(
  { npm }: Lock,
  { id, cache }: { readonly id: string; readonly cache: string },
): Promise<Dependency> {
  const [, name, version] = /^(@?[^@]+)@([^_]+)/.exec(id)!;
  const path = `${cache}/${name}/${version}/package.json`;
  const { license } = JSON.parse(await Deno.readTextFile(path));
  const licence = typeof license === "string" ? license : license?.type ?? "unknown";
  return { name: name!, version: version!, integrity: npm[id]!.integrity, licence };
}

async function npmCache(): Promise<string> {
  const { stdout } = await new Deno.Command(Deno.execPath(), { args: ["info", "--json"] }).output();
  const { npmCache: folder } = JSON.parse(new TextDecoder().decode(stdout));
  for await (const registry of Deno.readDir(folder)) {
    if (registry.isDirectory) return `${folder}/${registry.name}`;
  }
  throw new Error(`no packages in ${folder}`);
}

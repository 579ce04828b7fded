import { ConfigError } from "../domain/errors.ts";
import type { Program, ProgramName } from "./postgres.ts";

/** Where programs are looked for. */
export interface ProgramPlaces {
  /** The only folder to look in; without it all usual ones. */
  readonly bin?: string;
  /** The value of PATH. */
  readonly path?: string;
}

/**
 * Folders with one installation each: Debian, Red Hat, Alpine, Homebrew, Postgres.app, and what is
 * built from source. A star stands for the rest of one folder's name.
 */
const INSTALLATIONS = [
  "/usr/lib/postgresql/*/bin",
  "/usr/pgsql-*/bin",
  "/usr/libexec/postgresql*",
  "/opt/homebrew/opt/postgresql@*/bin",
  "/usr/local/opt/postgresql@*/bin",
  "/Applications/Postgres.app/Contents/Versions/*/bin",
  "/opt/postgresql*/bin",
  "/usr/local/pgsql*/bin",
];

/** The folders in the order in which they are asked. */
export async function programFolders({ bin, path = "" }: ProgramPlaces): Promise<string[]> {
  if (bin) return [bin];
  const onPath = path.split(":").filter((folder) => folder.startsWith("/"));
  const installed = await Promise.all(INSTALLATIONS.map(expand));
  return [...new Set([...onPath, ...installed.flat()])];
}

/**
 * Every program of that name, the lowest major first, one for each major.
 *
 * @throws {ConfigError} when there are only such as this executable may not run.
 */
export async function searchProgram(
  name: ProgramName,
  folders: readonly string[],
): Promise<readonly Program[]> {
  const byMajor = new Map<number, Program>();
  const refused: string[] = [];
  for (const folder of folders) {
    const path = `${folder.replace(/\/+$/, "")}/${name}`;
    const major = await isProgram(path) ? await majorOf(path) : undefined;
    if (major === "refused") refused.push(path);
    else if (major !== undefined && !byMajor.has(major)) byMajor.set(major, { name, path, major });
  }
  if (byMajor.size === 0 && refused[0] !== undefined) throw mayNotRun(refused[0]);
  return [...byMajor.values()].sort((a, b) => a.major - b.major);
}

function mayNotRun(path: string): ConfigError {
  const folder = path.slice(0, path.lastIndexOf("/"));
  return new ConfigError(
    `${path} is there, but this executable may run PostgreSQL's programs only from the usual ` +
      "folders or by PATH",
    `put ${folder} first in PATH instead of setting postgres.bin (docs/permissions.md)`,
  );
}

/**
 * 15 of `pg_dump (PostgreSQL) 15.20 (Debian …)`; undefined when it does not run, "refused" when the
 * executable's permission set keeps it from running.
 */
async function majorOf(path: string): Promise<number | "refused" | undefined> {
  try {
    const command = new Deno.Command(path, { args: ["--version"], stdin: "null", stderr: "null" });
    const { stdout } = await command.output();
    const match = /\(PostgreSQL\) (\d+)/.exec(new TextDecoder().decode(stdout));
    return match ? Number(match[1]) : undefined;
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) return "refused";
    return undefined; // not executable here, or not ours to run
  }
}

/** A program itself. Debian's pg_wrapper chooses one by rules of its own, and is none. */
async function isProgram(path: string): Promise<boolean> {
  try {
    return (await Deno.stat(path)).isFile && !(await Deno.realPath(path)).endsWith("/pg_wrapper");
  } catch {
    return false;
  }
}

/** The folders that a pattern with one star stands for. */
async function expand(pattern: string): Promise<string[]> {
  const [before = "", after = ""] = pattern.split("*");
  const parent = before.slice(0, before.lastIndexOf("/"));
  const prefix = before.slice(parent.length + 1);
  const found: string[] = [];
  try {
    for await (const { name } of Deno.readDir(parent)) {
      if (name.startsWith(prefix)) found.push(`${parent}/${name}${after}`);
    }
  } catch {
    return []; // no such folder on this system
  }
  return found.sort();
}

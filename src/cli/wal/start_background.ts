/**
 * Starts this program once more, for work that goes on after the call that PostgreSQL waits for has
 * ended. It ends by itself when there is nothing left to do.
 *
 * @returns false when this program may not start programs, or cannot tell how it was started.
 */
export function startBackground(args: readonly string[]): boolean {
  const [program, ...words] = programWords();
  if (program === undefined) return false;
  try {
    const child = new Deno.Command(program, {
      args: [...words, ...args],
      ...{ stdin: "null", stdout: "null", stderr: "null" },
    }).spawn();
    child.unref();
    return true;
  } catch {
    return false;
  }
}

/** The executable itself; from source or a bundle, Deno with the main module. Empty: not to be. */
export function programWords(): readonly string[] {
  const program = [Deno.execPath(), RUNNING_PROGRAM].find(mayRun);
  if (program === undefined) return [];
  if (Deno.build.standalone) return [program];
  if (!Deno.mainModule.startsWith("file://")) return [];
  const main = decodeURIComponent(new URL(Deno.mainModule).pathname);
  return [program, "run", "--quiet", "--no-check", "--no-lock", "--allow-all", main];
}

/** proc(5). Names are permitted as PATH finds them; this is permitted wherever the file lies. */
const RUNNING_PROGRAM = "/proc/self/exe";

function mayRun(command: string): boolean {
  return Deno.permissions.querySync({ name: "run", command }).state === "granted";
}

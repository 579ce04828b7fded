import { PROJECT_ROOT } from "./paths.ts";

/** What became of a run of the program. */
export interface CliResult {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** How the program is run. */
export interface CliOptions {
  /** The whole environment, but for what Deno itself needs. */
  readonly env?: Readonly<Record<string, string>>;
  /** @default {a folder without a configuration} */
  readonly cwd?: string;
  /** Called with the process once it runs. */
  readonly started?: (child: Deno.ChildProcess) => void;
}

/** Environment that Deno and the programs need, and that says nothing about any server. */
export function cleanEnvironment(): Record<string, string> {
  const kept = ["PATH", "DENO_DIR", "LANG", "TMPDIR", "XDG_CACHE_HOME"];
  const found = kept.map((name) => [name, Deno.env.get(name)] as const);
  const home = Deno.env.get("HOME") ?? "/";
  return {
    // Modules are found where this process found them, although HOME points elsewhere.
    DENO_DIR: `${Deno.env.get("XDG_CACHE_HOME") ?? `${home}/.cache`}/deno`,
    DENO_NO_UPDATE_CHECK: "1",
    ...Object.fromEntries(found.filter(([, value]) => value !== undefined)) as Record<
      string,
      string
    >,
  };
}

/** The program's first words: `BACKUPCTL_TEST_EXECUTABLE`, or this Deno with main.ts. */
export function programWords(): readonly [string, ...string[]] {
  const executable = Deno.env.get("BACKUPCTL_TEST_EXECUTABLE");
  if (executable) return [executable];
  return [Deno.execPath(), "run", "--no-check", "--quiet", "-A", `${PROJECT_ROOT}main.ts`];
}

/** Starts `backupctl …` in a process of its own. */
export function spawnCli(args: readonly string[], options: CliOptions = {}): Deno.ChildProcess {
  const [program, ...words] = programWords();
  return new Deno.Command(program, {
    args: [...words, ...args],
    cwd: options.cwd ?? "/",
    env: { ...cleanEnvironment(), ...options.env },
    clearEnv: true,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

/** Runs `backupctl …` to its end. */
export async function runCli(
  args: readonly string[],
  options: CliOptions = {},
): Promise<CliResult> {
  const child = spawnCli(args, options);
  options.started?.(child);
  const { code, stdout, stderr } = await child.output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { status: code, stdout: text(stdout), stderr: text(stderr) };
}

/** The lines `error: …` and `hint: …` at the end of standard error. */
export function failureOf({ stderr }: CliResult): {
  readonly error: string | undefined;
  readonly hint: string | undefined;
} {
  return {
    error: /^error: (.*)$/m.exec(stderr)?.[1],
    hint: /^hint: (.*)$/m.exec(stderr)?.[1],
  };
}

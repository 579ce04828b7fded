import { PROJECT_ROOT } from "../support/paths.ts";

/** How backupctl is run as a child. */
export interface RunOptions {
  readonly env: Readonly<Record<string, string>>;
  /** Where it runs: it looks for config/config.yaml there. */
  readonly cwd: string;
  /** What its standard error, with logs and progress, becomes. @default {"inherit"} */
  readonly stderr?: "inherit" | "piped";
  /** The executable and its first arguments. @default {this Deno, running main.ts} */
  readonly command?: readonly string[];
}

/** What a run left behind. */
export interface RunResult {
  readonly code: number;
  readonly seconds: number;
  /** Highest resident size seen, in bytes; 0 when it ended too soon to be seen. */
  readonly peakBytes: number;
  /** Standard output as JSON, when it was asked for and is JSON. */
  readonly document: Record<string, unknown> | undefined;
  readonly stderr: string;
}

const SOURCE = ["run", "--allow-all", "--quiet", `${PROJECT_ROOT}main.ts`];

/** Runs one command of backupctl with `--output json` and waits for its end. */
export async function runBackupctl(
  args: readonly string[],
  { env, cwd, stderr = "inherit", command = [Deno.execPath(), ...SOURCE] }: RunOptions,
): Promise<RunResult> {
  const started = performance.now();
  const child = new Deno.Command(command[0]!, {
    args: [...command.slice(1), ...args, "--output", "json"],
    env: { ...env },
    cwd,
    stdin: "null",
    stdout: "piped",
    stderr,
  }).spawn();
  const peak = watchPeak(child.pid);
  const [text, errors, { code }] = await Promise.all([
    new Response(child.stdout).text(),
    stderr === "piped" ? new Response(child.stderr).text() : "",
    child.status,
  ]);
  const seconds = (performance.now() - started) / 1000;
  return { code, seconds, peakBytes: peak.stop(), document: parse(text), stderr: errors };
}

/** Follows the high-water mark of a process's resident size. proc(5), VmHWM. */
function watchPeak(pid: number): { stop: () => number } {
  let peak = 0;
  const look = () => {
    try {
      const match = /VmHWM:\s+(\d+) kB/.exec(Deno.readTextFileSync(`/proc/${pid}/status`));
      if (match) peak = Math.max(peak, Number(match[1]) * 1024);
    } catch { /* it has ended */ }
  };
  const timer = setInterval(look, 50);
  return {
    stop: () => {
      clearInterval(timer);
      return peak;
    },
  };
}

function parse(text: string): Record<string, unknown> | undefined {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

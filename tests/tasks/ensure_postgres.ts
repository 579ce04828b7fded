import { defaultMajor } from "../support/postgres_binaries.ts";

/**
 * The machine's PostgreSQL server programs; as root on Debian they are installed when absent.
 *
 * @throws {Error} saying in one line what to install.
 */
export async function ensurePostgres(
  say: (line: string) => void,
): Promise<{ readonly major: number; readonly binDir: string }> {
  try {
    return defaultMajor();
  } catch {
    await installPostgres(say);
    return defaultMajor();
  }
}

async function installPostgres(say: (line: string) => void): Promise<void> {
  const apt = await Deno.stat("/usr/bin/apt-get").catch(() => undefined);
  if (!apt || Deno.uid() !== 0) {
    throw new Error(
      "PostgreSQL's server programs are not on this machine: install the package postgresql " +
        "(apt-get install postgresql, dnf install postgresql-server)",
    );
  }
  say("installing Debian's package postgresql …");
  await aptGet("update");
  await aptGet("install", "-y", "--no-install-recommends", "postgresql");
}

async function aptGet(...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command("/usr/bin/apt-get", {
    args: ["-qq", ...args],
    env: { DEBIAN_FRONTEND: "noninteractive" },
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).output();
  if (!success) throw new Error(`apt-get ${args[0]}: ${new TextDecoder().decode(stderr).trim()}`);
}

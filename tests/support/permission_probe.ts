/**
 * Tries what the executable must not be able to do, under the permission set that it is compiled
 * with, and prints what became of each try. Every try is harmless where it succeeds: files are opened
 * and not written, and what is made has a name of its own.
 */

interface Try {
  readonly what: string;
  readonly act: () => unknown;
}

const NAME = "backupctl-permission-probe";

/** Opened for writing, not written. */
function opens(path: string): Try {
  return {
    what: `open ${path} for writing`,
    act: () => Deno.openSync(path, { append: true }).close(),
  };
}

/** Made under a name that nobody has, and removed again. */
function makes(folder: string): Try {
  const path = `${folder}/${NAME}`;
  return {
    what: `make a file in ${folder}`,
    act: () => {
      Deno.openSync(path, { write: true, createNew: true }).close();
      Deno.removeSync(path);
    },
  };
}

function reads(path: string): Try {
  return { what: `read ${path}`, act: () => Deno.openSync(path).close() };
}

function runs(program: string, options: Deno.CommandOptions = {}): Try {
  const more = options.env ? ` with ${Object.keys(options.env).join(", ")}` : "";
  return {
    what: `run ${program}${more}`,
    act: () => new Deno.Command(program, { args: ["--version"], ...options }).outputSync(),
  };
}

const FORBIDDEN: readonly Try[] = [
  ...["/etc/passwd", "/etc/shadow", "/etc/group", "/etc/sudoers", "/etc/crontab"].map(opens),
  ...["/etc/ld.so.preload", "/proc/sys/kernel/core_pattern", "/sys/kernel/uevent_helper"].map(
    opens,
  ),
  ...["/bin", "/sbin", "/lib", "/lib64", "/boot", "/usr/bin", "/usr/lib", "/usr/local/bin"].map(
    makes,
  ),
  ...["/etc/cron.d", "/etc/pam.d", "/etc/ssh", "/etc/sudoers.d", "/etc/systemd"].map(makes),
  ...["/var/spool/cron", "/root/.ssh"].map(makes),
  { what: "make a folder in /usr", act: () => Deno.mkdirSync(`/usr/${NAME}`) },
  { what: "remove a file of /usr", act: () => Deno.removeSync(`/usr/${NAME}`) },
  {
    what: "rename a file into /usr/bin",
    act: () => Deno.renameSync(`/tmp/${NAME}`, `/usr/bin/${NAME}`),
  },
  { what: "change a mode in /usr", act: () => Deno.chmodSync(`/usr/${NAME}`, 0o4755) },
  ...["/etc/shadow", "/etc/gshadow", "/etc/sudoers"].map(reads),
  ...["sh", "/bin/sh", "bash", "curl", "python3", "rm"].map((program) => runs(program)),
  runs("pg_dump", { env: { LD_PRELOAD: "/tmp/evil.so" } }),
  runs("pg_dump", { env: { LD_LIBRARY_PATH: "/tmp" } }),
  { what: "load a library", act: () => Deno.dlopen("/lib/x86_64-linux-gnu/libc.so.6", {}) },
  { what: "import code from the network", act: () => import(`https://127.0.0.1:1/${NAME}.ts`) },
  { what: "read the load of the machine", act: () => Deno.loadavg() },
  { what: "list network interfaces", act: () => Deno.networkInterfaces() },
];

/** The set would be no use if it denied everything. */
const ALLOWED: readonly Try[] = [
  { what: "make a temporary file", act: () => Deno.removeSync(Deno.makeTempFileSync()) },
  { what: "read /etc/hostname", act: () => Deno.readTextFileSync("/etc/hostname") },
  { what: "read the environment", act: () => Deno.env.toObject() },
  {
    what: "listen on loopback",
    act: () => Deno.listen({ hostname: "127.0.0.1", port: 0 }).close(),
  },
];

async function outcome(
  { what, act }: Try,
): Promise<{ readonly what: string; readonly got: string }> {
  try {
    await act();
    return { what, got: "allowed" };
  } catch (error) {
    const isDenied = error instanceof Deno.errors.NotCapable ||
      (error instanceof TypeError &&
        /^(Requires import access|Module not found)/.test(error.message));
    return { what, got: isDenied ? "denied" : String(error) };
  }
}

const tried = async (all: readonly Try[]) => {
  const found = [];
  for (const one of all) found.push(await outcome(one));
  return found;
};
console.log(JSON.stringify({ forbidden: await tried(FORBIDDEN), allowed: await tried(ALLOWED) }));

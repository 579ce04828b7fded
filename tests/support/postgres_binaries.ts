/**
 * Where the servers of the tests come from.
 *
 * `BACKUPCTL_TEST_PG_BIN` names the folder of one installation; without it PATH and the usual
 * folders are asked. `BACKUPCTL_TEST_PG_BINS` names several: `13=/folder:15=/folder`.
 *
 * @module
 */

/** One installation of PostgreSQL's server and client programs. */
export interface ClusterMajor {
  readonly major: number;
  /** The folder that holds `initdb`, `postgres` and the client programs. */
  readonly binDir: string;
}

/** The installations that end-to-end tests loop over: `BACKUPCTL_TEST_PG_BINS`, or the machine's. */
export function clusterMajors(): readonly ClusterMajor[] {
  const listed = Deno.env.get("BACKUPCTL_TEST_PG_BINS") ?? "";
  const majors = listed.split(":").filter((entry) => entry !== "").map(parseMajor);
  return majors.length > 0 ? majors : [defaultMajor()];
}

/** The machine's own installation: the one that a test takes when it does not care. */
export function defaultMajor(): ClusterMajor {
  const binDir = findBinDir();
  return { binDir, major: majorOf(binDir) };
}

/** The installation of `major` among {@link clusterMajors}, or the machine's own. */
export function installationOf(major: number): ClusterMajor {
  const candidates = [...clusterMajors(), defaultMajor()];
  const found = candidates.find((candidate) => candidate.major === major);
  if (!found) throw new Error(`no PostgreSQL ${major} here; name it in BACKUPCTL_TEST_PG_BINS`);
  return found;
}

/** What `postgres --version` of that folder says: 15 of `postgres (PostgreSQL) 15.20`. */
export function majorOf(binDir: string): number {
  const text = output(`${binDir}/postgres`, ["--version"]) ?? "";
  const match = /PostgreSQL\) (\d+)/.exec(text);
  if (!match) throw new Error(`${binDir}/postgres --version answered ${JSON.stringify(text)}`);
  return Number(match[1]);
}

/** Whether the server was built with TLS; some builds that are made for tests are not. */
export function speaksTls(binDir: string): boolean {
  const program = new TextDecoder("latin1").decode(Deno.readFileSync(`${binDir}/postgres`));
  return !program.includes("SSL is not supported by this build");
}

function parseMajor(entry: string): ClusterMajor {
  const match = /^(\d+)w?=(\/.+)$/.exec(entry);
  if (!match) throw new Error(`BACKUPCTL_TEST_PG_BINS: "${entry}" is not MAJOR=/folder`);
  return { major: Number(match[1]), binDir: match[2]! };
}

function findBinDir(): string {
  const named = Deno.env.get("BACKUPCTL_TEST_PG_BIN");
  if (named) return named;
  const found = candidates().find((folder) => isFile(`${folder}/initdb`));
  if (found) return found;
  throw new Error(
    "no PostgreSQL server programs found; install postgresql or set BACKUPCTL_TEST_PG_BIN",
  );
}

function candidates(): string[] {
  const byConfig = output("pg_config", ["--bindir"])?.trim();
  const path = (Deno.env.get("PATH") ?? "").split(":").map((folder) => `${folder}/initdb`);
  const onPath = path.find(isFile);
  return [
    ...(byConfig ? [byConfig] : []),
    ...(onPath ? [Deno.realPathSync(onPath).replace(/\/initdb$/, "")] : []),
    ...versioned("/usr/lib/postgresql", (name) => `/usr/lib/postgresql/${name}/bin`),
    ...versioned("/usr", (name) => `/usr/${name}/bin`, /^pgsql-/),
  ];
}

/** Folders named for a major version, the newest first. */
function versioned(parent: string, bin: (name: string) => string, prefix = /^/): string[] {
  try {
    const names = [...Deno.readDirSync(parent)].map((entry) => entry.name);
    const matching = names.filter((name) => prefix.test(name) && /\d+$/.test(name));
    const number = (name: string) => Number(/\d+$/.exec(name)![0]);
    return matching.sort((a, b) => number(b) - number(a)).map(bin);
  } catch {
    return [];
  }
}

function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

function output(program: string, args: string[]): string | undefined {
  try {
    const result = new Deno.Command(program, { args, stderr: "null" }).outputSync();
    return result.success ? new TextDecoder().decode(result.stdout) : undefined;
  } catch {
    return undefined;
  }
}

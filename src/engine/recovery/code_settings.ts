/** Settings by which a data directory makes a server run programs or load libraries. */
const RUN_CODE: ReadonlySet<string> = new Set([
  "archive_command",
  "archive_library",
  "archive_cleanup_command",
  "restore_command",
  "recovery_end_command",
  "ssl_passphrase_command",
  "shared_preload_libraries",
  "session_preload_libraries",
  "local_preload_libraries",
  "jit_provider",
  "dynamic_library_path",
  "extension_control_path",
  "data_directory",
  "include",
  "include_if_exists",
  "include_dir",
]);
/** What says nothing, or PostgreSQL's own default. */
const HARMLESS = /^('\s*'|'llvmjit'|'\$libdir'|'\$system'|'\(disabled\)')$/;
/** PostgreSQL, src/backend/utils/misc/guc-file.l: a name, perhaps `=`, a value. */
const LINE = /^\s*([A-Za-z_][A-Za-z0-9_.]*)\s*=?\s*('(?:[^'\\]|''|\\.)*'|[^\s#']+)/;
/** More of a file is nobody's configuration. */
const LIMIT_BYTES = 4 * 1024 * 1024;

/** A setting that makes the server run what it names. */
export interface CodeSetting {
  readonly name: string;
  /** Below the data directory. */
  readonly file: string;
  /** From 1 on. */
  readonly line: number;
}

/**
 * Looks for settings of a restored data directory that run code when a server is started on it. Its
 * files came from the repository: whoever could write there, or was the old server's superuser,
 * chose them. Values are not handed out, since they may hold passwords.
 */
export async function codeSettings(dataDirectory: string): Promise<readonly CodeSetting[]> {
  const files = ["postgresql.conf", "postgresql.auto.conf", ...await included(dataDirectory)];
  const found = await Promise.all(files.map(async (file) => {
    const text = await readConf(`${dataDirectory}/${file}`);
    return text.split("\n").flatMap((line, index) => {
      const [, name = "", value = ""] = LINE.exec(line) ?? [];
      const isFound = RUN_CODE.has(name.toLowerCase()) && !HARMLESS.test(value);
      return isFound ? [{ name: name.toLowerCase(), file, line: index + 1 }] : [];
    });
  }));
  return found.flat();
}

/** One sentence for people; undefined when there is nothing to say. */
export function describeCodeSettings(found: readonly CodeSetting[]): string | undefined {
  if (found.length === 0) return undefined;
  const named = found.slice(0, 8).map(({ name, file, line }) => `${name} (${file}:${line})`);
  if (found.length > named.length) named.push(`${found.length - named.length} more`);
  return `the restored configuration runs programs or loads libraries: ${named.join(", ")}; ` +
    "look at them before you start a server if you do not trust the repository";
}

async function included(dataDirectory: string): Promise<readonly string[]> {
  try {
    const entries = await Array.fromAsync(Deno.readDir(`${dataDirectory}/conf.d`));
    return entries.filter(({ name, isFile }) => isFile && name.endsWith(".conf"))
      .map(({ name }) => `conf.d/${name}`).sort();
  } catch {
    return [];
  }
}

/** Empty when there is none; never a device or what a link leads to. */
async function readConf(path: string): Promise<string> {
  try {
    const { isFile, size } = await Deno.lstat(path);
    return isFile && size <= LIMIT_BYTES ? await Deno.readTextFile(path) : "";
  } catch {
    return "";
  }
}

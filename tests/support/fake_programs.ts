import type { ProgramName } from "../../src/postgres/postgres.ts";

const REAL: readonly ProgramName[] = ["pg_dump", "pg_dumpall", "pg_restore", "psql"];

/** A folder of client programs, some of them replaced by shell scripts. */
export interface FakePrograms extends AsyncDisposable {
  readonly folder: string;
}

/**
 * Makes a folder in which every client program is the real one, but for those in `scripts`: bodies
 * of shell scripts, in which `$REAL` is the real program. All answer `--version` as `major`.
 */
export async function fakePrograms(
  { binDir, major, scripts }: {
    readonly binDir: string;
    readonly major: number;
    readonly scripts: Partial<Record<ProgramName, string>>;
  },
): Promise<FakePrograms> {
  const folder = await Deno.makeTempDir({ prefix: "backupctl-fake-" });
  for (const name of REAL) {
    const body = scripts[name] ?? 'exec "$REAL" "$@"';
    const text = `#!/bin/sh\nREAL='${binDir}/${name}'\n` +
      `[ "$1" = --version ] && { echo "${name} (PostgreSQL) ${major}.9"; exit 0; }\n${body}\n`;
    await Deno.writeTextFile(`${folder}/${name}`, text);
    await Deno.chmod(`${folder}/${name}`, 0o755);
  }
  return { folder, [Symbol.asyncDispose]: () => Deno.remove(folder, { recursive: true }) };
}

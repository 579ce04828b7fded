/**
 * backupctl as an installed program, which PostgreSQL's own user can run: the compiled executable
 * that `BACKUPCTL_TEST_EXECUTABLE` names, or else this Deno with a bundle, behind a script.
 *
 * @module
 */
import { runAsServer } from "./postgres_process.ts";
import { bundle } from "../tasks/bundle.ts";
import { giveToServer, makeServerFolder, serverUser } from "./server_user.ts";
import type { CliResult } from "./run_cli.ts";
import { removeTree } from "./remove_tree.ts";

/** A program in a folder of its own. */
export class InstalledProgram implements AsyncDisposable {
  readonly folder: string;
  /** Absolute path, ends with `/backupctl`. */
  readonly path: string;

  private constructor(folder: string) {
    this.folder = folder;
    this.path = `${folder}/backupctl`;
  }

  /** Installs it; a second or two. */
  static async install(): Promise<InstalledProgram> {
    const program = new InstalledProgram(await makeServerFolder("backupctl-program-"));
    const compiled = Deno.env.get("BACKUPCTL_TEST_EXECUTABLE");
    if (compiled) await Deno.copyFile(compiled, program.path);
    else await program.#bundle();
    await Deno.chmod(program.path, 0o755);
    await giveToServer(program.folder);
    return program;
  }

  /** Variables that it needs besides its own settings. */
  get env(): Readonly<Record<string, string>> {
    return { DENO_DIR: `${this.folder}/cache`, DENO_NO_UPDATE_CHECK: "1" };
  }

  /** Runs it as the server's user, or as root when the tests are. */
  async run(
    args: readonly string[],
    { env, cwd = this.folder, root = false }: {
      readonly env: Readonly<Record<string, string>>;
      readonly cwd?: string;
      readonly root?: boolean;
    },
  ): Promise<CliResult> {
    const { code, stdout, stderr } = await new Deno.Command(this.path, {
      args: [...args],
      cwd,
      clearEnv: true,
      env: { PATH: Deno.env.get("PATH")!, HOME: this.folder, TZ: "UTC", ...this.env, ...env },
      ...(root ? {} : serverUser()),
      stdin: "null",
    }).output();
    const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
    return { status: code, stdout: text(stdout), stderr: text(stderr) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await removeTree(this.folder);
  }

  async #bundle(): Promise<void> {
    const deno = `${this.folder}/deno`;
    await Deno.copyFile(Deno.execPath(), deno);
    await Deno.chmod(deno, 0o755);
    await bundle(`${this.folder}/bundle`);
    await Deno.mkdir(`${this.folder}/cache`);
    await Deno.writeTextFile(
      this.path,
      `#!/bin/sh\nexec ${deno} run --quiet --no-lock --allow-all ${this.folder}/bundle/main.js "$@"\n`,
    );
  }
}

/** Stops the server of a data directory, if any runs. */
export async function stopServer(
  dataDirectory: string,
  { binDir, mode = "fast" }: { readonly binDir: string; readonly mode?: "fast" | "immediate" },
): Promise<void> {
  const args = ["-D", dataDirectory, "-m", mode, "-s", "-w", "stop"];
  await runAsServer(`${binDir}/pg_ctl`, args, { cwd: "/", env: {} }).catch(() => {});
}

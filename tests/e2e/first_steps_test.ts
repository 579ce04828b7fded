/** What people meet first: a folder that is closed to the user, and a question to turn away from. */
import assert from "node:assert/strict";
import { InstalledProgram } from "../support/installed_program.ts";
import { cleanEnvironment } from "../support/run_cli.ts";
import { serverUser } from "../support/server_user.ts";

/** Runs a line of the shell as PostgreSQL's user, with `$0` as the program. */
async function asServer(line: string, program: InstalledProgram) {
  const user = serverUser();
  const become = user
    ? ["setpriv", `--reuid=${user.uid}`, `--regid=${user.gid}`, "--clear-groups"]
    : [];
  const [name, ...args] = ["sh", "-c", line, program.path, become.join(" ")];
  const { code, stderr } = await new Deno.Command(name!, {
    args,
    cwd: program.folder,
    clearEnv: true,
    env: {
      ...{ PATH: Deno.env.get("PATH")!, HOME: program.folder, ...program.env },
      ...{
        BACKUPCTL_REPOSITORY_PATH: `${program.folder}/repository`,
        BACKUPCTL_METADATA_URL: "off",
      },
    },
    stdin: "null",
  }).output();
  return { status: code, stderr: new TextDecoder().decode(stderr) };
}

Deno.test("a closed current folder holds no configuration; a closed file in it is a fault", async () => {
  await using program = await InstalledProgram.install();
  const list = '$1 "$0" status --quiet';
  const closed = await asServer(
    `mkdir closed && cd closed && chmod 000 . && exec ${list}`,
    program,
  );
  assert.doesNotMatch(closed.stderr, /config\.yaml/);
  const file = "mkdir -p open/config && cd open && touch config/config.yaml";
  const fault = await asServer(`${file} && chmod 000 config/config.yaml && exec ${list}`, program);
  assert.equal(fault.status, 4, fault.stderr);
  assert.match(fault.stderr, /config\/config\.yaml: cannot be read: Permission denied/);
});

Deno.test("Ctrl-C at a question ends the command at once, with nothing done", async () => {
  const asking = new URL("../support/ask_on_terminal.ts", import.meta.url).pathname;
  const deno = [Deno.execPath(), "run", "--no-check", "--quiet", "-A", asking].join(" ");
  const child = new Deno.Command("script", {
    args: ["-qec", deno, "/dev/null"],
    env: cleanEnvironment(),
    clearEnv: true,
    ...{ stdin: "piped", stdout: "piped", stderr: "null" },
  }).spawn();
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let said = "";
  while (!said.includes("[y/N]")) {
    const { value, done } = await reader.read();
    assert.ok(!done, said);
    said += value;
  }
  const writer = child.stdin.getWriter();
  await writer.write(new Uint8Array([3])); // the terminal makes SIGINT of it
  const began = performance.now();
  const { code } = await child.status;
  assert.equal(code, 130, said);
  assert.ok(performance.now() - began < 5_000, "it waited for an answer");
  await writer.abort().catch(() => {});
  await reader.cancel();
});

import assert from "node:assert/strict";
import { ConfigError, PostgresError, VersionError } from "../../../src/domain/errors.ts";
import { LocalPrograms } from "../../../src/postgres/client_programs.ts";
import type { Program } from "../../../src/postgres/postgres.ts";
import { ProgramProcess } from "../../../src/postgres/program_process.ts";

/** Folders with programs that only know their version. */
async function installations(
  versions: Readonly<Record<string, string>>,
): Promise<{ readonly path: string } & AsyncDisposable> {
  const path = await Deno.makeTempDir({ prefix: "backupctl-bin-" });
  for (const [folder, version] of Object.entries(versions)) {
    await Deno.mkdir(`${path}/${folder}`);
    for (const name of ["pg_dump", "postgres"]) {
      const script = `#!/bin/sh\necho "${name} (PostgreSQL) ${version}"\n`;
      await Deno.writeTextFile(`${path}/${folder}/${name}`, script, { mode: 0o755 });
    }
  }
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}

Deno.test("LocalPrograms.find() takes the least major that will do, the first on PATH", async () => {
  const versions = { a: "90.1", b: "92beta1", c: "91.5 (Debian 91.5-1)", d: "91.9" };
  await using folder = await installations(versions);
  const path = ["", ".", ...Object.keys(versions).map((name) => `${folder.path}/${name}`)].join(
    ":",
  );
  const programs = new LocalPrograms({ env: { PATH: path } });
  const found = async (minMajor: number) => {
    const program = await programs.find("pg_dump", minMajor);
    return `${program.major} ${program.path.slice(folder.path.length)}`;
  };
  assert.equal(await found(90), "90 /a/pg_dump");
  assert.equal(await found(91), "91 /c/pg_dump");
  assert.equal(await found(92), "92 /b/pg_dump");
  await assert.rejects(found(93), VersionError);
});

Deno.test("LocalPrograms.find() looks nowhere else when a folder is configured", async () => {
  await using folder = await installations({ old: "13.4", new: "99.1" });
  const bin = `${folder.path}/old`;
  const programs = new LocalPrograms({ bin, env: { PATH: `${folder.path}/new` } });
  await assert.rejects(programs.find("pg_dump", 15), (error) => {
    assert.ok(error instanceof VersionError);
    assert.match(error.message, /^pg_dump 13 \(.*\/old\/pg_dump\) is older than the server 15$/);
    assert.match(error.hint ?? "", /install postgresql-client-15/);
    return true;
  });
  await assert.rejects(programs.find("postgres", 15), (error) => {
    return error instanceof VersionError && /install postgresql-15/.test(error.hint ?? "");
  });
  await assert.rejects(programs.find("psql", 15), /psql was not found in .*\/old/);
});

Deno.test("LocalPrograms.find() passes over what is no program of PostgreSQL", async () => {
  await using folder = await installations({ good: "99.1" });
  await Deno.mkdir(`${folder.path}/bad`);
  const path = `${folder.path}/bad/pg_dump`;
  for (const [text, mode] of [["#!/bin/sh\necho 98", 0o755], ["no script", 0o755], ["", 0o644]]) {
    await Deno.writeTextFile(path, text as string);
    await Deno.chmod(path, mode as number);
    const programs = new LocalPrograms({ env: { PATH: `${folder.path}/bad:${folder.path}/good` } });
    assert.equal((await programs.find("pg_dump", 90)).major, 99);
  }
});

Deno.test({
  name: "LocalPrograms.find() says of a program that may not be run that it is there",
  permissions: { read: true, write: true, env: true, run: ["/usr/bin/env"] },
  async fn() {
    await using folder = await installations({ own: "99.1" });
    const bin = `${folder.path}/own`;
    for (
      const programs of [
        new LocalPrograms({ bin, env: {} }),
        new LocalPrograms({ bin: `${bin}/`, env: {} }),
      ]
    ) {
      await assert.rejects(programs.find("pg_dump", 90), (error) => {
        assert.ok(error instanceof ConfigError);
        assert.equal(
          error.message,
          `${bin}/pg_dump is there, but this executable may run PostgreSQL's programs only from ` +
            "the usual folders or by PATH",
        );
        assert.equal(error.hint?.startsWith(`put ${bin} first in PATH`), true, error.hint);
        return true;
      });
      await assert.rejects(programs.find("psql", 90), /psql was not found in/);
    }
  },
});

Deno.test("LocalPrograms.run() refuses a password that no file can hold", () => {
  const programs = new LocalPrograms({ env: {} });
  const connection = {
    ...{ host: "h", port: 1, user: "u", database: "d", sslmode: "disable" as const },
    password: "two\nlines",
  };
  assert.throws(() => programs.run(SHELL, [], { connection }), PostgresError);
});

const SHELL: Program = { name: "psql", path: "/bin/sh", major: 15 };

function shell(script: string, options: { readonly graceMs?: number; cleanUp?: () => void } = {}) {
  return ProgramProcess.start(SHELL, { args: ["-c", script], env: {}, stdin: "null", ...options });
}

Deno.test("ProgramProcess gives output and standard error, and cleans up once", async () => {
  let cleaned = 0;
  const program = shell("echo out; echo err >&2", { cleanUp: () => cleaned += 1 });
  assert.equal(await new Response(program.stdout).text(), "out\n");
  assert.deepEqual(await program.finished(), { stderr: "err\n" });
  assert.deepEqual(await program.finished(), { stderr: "err\n" });
  assert.equal(cleaned, 1);
});

Deno.test("ProgramProcess keeps the end of a long standard error", async () => {
  const lines = "i=0; while [ $i -lt 30000 ]; do echo line $i; i=$((i+1)); done >&2; exit 3";
  const program = shell(lines);
  await program.stdout.cancel();
  await assert.rejects(program.finished(), {
    name: "ProgramError",
    status: 3,
    message: "psql ended with status 3: " +
      [29995, 29996, 29997, 29998, 29999].map((number) => `line ${number}`).join("; "),
  });
});

Deno.test("ProgramProcess tells the signal that ended a program", async () => {
  const program = shell("kill -SEGV $$");
  await program.stdout.cancel();
  await assert.rejects(program.finished(), /psql was ended by SIGSEGV/);
});

Deno.test("ProgramProcess.kill() asks first, then ends what does not listen", async () => {
  // Who listens has time enough on any machine.
  const traps = [["trap 'echo bye; exit 0' TERM", 60_000], ["trap '' TERM", 200]] as const;
  for (const [trap, graceMs] of traps) {
    const program = shell(`${trap}; echo ready; while :; do sleep 0.05; done`, { graceMs });
    const reader = program.stdout.getReader();
    assert.equal(new TextDecoder().decode((await reader.read()).value), "ready\n");
    await program.kill();
    if (trap.includes("bye")) await program.finished();
    else await assert.rejects(program.finished(), /SIGKILL/);
    await program.kill();
    await reader.cancel();
  }
});

Deno.test("ProgramProcess cleans up when a program cannot be started", () => {
  let cleaned = 0;
  const options = { args: [], env: {}, stdin: "null" as const, cleanUp: () => cleaned += 1 };
  const missing: Program = { ...SHELL, path: "/nonexistent/psql" };
  assert.throws(() => ProgramProcess.start(missing, options), PostgresError);
  assert.equal(cleaned, 1);
});

Deno.test("ProgramProcess has no input unless it was asked for", async () => {
  const program = shell("cat");
  const writer = program.stdin.getWriter();
  await assert.rejects(writer.write(new Uint8Array(1)), /without standard input/);
  assert.equal(await new Response(program.stdout).text(), "");
  await program.finished();
});

/** `status` as it is typed, over a folder that looks like the real ones. */
import assert from "node:assert/strict";
import { DirectoryStore } from "../../src/storage/directory.ts";
import { runCli } from "../support/run_cli.ts";
import { sampleRepository } from "../support/status_samples.ts";

/** The sample repository as a folder, with a link in it that nobody of us made. */
async function inFolder(work: (env: Record<string, string>, folder: string) => Promise<void>) {
  const folder = await Deno.realPath(await Deno.makeTempDir({ prefix: "backupctl-status-" }));
  try {
    const { store } = await sampleRepository();
    const copy = new DirectoryStore(folder);
    for await (const { key, lastModified } of store.list("")) {
      await copy.put(key, await store.get(key));
      await Deno.utime(`${folder}/${key}`, lastModified!, lastModified!);
    }
    await Deno.symlink("/etc", `${folder}/main/stray`);
    await work({ BACKUPCTL_REPOSITORY_PATH: folder, HOME: folder, LANG: "C.UTF-8" }, folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("status of a folder as the real ones are", async (t) => {
  await inFolder(async (env, folder) => {
    await t.step("status goes round a stray link and says so", async () => {
      const { status, stdout, stderr } = await runCli(["status"], { env });
      assert.equal(status, 0, stderr);
      assert.match(stdout, /7 backups/);
      assert.match(stdout, /^unfinished: 20261123T050000Z-F, .* was killed$/m);
      assert.equal(
        stderr,
        `warning: ${folder}/main/stray is a symbolic link inside the repository; what is behind it was left out\n`,
      );
      const json = JSON.parse((await runCli(["status", "--output", "json"], { env })).stdout);
      assert.deepEqual(json.foreign, [`${folder}/main/stray`]);
      assert.equal(json.unfinished[0].state, "incomplete");
      const page = await runCli(["status", "--backup-id", "20261118T080000Z-I"], { env });
      assert.equal(page.status, 0, page.stderr);
      assert.match(page.stdout, /^built on +20261116T080000Z-F$/m);
      const other = await runCli(["status", "--backup-id", "20261121T080000Z-I"], { env });
      assert.match(other.stdout, /^state +broken chain$/m);
    });

    await t.step("status --chart draws, in ASCII where nothing else shows", async () => {
      const { stdout } = await runCli(["status", "--chart"], { env });
      assert.match(stdout, /^timeline 1 {2}█+░+ +█+$/m);
      const ascii = await runCli(["status", "--chart"], { env: { ...env, LANG: "C" } });
      assert.match(ascii.stdout, /^timeline 1 {2}#+-+ +#+$/m);
      for (const line of ascii.stdout.split("\n").slice(1)) assert.ok(line.length <= 80, line);
    });

    await t.step("status --watch writes lines until its time is over", async () => {
      const { status, stdout } = await runCli(["status", "--watch", "--timeout", "4s"], { env });
      assert.equal(status, 0);
      assert.match(stdout, /^\S+Z main: 7 backups, newest 20261123T030000Z-L .* stored\n$/);
    });

    await t.step(
      "status asks a server that does not answer for three seconds at most",
      async () => {
        using deaf = Deno.listen({ hostname: "127.0.0.1", port: 0 });
        const { port } = deaf.addr as Deno.NetAddr;
        const begun = performance.now();
        const server = { PG_HOST: "127.0.0.1", PG_PORT: String(port) };
        const { status, stdout } = await runCli(["status"], { env: { ...env, ...server } });
        assert.equal(status, 0);
        assert.match(stdout, /7 backups/);
        assert.ok(performance.now() - begun < 40_000);
      },
    );
  });
});

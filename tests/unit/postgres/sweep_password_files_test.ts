import assert from "node:assert/strict";
import { pid } from "node:process";
import {
  passwordFilePrefix,
  sweepPasswordFiles,
} from "../../../src/postgres/sweep_password_files.ts";

const HOUR = 3_600_000;

/** The id of a process that has ended. */
async function deadProcess(): Promise<number> {
  const child = new Deno.Command("true").spawn();
  await child.status;
  return child.pid;
}

Deno.test("sweepPasswordFiles() removes what killed runs left, and nothing else", async () => {
  const folder = await Deno.makeTempDir({ prefix: "backupctl-sweep-" });
  const now = 1_800_000_000_000;
  const dead = await deadProcess();
  const files: readonly (readonly [name: string, hours: number, stays: boolean])[] = [
    [`backupctl-${dead}-a.pgpass`, 2, false],
    [`backupctl-${dead}-b.pgpass`, 0.5, true],
    [`backupctl-${pid}-c.pgpass`, 2, true],
    [`other-${dead}-d.pgpass`, 2, true],
    [`backupctl-${dead}-e.txt`, 2, true],
  ];
  try {
    for (const [name, hours] of files) {
      await Deno.writeTextFile(`${folder}/${name}`, "x");
      const time = new Date(now - hours * HOUR);
      await Deno.utime(`${folder}/${name}`, time, time);
    }
    await sweepPasswordFiles(folder, { now });
    const left = (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name).sort();
    assert.deepEqual(left, files.filter(([, , stays]) => stays).map(([name]) => name).sort());
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("sweepPasswordFiles() keeps quiet about a folder that cannot be read", async () => {
  await sweepPasswordFiles("/nowhere/at/all", { now: 0 });
});

Deno.test("passwordFilePrefix() names this process", () => {
  assert.equal(passwordFilePrefix(), `backupctl-${pid}-`);
});

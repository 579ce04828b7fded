/** Dumps that killed restores have left among temporary files. */
import assert from "node:assert/strict";
import { sweepSpools } from "../../../../src/engine/logical/sweep_spools.ts";

const HOUR = 3_600_000;

async function inFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "backupctl-sweep-" });
  try {
    await work(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** A spooled dump that was last written so long ago. */
async function spool(path: string, ageMs: number): Promise<string> {
  await Deno.mkdir(path);
  await Deno.writeTextFile(`${path}/dump`, "PGDMP");
  const at = new Date(Date.now() - ageMs);
  await Deno.utime(`${path}/dump`, at, at);
  return `${path}/dump`;
}

const names = (folder: string) => Array.from(Deno.readDirSync(folder), ({ name }) => name).sort();

Deno.test("sweepSpools() removes the dumps of restores that were killed, and no others", () =>
  inFolder(async (folder) => {
    const place = (name: string) => `${folder}/backupctl-restore-${name}`;
    await spool(place("killed"), 2 * HOUR);
    await spool(place("young"), HOUR / 2);
    const other = await spool(`${folder}/backupctl-other`, 2 * HOUR);
    const used = await spool(place("used"), 2 * HOUR);
    await Deno.mkdir(place("strange"));
    await Deno.symlink(other, `${place("strange")}/dump`);
    using file = await Deno.open(used, { write: true });
    await file.lock(true);
    await sweepSpools(folder);
    assert.deepEqual(names(folder), [
      "backupctl-other",
      "backupctl-restore-strange",
      "backupctl-restore-used",
      "backupctl-restore-young",
    ]);
  }));

Deno.test("sweepSpools() leaves a folder alone that cannot be listed", () =>
  inFolder(async (folder) => {
    await sweepSpools(`${folder}/none`);
  }));

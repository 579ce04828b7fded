/** What is left in the spool when the disk is full, or a process was killed. */
import assert from "node:assert/strict";
import { keepWalSettings } from "../../../src/cli/wal/keep_wal_settings.ts";
import type { WalSettings } from "../../../src/cli/wal/wal_settings.ts";
import { WalSpool } from "../../../src/engine/wal/wal_spool.ts";

const HOUR = 3_600_000;
const NAME = "000000010000000000000001";
const MARK = {
  name: NAME,
  identity: { device: 1, inode: 2, size: 3, modified: 4 },
  sha256: "0".repeat(64),
} as unknown as Parameters<WalSpool["mark"]>[0];

function spoolTest(
  title: string,
  run: (spool: WalSpool, names: () => string[]) => void,
): void {
  Deno.test(title, async () => {
    const folder = await Deno.makeTempDir({ prefix: "backupctl-spool-" });
    try {
      const names = () => Array.from(Deno.readDirSync(folder), ({ name }) => name).sort();
      run(new WalSpool(folder, "settings"), names);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}

/** The next file of this name is written where there is no room: full(4). */
function fillDisk(path: string): void {
  Deno.symlinkSync("/dev/full", `${path}.${Deno.pid}.tmp`);
}

spoolTest(
  "remember() keeps what it knew, and leaves nothing, when the disk is full",
  (spool, names) => {
    const known = { conditionalPut: true, checked: 1 };
    spool.remember(known);
    fillDisk(`${spool.folder}/repository.json`);
    spool.remember({ conditionalPut: false, checked: 2 });
    assert.deepEqual(spool.repository(), known);
    assert.deepEqual(names(), ["repository.json"]);
  },
);

spoolTest("mark() and claim() leave nothing when the disk is full", (spool, names) => {
  fillDisk(`${spool.folder}/${NAME}.mark`);
  fillDisk(`${spool.folder}/settings.json`);
  assert.equal(spool.mark(MARK), false);
  spool.claim();
  assert.equal(spool.isCurrent, false);
  assert.deepEqual(names(), []);
});

spoolTest("keepWalSettings() leaves nothing when the disk is full", ({ folder }, names) => {
  fillDisk(`${folder}/settings-1.json`);
  keepWalSettings(`${folder}/settings-1.json`, { key: "", settings: {} as WalSettings });
  assert.deepEqual(names(), []);
});

spoolTest("a disk that takes a part of the text is asked for the rest", (spool) => {
  const { openSync } = Deno;
  const known = { conditionalPut: true, checked: 1 };
  Object.assign(Deno, {
    openSync: (path: string, options?: Deno.OpenOptions) => {
      const file = openSync(path, options);
      const writeSync = file.writeSync.bind(file);
      file.writeSync = (bytes) => writeSync(bytes.subarray(0, 7));
      return file;
    },
  });
  try {
    spool.remember(known);
  } finally {
    Object.assign(Deno, { openSync });
  }
  assert.deepEqual(spool.repository(), known);
});

spoolTest("remember() removes what killed processes left an hour ago", (spool, names) => {
  const now = Date.now();
  for (const [name, age] of [["old", HOUR + 1], ["young", HOUR - 60_000]] as const) {
    const path = `${spool.folder}/${name}.mark.4711.tmp`;
    Deno.writeTextFileSync(path, "{");
    Deno.utimeSync(path, new Date(now - age), new Date(now - age));
  }
  spool.remember({ conditionalPut: true, checked: now });
  assert.deepEqual(names(), ["repository.json", "young.mark.4711.tmp"]);
});

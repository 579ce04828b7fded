/** The operations of the fault campaigns. */
import assert from "node:assert/strict";
import type { Bytes } from "../../../src/domain/bytes.ts";
import { parseWalName } from "../../../src/domain/wal.ts";
import { walKey } from "../../../src/domain/wal_key.ts";
import { decodedWal } from "../decoded_wal.ts";
import { fileTree } from "../file_tree.ts";
import { WalRig } from "../wal_rig.ts";
import { makeSegment, TEST_SYSTEM } from "../wal_segments.ts";
import type { FaultWorld } from "./fault_world.ts";
import type { Operation } from "./operation.ts";
import { PREFIX, type Trial } from "./trial.ts";

const ARCHIVE = { cluster: "walonly", systemIdentifier: TEST_SYSTEM } as const;
const FETCHED = makeSegment({ number: 1, seed: 1, filled: 0.1 });
const PUSHED = makeSegment({ number: 2, seed: 2, filled: 0.3 });

/** Keys of committed backups, the oldest first. */
export function manifestsIn(objects: ReadonlyMap<string, unknown>): string[] {
  return [...objects.keys()].filter((key) => /\/backups\/[^/]+\/backup\.json$/.test(key))
    .sort((one, other) => backupOf(one) < backupOf(other) ? -1 : 1);
}

/** The backup's name in the key of its manifest. */
export function backupOf(key: string): string {
  return key.split("/").at(-2)!;
}

/** Takes a backup; afterwards the newest one restores. */
function backup(world: FaultWorld, name: string, words: readonly string[]): Operation {
  return {
    name,
    command: () => ({ words: ["backup", ...words] }),
    check: (trial, acknowledged) => {
      const news = manifestsIn(trial.objects).length - world.manifests.length;
      assert.ok(news >= (acknowledged ? 1 : 0), `${news} backups more, acknowledged or not`);
    },
    complete: async (trial) => {
      const known = new Set(world.manifests);
      const taken = manifestsIn(trial.objects).filter((key) => !known.has(key));
      assert.ok(taken.length > 0, "the next run has stored no backup");
      const id = backupOf(taken.at(-1)!);
      const destination = `${trial.folder}/proof`;
      const words = ["restore", "--backup-id", id, "--destination", destination];
      const { status, stderr } = await trial.run(words);
      assert.equal(status, 0, stderr);
      if (!id.includes("Z-L")) await world.prove(destination);
    },
  };
}

function restore(world: FaultWorld): Operation {
  const words = (to: string) => [
    ...["restore", "--backup-id", world.physical, "--destination", to],
  ];
  return {
    name: "restore",
    command: (trial, host) => ({ words: words(`${trial.folder}/restored${host}`) }),
    again: (trial) => ({ words: [...words(`${trial.folder}/restored1`), "--delta"] }),
    complete: async (trial) => {
      assert.deepEqual(await fileTree(`${trial.folder}/restored1`), await world.restored());
    },
  };
}

/** A folder that passes for a data directory, beside what belongs to the trial. */
async function dataDirectory(trial: Trial): Promise<WalRig> {
  const rig = await WalRig.make();
  await Deno.rename(rig.folder, `${trial.folder}/pgdata`);
  return rig;
}

function archived(trial: Trial): Bytes | undefined {
  const key = `${PREFIX}${walKey(ARCHIVE, parseWalName(PUSHED.name)!)}`;
  const stored = trial.objects.get(key)?.bytes;
  return stored && decodedWal(parseWalName(PUSHED.name)!, { stored, expected: undefined });
}

function walPush(): Operation {
  const words = ["wal-push", `pg_wal/${PUSHED.name}`, "--cluster", "walonly", "--timeout", "60s"];
  return {
    name: "wal-push",
    prepare: async (trial) => {
      await dataDirectory(trial);
      await Deno.writeFile(`${trial.folder}/pgdata/pg_wal/${PUSHED.name}`, PUSHED.bytes);
    },
    command: (trial) => ({ words, cwd: `${trial.folder}/pgdata` }),
    check: (trial, acknowledged) => {
      const bytes = archived(trial);
      assert.ok(bytes || !acknowledged, "acknowledged and not archived");
      if (bytes) assert.ok(Buffer.compare(bytes, PUSHED.bytes) === 0, "archived and different");
    },
    complete: (trial) => {
      const bytes = archived(trial);
      assert.ok(bytes && Buffer.compare(bytes, PUSHED.bytes) === 0);
      return Promise.resolve();
    },
  };
}

/** Puts a segment into the archive that {@link walFetch} asks for. */
export async function archiveSegment(trial: Trial): Promise<void> {
  await dataDirectory(trial);
  await Deno.writeFile(`${trial.folder}/pgdata/pg_wal/${FETCHED.name}`, FETCHED.bytes);
  const words = ["wal-push", `pg_wal/${FETCHED.name}`, "--cluster", "walonly"];
  const { status, stderr } = await trial.run(words, { cwd: `${trial.folder}/pgdata` });
  assert.equal(status, 0, stderr);
}

function walFetch(): Operation {
  const fetched = (trial: Trial, host: 1 | 2 = 1) =>
    Deno.readFile(`${trial.folder}/pgdata/fetched${host}`).catch(() => undefined);
  const isWhole = (bytes: Bytes) => Buffer.compare(bytes, FETCHED.bytes) === 0;
  return {
    name: "wal-fetch",
    prepare: async (trial) => void await dataDirectory(trial),
    command: (trial, host) => ({
      words: ["wal-fetch", FETCHED.name, `fetched${host}`, "--cluster", "walonly"],
      cwd: `${trial.folder}/pgdata`,
    }),
    check: async (trial, acknowledged) => {
      const found = (await Promise.all([fetched(trial, 1), fetched(trial, 2)]))
        .filter((bytes) => bytes !== undefined);
      assert.ok(!acknowledged || found.length > 0, "acknowledged and absent");
      assert.ok(found.every(isWhole), "not what was archived");
    },
    complete: async (trial) => assert.ok(isWhole((await fetched(trial))!)),
  };
}

function prune(world: FaultWorld): Operation {
  const words = ["prune", "--policy", "last-retain=1", "--yes", "--force"];
  return {
    name: "prune",
    removes: true,
    command: () => ({ words }),
    check: (trial, acknowledged) => {
      const left = new Set(manifestsIn(trial.objects));
      for (const key of world.newest) assert.ok(left.has(key), `${key} is gone`);
      if (acknowledged) assert.ok(left.size < world.manifests.length, "nothing went");
    },
    complete: (trial) => {
      assert.deepEqual(new Set(manifestsIn(trial.objects)), new Set(world.newest));
      return Promise.resolve();
    },
  };
}

function verify(): Operation {
  return {
    name: "verify",
    command: () => ({ words: ["verify"] }),
    complete: () => Promise.resolve(),
  };
}

function rebuild(world: FaultWorld): Operation {
  const env = { BACKUPCTL_METADATA_URL: world.metadataUrl };
  return {
    name: "catalog rebuild",
    command: () => ({ words: ["catalog", "rebuild"], env }),
    complete: async (trial) => {
      const { status, stdout, stderr } = await trial.run(["catalog", "export"], { env });
      assert.equal(status, 0, stderr);
      for (const key of world.manifests) {
        const id = backupOf(key);
        assert.ok(stdout.includes(id), `the index knows nothing of ${id}: ${stdout}`);
      }
    },
  };
}

/** What is due every second is a backup in a process of its own. */
function daemon(world: FaultWorld): Operation {
  const taking = backup(world, "daemon", []);
  const config = (trial: Trial) => `${trial.folder}/daemon.yaml`;
  const words = (trial: Trial) => ["schedule", "--daemon", "--once", "--config", config(trial)];
  return {
    ...taking,
    prepare: async (trial) => {
      const run = "backup full --method logical";
      const text = `schedule:\n  - { name: dumps, cron: "* * * * * *", run: "${run}" }\n`;
      await Deno.writeTextFile(config(trial), text, { mode: 0o600 });
      // Whoever sees the schedule for the first time has missed nothing yet.
      const { status, stderr } = await trial.run(words(trial));
      assert.equal(status, 0, stderr);
      await nextSecond();
    },
    command: (trial) => ({ words: words(trial) }),
    check: (trial) => taking.check!(trial, false),
    complete: async (trial) => {
      for (let turn = 0; turn < 20; turn++) {
        if (manifestsIn(trial.objects).length > world.manifests.length) break;
        await nextSecond();
        await trial.run(words(trial));
      }
      await taking.complete(trial);
    },
  };
}

/** The schedule knows whole seconds only. */
async function nextSecond(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 1_100));
}

/** All of them. */
export function operations(world: FaultWorld): readonly Operation[] {
  const quick = "--fast-checkpoint";
  return [
    backup(world, "backup full, physical", ["full", "--method", "physical", quick]),
    backup(world, "backup full, logical", ["full", "--method", "logical"]),
    backup(world, "backup incremental", ["incremental", quick]),
    restore(world),
    walPush(),
    walFetch(),
    prune(world),
    verify(),
    rebuild(world),
    daemon(world),
  ];
}

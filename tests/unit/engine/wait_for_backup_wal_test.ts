import assert from "node:assert/strict";
import { openRepository } from "../../../src/catalog/repository.ts";
import { RunFailedError } from "../../../src/domain/errors.ts";
import { systemClock } from "../../../src/domain/clock.ts";
import { silentProgress } from "../../../src/domain/progress.ts";
import { BackupEngine } from "../../../src/engine/backup_engine.ts";
import type { BackupParts } from "../../../src/engine/parts.ts";
import { physicalTest, source, type World } from "../../support/physical_world.ts";

const OPTIONS = { method: "physical", fastCheckpoint: true, waitWal: 50 } as const;

/** A server that archives, or says so, with this archive_command. */
function engine({ store, codecs }: World, command: string): BackupEngine {
  const identity = {
    ...{ systemIdentifier: "7345678901234567890", version: 150_018, versionText: "15.18" },
    ...{ timeline: 1, walSegmentBytes: 16 * 1024 * 1024, dataChecksums: true, inRecovery: false },
  };
  const settings = new Map([["archive_mode", "on"], ["archive_command", command]]);
  return new BackupEngine({
    ...{ store, codecs, clock: systemClock, progress: silentProgress },
    repository: openRepository(store, { cluster: "main" }),
    ...{ baseBackups: source(), host: "test", toolVersion: "0.0.0" },
    server: {
      identity: () => Promise.resolve(identity),
      settings: () => Promise.resolve(settings),
      query: () => Promise.resolve([]),
      databases: () => Promise.resolve([{ name: "app", sizeBytes: undefined }]),
    },
  } as unknown as BackupParts);
}

physicalTest(
  "a physical backup whose WAL does not arrive in time is not committed",
  async (world) => {
    const codec = { algorithm: "zstd", level: 1 } as const;
    const taking = engine(world, "backupctl wal-push %p").full({ ...OPTIONS, codec });
    await assert.rejects(taking, (error: RunFailedError) => {
      assert.match(error.message, /not in the repository after/);
      return error instanceof RunFailedError;
    });
    const keys = (await Array.fromAsync(world.store.list(""))).map(({ key }) => key);
    assert.deepEqual(keys.filter((key) => key.includes("/backups/")), []);
  },
);

physicalTest(
  "a physical backup of a server that archives elsewhere waits for nothing",
  async (world) => {
    const codec = { algorithm: "zstd", level: 1 } as const;
    const { id } = await engine(world, "cp %p /archive/%f").full({ ...OPTIONS, codec });
    assert.ok(id);
  },
);

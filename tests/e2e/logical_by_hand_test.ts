import assert from "node:assert/strict";
import type { CodecSpec } from "../../src/codec/codec.ts";
import { BackupEngine } from "../../src/engine/engine.ts";
import { openRepository } from "../../src/catalog/repository.ts";
import { DirectoryStore } from "../../src/storage/directory.ts";
import { describeDatabase, LogicalRig } from "../support/logical_rig.ts";
import { defaultMajor, startCluster } from "../support/postgres_cluster.ts";
import { ZOO_ROLES, zooSchema } from "../support/schema_zoo.ts";

const CODECS: readonly {
  readonly codec: CodecSpec;
  readonly opener: string;
  readonly end: string;
}[] = [
  { codec: { algorithm: "gzip", level: 6 }, opener: "gunzip -c", end: "gz" },
  { codec: { algorithm: "zstd", level: 1 }, opener: "zstd -dcq", end: "zst" },
];

/** Runs a pipeline of docs/repository-format.md. */
async function shell(script: string, env: Record<string, string>): Promise<void> {
  const { code, stderr } = await new Deno.Command("sh", {
    args: ["-ec", script],
    env,
    stdout: "null",
  }).output();
  assert.equal(code, 0, new TextDecoder().decode(stderr));
}

Deno.test("standard programs alone restore logical backups, as docs/repository-format.md says", async (t) => {
  await using source = await startCluster();
  await source.psql(ZOO_ROLES);
  await source.query("CREATE DATABASE zoo");
  await source.psql(zooSchema({ rows: 30_000 }), { database: "zoo" });
  const wanted = await describeDatabase(source, "zoo");
  for (const { codec, opener, end } of CODECS) {
    await t.step(`with ${opener}`, async () => {
      await using rig = new LogicalRig(source);
      const folder = await Deno.makeTempDir();
      try {
        const store = new DirectoryStore(`${folder}/repository`, { create: true });
        const repository = openRepository(store, { cluster: "main" });
        const engine = new BackupEngine({ ...rig.parts, store, repository });
        const backup = await engine.full({ method: "logical", codec });
        await using target = await startCluster();
        const path = `${folder}/repository/${repository.folder(backup)}`;
        const script = `cd '${path}'
          ${opener} globals.sql.${end} | psql -Xq -d postgres
          ${opener} zoo.dump.${end} | pg_restore --create -d postgres`;
        await shell(script, {
          PATH: `${defaultMajor().binDir}:${Deno.env.get("PATH")}`,
          PGHOST: "127.0.0.1",
          PGPORT: String(target.port),
          PGUSER: target.user,
        });
        assert.deepEqual(await describeDatabase(target, "zoo"), wanted);
      } finally {
        await Deno.remove(folder, { recursive: true });
      }
    });
  }
});

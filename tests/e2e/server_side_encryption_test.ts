/** Encryption by the store itself, from the archiver to the restored server. */
import assert from "node:assert/strict";
import { S3Store } from "../../src/storage/s3.ts";
import { InstalledProgram } from "../support/installed_program.ts";
import { createBucket } from "../support/light_stores.ts";
import { startCluster } from "../support/postgres_cluster.ts";
import { archiveNow } from "../support/recoveries.ts";
import {
  type EncryptingServer,
  encryptingServers,
  storedForm,
} from "../support/storage/encrypting_servers.ts";

const ROWS = 500;

/** What the operator sets, and what the server must say of every object then. */
function settings({ kmsKey }: EncryptingServer) {
  return [
    { set: { BACKUPCTL_REPOSITORY_SSE: "AES256" }, said: { sse: "AES256", kmsKey: undefined } },
    {
      set: {
        BACKUPCTL_REPOSITORY_SSE: "aws:kms",
        BACKUPCTL_REPOSITORY_KMS_KEY_ID: kmsKey,
        BACKUPCTL_REPOSITORY_BUCKET_KEY: "true",
      },
      said: { sse: "aws:kms", kmsKey },
    },
  ];
}

function environmentOf({ options }: EncryptingServer, bucket: string): Record<string, string> {
  return {
    ...{ S3_BUCKET: bucket, AWS_REGION: options.region!, AWS_ENDPOINT_URL_S3: options.endpoint! },
    AWS_ACCESS_KEY_ID: options.credentials!.accessKeyId,
    AWS_SECRET_ACCESS_KEY: options.credentials!.secretAccessKey,
    ...(options.caFile !== undefined && { BACKUPCTL_REPOSITORY_CA_FILE: options.caFile }),
    ...{ BACKUPCTL_METADATA_URL: "off", BACKUPCTL_WAL_LOOK_AHEAD: "0" },
  };
}

const servers = encryptingServers();
Deno.test({
  name: "backups and WAL under SSE-S3 and SSE-KMS restore, and the store says so of every object",
  ignore: servers.length === 0,
  fn: async (t) => {
    await using program = await InstalledProgram.install();
    for (const server of servers) {
      for (const { set, said } of settings(server)) {
        await t.step(`${server.name}, ${said.sse}`, async () => {
          const bucket = `sse-${crypto.randomUUID()}`;
          await createBucket(server, bucket);
          const s3 = { ...environmentOf(server, bucket), ...set };
          await using cluster = await startCluster({
            walSegmentMb: 1,
            archive: `${program.path} wal-push %p`,
            env: { ...program.env, HOME: program.folder, ...s3 },
          });
          const env = { ...s3, PG_HOST: "127.0.0.1", PG_PORT: `${cluster.port}` };
          const run = async (line: string) => {
            const result = await program.run(line.split(" "), {
              env: { ...env, PG_USER: "postgres" },
            });
            assert.equal(result.status, 0, `${line}: ${result.stderr}`);
            return result.stdout;
          };
          await cluster.query("create table t as select generate_series(1, 100) as n");
          const backup = "backup full --fast-checkpoint --output json --method physical";
          const { id } = JSON.parse(await run(backup)).backup;
          await cluster.query(`insert into t select generate_series(101, ${ROWS})`);
          await archiveNow(cluster);
          const dumps = JSON.parse(await run("backup full --output json --method logical")).backup;
          await run("verify");
          await run("wal verify");

          const destination = `${program.folder}/${bucket}`;
          await run(`restore --latest --backup-id ${id} --destination ${destination}`);
          const restored = await cluster.startFrom(destination);
          await restored.logged(/archive recovery complete/);
          const [row] = await restored.query("select count(*) as rows from t");
          assert.equal(Number(row!["rows"]), ROWS);
          await restored.stop();
          await run(`restore --backup-id ${dumps.id} --destination ${destination}-dumps`);

          await using store = closing(new S3Store({ ...server.options, bucket }));
          const keys = (await Array.fromAsync(store.list(""))).map(({ key }) => key);
          assert.ok(keys.some((key) => key.endsWith("backup.json")), keys.join("\n"));
          assert.ok(keys.some((key) => /\/wal\/.*[0-9A-F]{24}\.zst$/.test(key)), keys.join("\n"));
          for (const key of keys) {
            const { size: _any, ...form } = await storedForm(server, { bucket, key });
            assert.deepEqual(form, said, key);
          }
          await store.delete(keys);
        });
      }
    }
  },
});

function closing(store: S3Store): S3Store & AsyncDisposable {
  return Object.assign(store, { [Symbol.asyncDispose]: () => store.close() });
}

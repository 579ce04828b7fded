/** A server whose backups and WAL are pruned: what stays is restored and rolled forward. */
import assert from "node:assert/strict";
import { InstalledProgram, stopServer } from "../support/installed_program.ts";
import { type Cluster, clusterMajors, startCluster } from "../support/postgres_cluster.ts";
import { archiveNow, createSteps, querySteps, step } from "../support/recoveries.ts";
import { giveToServer } from "../support/server_user.ts";

const { binDir } = clusterMajors()[0]!;

function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

Deno.test("prune leaves what PostgreSQL needs to roll the kept backup forward", async () => {
  await using program = await InstalledProgram.install();
  const repository = `${program.folder}/repository`;
  await Deno.mkdir(repository, { mode: 0o700 });
  await giveToServer(repository);
  const own = {
    ...program.env,
    BACKUPCTL_REPOSITORY_PATH: repository,
    BACKUPCTL_METADATA_URL: "off",
    BACKUPCTL_POSTGRES_BIN: binDir,
  };
  const copyPort = freePort();
  const cluster: Cluster = await startCluster({
    ...{ binDir, walSegmentMb: 1, archive: `${program.path} wal-push %p` },
    env: { ...own, HOME: program.folder },
    settings: {
      // The copy's: the source is started with another one.
      ...{ fsync: "off", port: copyPort, listen_addresses: "127.0.0.1" },
      unix_socket_directories: program.folder,
    },
  });
  const run = async (line: string) => {
    const port = String(cluster.port);
    const server = { PG_HOST: "127.0.0.1", PG_PORT: port, PG_USER: "postgres" };
    const env = { ...own, ...server, PGSSLMODE: "disable" };
    const result = await program.run(line.split(" "), { env });
    assert.equal(result.status, 0, `${line}: ${result.stderr}`);
    return result.stdout;
  };
  const copy = `${program.folder}/copy`;
  try {
    await createSteps(cluster);
    for (let round = 1; round <= 3; round++) {
      await step(cluster, round);
      await archiveNow(cluster);
      const keep = round === 2 ? " --keep=90d" : "";
      await run(`backup full --method physical --fast-checkpoint${keep}`);
    }
    await step(cluster, 4);
    await archiveNow(cluster);
    const done = JSON.parse(await run("prune --policy last-retain=2 --yes --output json"));
    assert.equal(done.remove.length, 1);
    const gone = done.wal.filter(({ keep }: { keep: boolean }) => !keep);
    assert.ok(gone.length > 0, "WAL from before the kept backups is gone");
    const status = JSON.parse(await run("status --output json"));
    assert.deepEqual(status.gaps, []);
    assert.equal(status.backups.length, 2);
    const [oldest] = status.backups;
    assert.match(oldest.keep_until, /^20/);
    const reasons = done.keep[0].reasons.join();
    assert.match(reasons, /last-retain=2,kept on request until 20/);
    await run(`restore --backup-id ${oldest.id} --latest --destination ${copy} --start`);
    const rows = await querySteps(copyPort, "select row from steps order by row");
    assert.deepEqual(rows.map(({ row }) => Number(row)), [1, 2, 3, 4]);
    const again = JSON.parse(await run("prune --policy last-retain=1 --yes --output json"));
    assert.deepEqual(again.remove, [], "the restored server may still fetch what it needs");
    const [kept] = again.keep;
    assert.match(kept.reasons.join(), /in use by restore of backup/);
  } finally {
    await stopServer(copy, { binDir, mode: "immediate" });
    await cluster[Symbol.asyncDispose]();
  }
});

/**
 * Recovery through a store that fails: it never ends before the archive does. The same rig with a
 * command that calls every failure "absent" loses rows, so the rig can see the loss.
 */
import assert from "node:assert/strict";
import { fetchCommand } from "../../src/engine/recovery/recovery_settings.ts";
import { InstalledProgram } from "../support/installed_program.ts";
import { type Cluster, giveToServer, startCluster } from "../support/postgres_cluster.ts";
import { type FaultAction, seededRandom } from "../support/s3_server/faults.ts";
import { S3Server } from "../support/s3_server/s3_server.ts";
import { campaignSeed, reportCampaign, trials } from "../support/campaign.ts";

const RECOVERIES = trials({ full: 200, usual: 2 });
const BATCHES = 9;

const FAULTS: readonly (readonly [share: number, action: FaultAction])[] = [
  [0.25, { kind: "error", status: 503, code: "SlowDown" }],
  [0.15, { kind: "refused" }],
  [0.1, { kind: "truncate", bytes: 20 }],
  [0.1, { kind: "flip byte", at: 40 }],
  [0.1, { kind: "hang" }],
  [0.05, { kind: "error", status: 403, code: "AccessDenied" }],
];

class Rig implements AsyncDisposable {
  readonly server: S3Server;
  readonly program: InstalledProgram;
  readonly cluster: Cluster;
  readonly #segments: string[] = [];
  #copies = 0;

  private constructor(server: S3Server, program: InstalledProgram, cluster: Cluster) {
    this.server = server;
    this.program = program;
    this.cluster = cluster;
  }

  static async make(seed: number): Promise<Rig> {
    const server = S3Server.start({ seed });
    const program = await InstalledProgram.install();
    const cluster = await startCluster({
      walSegmentMb: 1,
      archive: `${program.path} wal-push %p`,
      env: {
        ...program.env,
        ...{ HOME: program.folder, S3_BUCKET: "bucket", AWS_REGION: "us-east-1" },
        ...{ AWS_ENDPOINT_URL_S3: server.endpoint, AWS_ACCESS_KEY_ID: "testkey" },
        ...{ AWS_SECRET_ACCESS_KEY: "testsecretkey123", BACKUPCTL_LOG_LEVEL: "ERROR" },
      },
    });
    const rig = new Rig(server, program, cluster);
    await rig.#fill();
    return rig;
  }

  /** A base backup, then a batch of rows in each of some segments, all archived. */
  async #fill(): Promise<void> {
    const { cluster } = this;
    await cluster.query("create table batches (batch int)");
    const args = ["-D", `${cluster.folder}/base`, "-c", "fast", "-X", "none"];
    await cluster.run("pg_basebackup", args);
    let last = "";
    for (let batch = 1; batch <= BATCHES; batch++) {
      await cluster.query(`insert into batches values (${batch})`);
      const [row] = await cluster.query("select pg_walfile_name(pg_switch_wal()) as name");
      last = String(row!["name"]);
      this.#segments.push(last);
    }
    const done = `${cluster.dataDir}/pg_wal/archive_status/${last}.done`;
    const deadline = Date.now() + 60_000;
    while (!await Deno.lstat(done).catch(() => undefined)) {
      if (Date.now() > deadline) throw new Error(`${last} is not archived:\n${cluster.log}`);
      await new Promise((next) => setTimeout(next, 20));
    }
  }

  /** Recovers a copy to the end of the archive; how many batches an open server then has. */
  async recover(command: string): Promise<number | "stopped"> {
    const copy = `${this.cluster.folder}/copy${this.#copies += 1}`;
    const cp = await new Deno.Command("cp", { args: ["-a", `${this.cluster.folder}/base`, copy] })
      .output();
    assert.ok(cp.success);
    await Deno.writeTextFile(`${copy}/recovery.signal`, "");
    await giveToServer(copy);
    try {
      const restored = await this.cluster.startFrom(copy, {
        settings: { restore_command: command, recovery_target_timeline: "current" },
      });
      const [row] = await restored.query("select count(*) as batches from batches");
      await restored.stop();
      return Number(row!["batches"]);
    } catch (error) {
      assert.match(String(error), /FATAL|255|the server ended/, `${error}`);
      return "stopped";
    } finally {
      await Deno.remove(copy, { recursive: true });
    }
  }

  /** Any request may fail; the next attempt may not. */
  failNowAndThen(): void {
    this.server.heal();
    const match = { method: "GET", key: /wal\/0/ };
    for (const [probability, action] of FAULTS) this.server.fail({ ...match, probability }, action);
  }

  /** The segment of one batch cannot be had, the others can. */
  failFor(batch: number): void {
    this.server.heal();
    const kinds = FAULTS.map(([, action]) => action);
    const key = new RegExp(`${this.#segments[batch]}\\.zst$`);
    this.server.fail({ method: "GET", key }, kinds[batch % kinds.length]!);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.cluster[Symbol.asyncDispose]();
    await this.program[Symbol.asyncDispose]();
    await this.server[Symbol.asyncDispose]();
  }
}

Deno.test(`none of ${RECOVERIES} recoveries through a failing store ends early`, async (t) => {
  const seed = campaignSeed();
  await using rig = await Rig.make(seed);
  const fetch = `${fetchCommand([rig.program.path])} --timeout 1s`;

  await t.step("without faults it arrives", async () => {
    // In its usual time: a second may be too short for a busy machine.
    assert.equal(await rig.recover(`${rig.program.path} wal-fetch %f %p`), BATCHES);
  });

  const random = seededRandom(seed);
  await t.step("it arrives, or it stops", async () => {
    const ends: (number | "stopped")[] = [];
    for (let trial = 0; trial < RECOVERIES; trial++) {
      if (trial % 2 === 0) rig.failNowAndThen();
      else rig.failFor(Math.floor(random() * BATCHES));
      ends.push(await rig.recover(fetch));
      if (trial % 2 === 1) assert.equal(ends.at(-1), "stopped", `seed ${seed}`);
    }
    const faults = rig.server.requests.filter(({ fault }) => fault !== undefined).length;
    for (const end of ends) {
      assert.ok(end === "stopped" || end === BATCHES, `seed ${seed}: ${ends}`);
    }
    assert.ok(faults > 0, "nothing went wrong");
    const stopped = ends.filter((end) => end === "stopped").length;
    reportCampaign({
      ...{ what: "recoveries through a failing store: none ends early", n: ends.length, seed },
      outcome: `${faults} faults; ${ends.length - stopped} arrived, ${stopped} stopped, 0 early`,
    });
  });

  await t.step("a command that takes every failure for absence loses rows here", async () => {
    rig.failFor(3); // by a flipped byte, which is found at once
    const end = await rig.recover(`${rig.program.path} wal-fetch %f %p --timeout 10s || exit 1`);
    assert.ok(end !== "stopped" && end < BATCHES, `the rig sees no loss: ${end}`);
  });
});

/** What the trials of the fault campaigns have in common: a server, and a repository to begin with. */
import assert from "node:assert/strict";
import { fileTree } from "../file_tree.ts";
import { type Cluster, giveToServer, startCluster } from "../postgres_cluster.ts";
import type { StoredObject } from "../s3_server/stored_object.ts";
import { archiveSegment, backupOf, manifestsIn } from "./operations.ts";
import { CANARIES, Trial } from "./trial.ts";

const QUICK = "--fast-checkpoint";

/** A cluster, two full backups and dumps of it, and one archived segment. */
export class FaultWorld implements AsyncDisposable {
  readonly cluster: Cluster;
  #objects: ReadonlyMap<string, StoredObject> = new Map();
  #restored: ReadonlyMap<string, string> | undefined;

  private constructor(cluster: Cluster) {
    this.cluster = cluster;
  }

  static async make(): Promise<FaultWorld> {
    const world = new FaultWorld(await startCluster({ settings: { wal_level: "replica" } }));
    try {
      await world.#fill();
    } catch (error) {
      await world[Symbol.asyncDispose]();
      throw error;
    }
    return world;
  }

  /** Keys of the backups that every trial begins with. */
  get manifests(): readonly string[] {
    return manifestsIn(this.#objects);
  }

  /** The newest physical one with what it builds on, and the newest logical one. */
  get newest(): readonly string[] {
    const last = (end: RegExp) => this.manifests.filter((key) => end.test(key)).at(-1)!;
    return [last(/Z-[FI][-\d]*\/backup\.json$/), last(/Z-L[-\d]*\/backup\.json$/)];
  }

  /** The oldest full physical backup. */
  get physical(): string {
    return backupOf(this.manifests.find((key) => key.includes("Z-F"))!);
  }

  /** Of the index; its password is a secret of the trials. */
  get metadataUrl(): string {
    const { port, user } = this.cluster;
    return `postgresql://${user}:${CANARIES[1]}@127.0.0.1:${port}/postgres?sslmode=disable`;
  }

  async trial(seed: number): Promise<Trial> {
    const { port, user } = this.cluster;
    const env = { PG_HOST: "127.0.0.1", PG_PORT: `${port}`, PG_USER: user, PGSSLMODE: "disable" };
    return await Trial.begin(this.#objects, { seed, env });
  }

  /** What an undisturbed restore of {@link FaultWorld.physical} makes. */
  async restored(): Promise<ReadonlyMap<string, string>> {
    return this.#restored ??= await this.#restoreOnce();
  }

  /** A restored physical backup is what PostgreSQL's own manifest says. */
  async prove(destination: string): Promise<void> {
    await giveToServer(destination);
    await this.cluster.run("pg_verifybackup", ["-n", destination]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.cluster[Symbol.asyncDispose]();
  }

  async #restoreOnce(): Promise<ReadonlyMap<string, string>> {
    await using trial = await this.trial(0);
    const destination = `${trial.folder}/whole`;
    const words = ["restore", "--backup-id", this.physical, "--destination", destination];
    const { status, stderr } = await trial.run(words);
    assert.equal(status, 0, stderr);
    return await fileTree(destination);
  }

  async #fill(): Promise<void> {
    await using trial = await this.trial(0);
    const run = async (...words: string[]) => {
      const { status, stderr } = await trial.run(words);
      assert.equal(status, 0, `${words.join(" ")}: ${stderr}`);
    };
    await this.cluster.query(
      "create table rows as select n, md5(n::text) from generate_series(1, 50000) n",
    );
    await run("backup", "full", "--method", "physical", QUICK);
    await run("backup", "full", "--method", "logical");
    await this.cluster.query("update rows set n = n + 1 where n % 7 = 0");
    await run("backup", "full", "--method", "physical", QUICK);
    await archiveSegment(trial);
    this.#objects = new Map(trial.objects);
  }
}

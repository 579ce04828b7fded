/** The secret that compares encrypted WAL, read from what PostgreSQL writes. */
import assert from "node:assert/strict";
import { clusterSecret } from "../../src/domain/control_file.ts";
import { clusterMajors, startCluster } from "../support/postgres_cluster.ts";

for (const { major, binDir } of clusterMajors()) {
  Deno.test(`clusterSecret() is what pg_controldata ${major} prints, and needs every byte`, async () => {
    await using cluster = await startCluster({ binDir });
    const { output } = await cluster.run("pg_controldata", ["-D", cluster.dataDir]);
    const printed = /Mock authentication nonce:\s+([0-9a-f]{64})/.exec(output)?.[1];
    await cluster.stop("fast");
    const bytes = await Deno.readFile(`${cluster.dataDir}/global/pg_control`);
    const secret = Buffer.from(clusterSecret(bytes)!).toString("hex");
    assert.equal(secret.length, 64);
    // From 18 on three bytes of padding stand behind it.
    assert.ok(
      secret === printed || secret === `${printed!.slice(6)}000000`,
      `${secret} ${printed}`,
    );
    for (const at of [0, 8, 100, 200, 250]) {
      const damaged = bytes.slice();
      damaged[at]! ^= 1;
      assert.equal(clusterSecret(damaged), undefined, `byte ${at}`);
    }
    assert.equal(clusterSecret(bytes.subarray(0, 100)), undefined);
    assert.equal(clusterSecret(new Uint8Array(8192)), undefined);
  });
}

import assert from "node:assert/strict";
import fc from "fast-check";
import type { Bytes } from "../../src/domain/bytes.ts";
import { IntegrityError } from "../../src/domain/errors.ts";
import { ArchiveCheck, type ArchiveFacts } from "../../src/engine/logical/archive_check.ts";
import { tryLock } from "../../src/domain/try_lock.ts";
import { spoolDump } from "../../src/engine/logical/spool_dump.ts";
import { type Cluster, clusterMajors, startCluster } from "../support/postgres_cluster.ts";
import { ZOO_ROLES, zooSchema } from "../support/schema_zoo.ts";

/** pg_dump's output through a pipe, as backups get it. */
async function dumpByPipe(cluster: Cluster, args: readonly string[]): Promise<Bytes> {
  const connection = ["-h", cluster.socketDir, "-p", String(cluster.port), "-U", "postgres"];
  const command = new Deno.Command(`${cluster.binDir}/pg_dump`, {
    args: [...connection, "--format=custom", ...args],
    stderr: "inherit",
  });
  const { code, stdout } = await command.output();
  assert.equal(code, 0);
  return stdout as Bytes;
}

function checkInPieces(bytes: Bytes, sizes: readonly number[]): ArchiveFacts {
  const check = new ArchiveCheck();
  let at = 0;
  for (let turn = 0; at < bytes.length; turn++) {
    const size = sizes[turn % sizes.length]!;
    const piece = bytes.slice(at, at + size);
    check.push(piece);
    piece.fill(0xee); // whoever gets it next may change it
    at += size;
  }
  return check.finish();
}

const whole = (bytes: Bytes) => checkInPieces(bytes, [1 << 30]);

for (const { major, binDir } of clusterMajors()) {
  Deno.test(`archives of pg_dump ${major}`, async (t) => {
    await using cluster = await startCluster({ binDir });
    await cluster.psql(ZOO_ROLES);
    await cluster.query("CREATE DATABASE zoo");
    await cluster.query("CREATE DATABASE bare");
    await cluster.psql(zooSchema({ rows: 40 }), { database: "zoo" });
    const zoo = await dumpByPipe(cluster, ["--compress=0", "zoo"]);
    const facts = whole(zoo);

    await t.step("ArchiveCheck reads whole ones, whatever the pieces", async () => {
      assert.equal(facts.head?.database, "zoo");
      assert.ok(facts.data.length >= 7);
      assert.match(facts.createDatabase!, /^CREATE DATABASE zoo /);
      for (const args of [["bare"], ["--compress=1", "zoo"], ["--schema-only", "zoo"]]) {
        whole(await dumpByPipe(cluster, args));
      }
      fc.assert(
        fc.property(fc.array(fc.integer({ min: 1, max: 5000 }), { minLength: 1 }), (sizes) => {
          assert.deepEqual(checkInPieces(zoo, sizes), facts);
        }),
        { numRuns: 30 },
      );
      assert.deepEqual(checkInPieces(zoo.slice(), [1]), facts);
    });

    await t.step("ArchiveCheck refuses every truncation", () => {
      const first = Math.min(...facts.data.map(({ position }) => position));
      const boundaries = facts.data.flatMap(({ position }) =>
        [-1, 0, 1, 5, 6].map((d) => position + d)
      );
      const contents = Array.from({ length: Math.ceil(first / 7) }, (_, index) => index * 7);
      for (const length of [...boundaries, ...contents, zoo.length - 1]) {
        assert.throws(() => whole(zoo.slice(0, length)), IntegrityError, `cut at ${length}`);
      }
      fc.assert(
        fc.property(fc.nat(zoo.length - 1), (length) => {
          assert.throws(() => whole(zoo.slice(0, length)), IntegrityError);
        }),
        { numRuns: 300 },
      );
    });

    await t.step("ArchiveCheck refuses anything behind the end, and missing middles", () => {
      const longer = new Uint8Array(zoo.length + 1);
      longer.set(zoo);
      assert.throws(() => whole(longer), IntegrityError);
      const block = [1, 0, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0]; // data of entry 65535, no bytes
      const stray = new Uint8Array([...zoo, ...block]);
      assert.throws(() => whole(stray), /does not name/);
      const [a, b] = facts.data.map(({ position }) => position).sort((x, y) => x - y);
      const holed = new Uint8Array([...zoo.slice(0, a), ...zoo.slice(b)]);
      assert.throws(() => whole(holed), /no data for entry/);
    });

    await t.step("ArchiveCheck finds the offsets that pg_dump writes into files", async () => {
      const path = `${cluster.folder}/seekable.dump`;
      await cluster.run("pg_dump", ["-Fc", "--compress=0", "-f", path, "zoo"]);
      const file = await Deno.readFile(path);
      const found = whole(file);
      assert.equal(found.data.length, facts.data.length);
      for (const { offsetAt, position } of found.data) {
        assert.equal(file[offsetAt], 2, "pg_dump says that it knows the offset");
        const view = new DataView(file.buffer, file.byteOffset + offsetAt + 1, 8);
        assert.equal(view.getBigUint64(0, true), BigInt(position));
      }
    });

    await t.step("spoolDump() writes those offsets and changes nothing else", async () => {
      await using spooled = await spoolDump(ReadableStream.from([zoo.slice()]));
      using other = await Deno.open(spooled.path);
      assert.equal(await tryLock(other), false, "others may take it for abandoned");
      const info = await Deno.stat(spooled.path);
      assert.equal(info.mode! & 0o777, 0o600);
      const bytes = await Deno.readFile(spooled.path);
      assert.deepEqual(whole(bytes).data, facts.data);
      for (const { offsetAt, position } of facts.data) {
        assert.equal(bytes[offsetAt], 2);
        const view = new DataView(bytes.buffer, bytes.byteOffset + offsetAt + 1, 8);
        assert.equal(view.getBigUint64(0, true), BigInt(position));
      }
      for (const { offsetAt } of facts.data) bytes.set(zoo.slice(offsetAt, offsetAt + 9), offsetAt);
      assert.deepEqual(bytes, zoo);
    });

    await t.step("spoolDump() takes the place of one that was killed", async () => {
      const killed = await Deno.makeTempDir({ prefix: "backupctl-restore-" });
      await Deno.writeFile(`${killed}/dump`, zoo);
      await Deno.utime(`${killed}/dump`, new Date(0), new Date(0));
      await using _spooled = await spoolDump(ReadableStream.from([zoo.slice()]));
      await assert.rejects(Deno.stat(killed), Deno.errors.NotFound);
    });

    await t.step("spoolDump() leaves no file when the dump is not whole", async () => {
      const before = await temporaryFolders();
      const cut = ReadableStream.from([zoo.slice(0, -1)]);
      await assert.rejects(spoolDump(cut), IntegrityError);
      assert.deepEqual(await temporaryFolders(), before);
    });
  });
}

async function temporaryFolders(): Promise<string[]> {
  const probe = await Deno.makeTempDir();
  const parent = probe.slice(0, probe.lastIndexOf("/"));
  await Deno.remove(probe);
  const names = (await Array.fromAsync(Deno.readDir(parent))).map(({ name }) => name);
  return names.filter((name) => name.startsWith("backupctl-restore-")).sort();
}

import assert from "node:assert/strict";
import { DestinationError } from "../../../../src/domain/errors.ts";
import { ScratchFolder } from "../../../../src/engine/drill/scratch_folder.ts";
import { scratchSettings } from "../../../../src/engine/drill/scratch_settings.ts";

async function inFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "backupctl-scratch-" });
  try {
    await work(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const names = async (folder: string) =>
  (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name).sort();
const AS_USER = {
  ...{ uid: 1000, repository: "/srv/backups/main", note: () => {} },
  // The server ends, whoever has started it.
  stop: (data: string) => Deno.remove(`${data}/postmaster.pid`),
};

Deno.test("ScratchFolder.make() lets nobody else into its folder", () =>
  inFolder(async (folder) => {
    const scratch = await ScratchFolder.make(`${folder}/new`, AS_USER);
    assert.equal((await Deno.stat(scratch.path)).mode! & 0o777, 0o700);
    assert.equal((await Deno.stat(scratch.dataDirectory)).mode! & 0o777, 0o700);
    assert.equal((await Deno.stat(scratch.hbaFile)).mode! & 0o777, 0o600);
    await scratch.remove({ keep: false });
    assert.deepEqual(await names(folder), []);
  }));

Deno.test("ScratchFolder.make() puts sockets where their paths are short enough", () =>
  inFolder(async (folder) => {
    const scratch = await ScratchFolder.make(`${folder}/${"long".repeat(30)}`, AS_USER);
    assert.ok(scratch.socketFolder.length < 80, scratch.socketFolder);
    assert.equal((await Deno.stat(scratch.socketFolder)).mode! & 0o777, 0o700);
    await scratch.remove({ keep: true });
    await assert.rejects(Deno.stat(scratch.socketFolder), Deno.errors.NotFound);
    await Deno.stat(scratch.dataDirectory);
  }));

Deno.test("ScratchFolder.make() refuses a folder with anything in it, and leaves it alone", () =>
  inFolder(async (folder) => {
    await Deno.writeTextFile(`${folder}/precious`, "");
    await assert.rejects(ScratchFolder.make(folder, AS_USER), (error) => {
      assert.ok(error instanceof DestinationError);
      assert.match(error.message, /is not empty: it holds precious/);
      return true;
    });
    assert.deepEqual(await names(folder), ["precious"]);
  }));

Deno.test("ScratchFolder.remove() leaves a folder that was there before, empty", () =>
  inFolder(async (folder) => {
    const scratch = await ScratchFolder.make(folder, AS_USER);
    await scratch.remove({ keep: false });
    assert.deepEqual(await names(folder), []);
  }));

Deno.test("ScratchFolder.completeConfiguration() writes a postgresql.conf only where none is", () =>
  inFolder(async (folder) => {
    const scratch = await ScratchFolder.make(`${folder}/new`, AS_USER);
    assert.equal(await scratch.completeConfiguration(), false);
    await Deno.writeTextFile(`${scratch.dataDirectory}/postgresql.conf`, "port = 1\n");
    assert.equal(await scratch.completeConfiguration(), true);
    const text = await Deno.readTextFile(`${scratch.dataDirectory}/postgresql.conf`);
    assert.equal(text, "port = 1\n");
    await scratch.remove({ keep: false });
  }));

Deno.test("scratchSettings() cuts every way out of the copy and into it", () => {
  const paths = {
    dataDirectory: "/s/data",
    hbaFile: "/s/h",
    identFile: "/s/i",
    socketFolder: "/s",
  };
  const settings = scratchSettings(paths, { ownsConfiguration: true, memoryMb: 4096 });
  const must = {
    data_directory: "/s/data",
    listen_addresses: "",
    unix_socket_directories: "/s",
    archive_mode: "off",
    primary_conninfo: "",
    synchronous_standby_names: "",
    max_logical_replication_workers: "0",
    shared_buffers: "512MB",
  };
  for (const [name, value] of Object.entries(must)) assert.equal(settings[name], value, name);
  assert.equal(settings["max_prepared_transactions"], undefined);
  const bare = scratchSettings(paths, { ownsConfiguration: false, memoryMb: 64 });
  assert.equal(bare["max_prepared_transactions"], "1000");
  assert.equal(bare["shared_buffers"], "16MB");
});

for (const at of ["a folder of one's own", "a temporary folder"]) {
  Deno.test(`ScratchFolder.make() takes the place of a failed drill's copy in ${at}`, () =>
    inFolder(async (folder) => {
      const place = at.startsWith("a temporary") ? undefined : `${folder}/place`;
      const notes: string[] = [];
      // Temporary folders are everybody's: another test's must not be of this cluster.
      const repository = `/srv/${crypto.randomUUID()}/main`;
      const options = { ...AS_USER, repository, note: (text: string) => void notes.push(text) };
      const failed = await ScratchFolder.make(place, options);
      await failed.write(`${failed.dataDirectory}/large`, "");
      await failed.remove({ keep: true });
      const next = await ScratchFolder.make(place, options);
      assert.deepEqual(notes, [`the copy of an earlier drill is removed: ${failed.path}`]);
      await assert.rejects(Deno.stat(`${failed.dataDirectory}/large`), Deno.errors.NotFound);
      await next.remove({ keep: false });
    }));
}

/** What a server that runs leaves in its data directory. */
async function startIn(copy: ScratchFolder, { own }: { readonly own: boolean }): Promise<void> {
  const name = own ? "backupctl drill" : "mine";
  const data = copy.dataDirectory;
  await copy.write(`${data}/postmaster.opts`, `postgres "-c" "cluster_name=${name}"\n`);
  await copy.write(`${data}/postmaster.pid`, `${Deno.pid}\n`);
}

/** Leaves the copy as it is when the process is killed: its lock is gone, and nothing else. */
async function killDrill(copy: ScratchFolder): Promise<void> {
  const mark = `${copy.path}/backupctl_drill`;
  const text = await Deno.readTextFile(mark);
  await copy.remove({ keep: true });
  await Deno.writeTextFile(mark, text);
}

Deno.test("ScratchFolder.make() stops the server of a drill that was killed, and takes its place", () =>
  inFolder(async (folder) => {
    const killed = await ScratchFolder.make(`${folder}/place`, AS_USER);
    await startIn(killed, { own: true });
    await killDrill(killed);
    const stopped: string[] = [];
    const next = await ScratchFolder.make(`${folder}/place`, {
      ...AS_USER,
      stop: async (data) => {
        stopped.push(data);
        await AS_USER.stop(data);
      },
    });
    assert.deepEqual(stopped, [killed.dataDirectory]);
    assert.deepEqual(await names(next.dataDirectory), []);
    await next.remove({ keep: false });
  }));

const STAYING: readonly {
  readonly what: string;
  readonly leave: (copy: ScratchFolder) => Promise<void>;
  readonly repository?: string;
}[] = [
  { what: "a drill at work", leave: () => Promise.resolve() },
  { what: "--keep-scratch", leave: (copy) => copy.remove({ keep: true, forGood: true }) },
  {
    what: "another cluster of the same name",
    leave: (copy) => copy.remove({ keep: true }),
    repository: "/mnt/backups/main",
  },
  {
    what: "somebody whose server runs in it",
    leave: async (copy) => {
      await startIn(copy, { own: true }); // by the same command line again
      await copy.remove({ keep: true });
    },
  },
  {
    what: "a killed drill, in which somebody has started a server",
    leave: async (copy) => {
      await startIn(copy, { own: false });
      await killDrill(copy);
    },
  },
];
for (const { what, leave, repository } of STAYING) {
  Deno.test(`ScratchFolder.make() leaves the copy of ${what} alone`, () =>
    inFolder(async (folder) => {
      const copy = await ScratchFolder.make(`${folder}/place`, {
        ...AS_USER,
        ...(repository !== undefined && { repository }),
      });
      await leave(copy);
      await assert.rejects(ScratchFolder.make(`${folder}/place`, AS_USER), DestinationError);
      await Deno.stat(copy.dataDirectory);
      if (what === "a drill at work") await copy.remove({ keep: false });
    }));
}

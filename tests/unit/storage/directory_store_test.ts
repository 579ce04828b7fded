import { deepStrictEqual as equal, match, ok, rejects } from "node:assert/strict";
import fc from "fast-check";
import { MiB } from "../../../src/domain/bytes.ts";
import { StorageError } from "../../../src/domain/errors.ts";
import { DirectoryStore } from "../../../src/storage/directory.ts";
import { compareKeys } from "../../../src/storage/object_key.ts";
import {
  bytesOf,
  content,
  failingStream,
  streamOf,
  stuckStream,
  text,
} from "../../support/bodies.ts";
import { sendSignal } from "../../support/send_signal.ts";

const PUT_PROCESS = new URL("../../support/storage/put_process.ts", import.meta.url).pathname;
const DENIED_PROCESS = new URL("../../support/storage/denied_process.ts", import.meta.url).pathname;
const HOUR_MS = 3_600_000;

/** Runs `test` with a store in an empty folder of its own. */
async function withStore(
  test: (store: DirectoryStore, root: string) => Promise<void>,
): Promise<void> {
  const root = await Deno.makeTempDir({ prefix: "backupctl-directory-" });
  try {
    await test(new DirectoryStore(root), await Deno.realPath(root));
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

for (const condition of ["ifAbsent", "ifMatch"]) {
  Deno.test(`DirectoryStore.put() with ${condition} has one winner among 6 processes`, async () => {
    await withStore(async (store, root) => {
      for (let round = 0; round < 3; round++) {
        const key = `race/${round}/object`;
        if (condition === "ifMatch") await store.put(key, text("nobody"));
        const outcomes = await race(root, key, condition);
        const winner = outcomes.indexOf("won");
        equal(outcomes.toSorted(), ["lost", "lost", "lost", "lost", "lost", "won"]);
        equal(await bytesOf(await store.get(key)), content(2_000_000, winner));
        equal((await store.head(key))?.metadata, { name: `${winner}` });
        equal(await names(`${root}/.backupctl/tmp`), []);
      }
    });
  });
}

Deno.test("DirectoryStore.put() killed at any moment leaves the old object or the new one", async () => {
  await withStore(async (store, root) => {
    await store.put("killed", content(2_000_000, 99), { metadata: { name: "99" } });
    for (let round = 0; round < 12; round++) {
      const child = start([root, "killed", `${round}`, "none"]);
      const reader = child.stdout.getReader();
      await reader.read();
      await go(child);
      await new Promise((resolve) => setTimeout(resolve, round));
      sendSignal(child, "SIGKILL");
      await reader.cancel();
      await child.status;
      const head = await store.head("killed");
      const seed = Number(head?.metadata?.["name"]);
      equal(await bytesOf(await store.get("killed")), content(2_000_000, seed));
      await store.abortUploads("", { before: new Date(Date.now() + HOUR_MS) });
      equal(
        (await store.head("killed"))?.metadata,
        head?.metadata,
        "metadata survives the reaping",
      );
      equal(await names(`${root}/.backupctl/tmp`), []);
    }
  });
});

Deno.test("DirectoryStore.put() makes files 0600 and folders 0700 whatever the umask", async () => {
  for (const umask of [0o000, 0o022, 0o777]) {
    const old = Deno.umask(umask);
    try {
      await withStore(async (store, root) => {
        await Deno.chmod(root, 0o755);
        await store.put("a/b/c", streamOf(text("x")), { metadata: { a: "1" } });
        for (const [path, mode] of await modes(root)) {
          equal(
            mode,
            path.endsWith("/") ? "700" : "600",
            `${path} under umask ${umask.toString(8)}`,
          );
        }
      });
    } finally {
      Deno.umask(old);
    }
  }
});

Deno.test("DirectoryStore.put() makes content durable before the name, and the name before it returns", async () => {
  await withStore(async (store, root) => {
    await store.put("a/first", text("x")); // the private folders
    const events: string[] = [];
    const real = { open: Deno.open, link: Deno.link, sync: Deno.FsFile.prototype.sync };
    const files = new WeakMap<object, string>();
    Deno.open = async (path, options) => {
      const file = await real.open(path, options);
      files.set(
        file,
        String(path).slice(root.length).replace(/^\/\.backupctl\/tmp\/.*/, "temporary"),
      );
      return file;
    };
    Deno.link = async (from, to) => {
      events.push(`link ${String(to).slice(root.length)}`);
      await real.link(from, to);
    };
    Deno.FsFile.prototype.sync = async function () {
      await real.sync.call(this);
      events.push(`sync ${files.get(this)}`);
    };
    try {
      await store.put("a/b/c", text("x"), { ifAbsent: true });
      equal(events, ["sync temporary", "sync /a", "link /a/b/c", "sync /a/b"]);
    } finally {
      Deno.open = real.open;
      Deno.link = real.link;
      Deno.FsFile.prototype.sync = real.sync;
    }
  });
});

Deno.test("DirectoryStore.put() stores the bytes as they are under the name of the key", async () => {
  await withStore(async (store, root) => {
    await store.put("wal/00000001/file.zst", text("plain"), { metadata: { sha256: "ab" } });
    equal(await Deno.readTextFile(`${root}/wal/00000001/file.zst`), "plain");
    equal(await names(`${root}/wal/00000001`), ["file.zst"]);
    equal((await Deno.lstat(`${root}/wal/00000001/file.zst`)).nlink, 1);
  });
});

Deno.test("DirectoryStore refuses a missing root, which may be a disk that is not mounted", async () => {
  await withStore(async (_, root) => {
    const store = new DirectoryStore(`${root}/mnt/repository`);
    const missing = (error: Error) =>
      error instanceof StorageError && /does not exist/.test(error.message) &&
      /mounted/.test(error.hint ?? "");
    await rejects(store.put("key", text("x")), missing);
    await rejects(store.get("key"), missing);
    await rejects(store.head("key"), missing);
    await rejects(Array.fromAsync(store.list("")), missing);
    await rejects(store.delete(["key"]), missing);
    equal(await names(root), []);
    await new DirectoryStore(`${root}/mnt/repository`, { create: true }).put("key", text("x"));
    equal(await store.head("key").then((info) => info?.size), 1);
    equal((await modes(root)).get(`${root}/mnt/`), "700");
  });
});

Deno.test("DirectoryStore follows no symbolic link below its root", async () => {
  await withStore(async (store, root) => {
    const outside = await Deno.makeTempDir();
    try {
      await Deno.writeTextFile(`${outside}/secret`, "outside");
      await Deno.symlink(outside, `${root}/folder`);
      await Deno.symlink(`${outside}/secret`, `${root}/file`);
      const linked = (error: Error) =>
        error instanceof StorageError && /symbolic link/.test(error.message);
      for (const key of ["folder/secret", "folder/new", "file"]) {
        await rejects(store.get(key), linked, key);
        await rejects(store.head(key), linked, key);
        await rejects(store.delete([key]), linked, key);
        await rejects(store.put(key, text("x"), { ifAbsent: true }), linked, key);
      }
      await rejects(store.put("folder/secret", text("x")), linked);
      await rejects(Array.fromAsync(store.list("")), linked);
      await rejects(Array.fromAsync(store.list("folder/")), linked);
      equal(await names(outside), ["secret"]);
      equal(await Deno.readTextFile(`${outside}/secret`), "outside");
    } finally {
      await Deno.remove(outside, { recursive: true });
    }
  });
});

Deno.test("DirectoryStore takes a root that is itself reached by a symbolic link", async () => {
  await withStore(async (_, root) => {
    await Deno.mkdir(`${root}/real`);
    await Deno.symlink(`${root}/real`, `${root}/link`);
    await new DirectoryStore(`${root}/link`).put("a/b", text("x"));
    equal(await names(`${root}/real/a`), ["b"]);
  });
});

Deno.test("DirectoryStore.list() leaves out what is no object", async () => {
  await withStore(async (store, root) => {
    await store.put("a/object", text("x"), { metadata: { a: "1" } });
    const { stream, drained } = stuckStream(content(2 * MiB));
    const abort = new AbortController();
    const put = store.put("a/unfinished", stream, { signal: abort.signal });
    await drained;
    await Deno.mkdir(`${root}/lost+found`);
    await Deno.mkdir(`${root}/a/empty`);
    await Deno.writeTextFile(`${root}/a/.nfs000000000000123400000001`, "x");
    await Deno.writeTextFile(`${root}/a/new\nline`, "x");
    await new Deno.Command("mkfifo", { args: [`${root}/a/fifo`] }).output();
    equal((await Array.fromAsync(store.list(""))).map(({ key }) => key), ["a/object"]);
    equal(await store.head("a/fifo"), undefined);
    abort.abort(new Error("enough"));
    await rejects(put, /enough/);
  });
});

Deno.test("DirectoryStore.list() gives any tree in the order of the bytes, from any key on", async () => {
  const segment = fc.constantFrom("a", "b", "a-b", "a.b", "a0", "!", "ä", "\ue000", "😀", "z z");
  const key = fc.array(segment, { minLength: 1, maxLength: 4 }).map((parts) => parts.join("/"));
  const property = fc.asyncProperty(
    fc.uniqueArray(key, { maxLength: 12 }),
    key,
    fc.nat(3),
    (keys, startAfter, cut) =>
      withStore(async (store) => {
        const stored: string[] = [];
        for (const name of keys) {
          const clash = stored.some((other) =>
            other.startsWith(`${name}/`) || name.startsWith(`${other}/`)
          );
          if (clash) continue;
          await store.put(name, text("x"));
          stored.push(name);
        }
        const prefix = startAfter.slice(0, cut);
        const expected = stored.toSorted(compareKeys).filter((name) =>
          name.startsWith(prefix) && compareKeys(name, startAfter) > 0
        );
        const found = await Array.fromAsync(store.list(prefix, { startAfter }));
        equal(found.map((info) => info.key), expected);
      }),
  );
  await fc.assert(property, { numRuns: 60 });
});

Deno.test("DirectoryStore.delete() removes the folders that became empty, not the others", async () => {
  await withStore(async (store, root) => {
    await store.put("a/b/c/d", text("x"), { metadata: { a: "1" } });
    await store.put("a/e", text("x"));
    await store.delete(["a/b/c/d"]);
    equal(await names(`${root}/a`), ["e"]);
    await store.delete(["a/e"]);
    equal(await names(root), [".backupctl"]);
    equal(await names(`${root}/.backupctl/metadata`), []);
  });
});

Deno.test("DirectoryStore.put() makes its folder again when that is removed before the name", async () => {
  await withStore(async (store, root) => {
    const link = Deno.link;
    let removals = 0;
    Deno.link = async (from, to) => {
      if (removals++ < 2) await Deno.remove(`${root}/a`, { recursive: true });
      await link(from, to);
    };
    try {
      await store.put("a/b/c", text("x"), { ifAbsent: true });
    } finally {
      Deno.link = link;
    }
    equal(removals, 3);
    equal(await bytesOf(await store.get("a/b/c")), text("x"));
  });
});

Deno.test("DirectoryStore.put() survives that its folder is removed as empty meanwhile", async () => {
  await withStore(async (store) => {
    let ended = false;
    const remover = (async () => {
      while (!ended) await store.delete(["a/b/other"]);
    })();
    for (let round = 0; round < 100; round++) {
      const key = `a/b/${round}`;
      await store.put(key, text("x"), { ifAbsent: true, metadata: { round: `${round}` } });
      equal((await store.head(key))?.metadata, { round: `${round}` });
      await store.put("a/b/other", text("x"));
      await store.delete([key]);
    }
    ended = true;
    await remover;
  });
});

Deno.test("DirectoryStore.head() knows the metadata of an object whose put was cut short", async () => {
  await withStore(async (store, root) => {
    await store.put("a/object", text("hello"), { metadata: { sha256: "right" } });
    const path = `${root}/a/object`;
    const unfinished = `${root}/.backupctl/tmp/a%2Fobject.1234`;
    // As a power cut leaves it between the object's name and the metadata's.
    await Deno.link(path, unfinished);
    await Deno.rename(`${root}/.backupctl/metadata/a/object`, `${unfinished}.metadata`);
    equal((await store.head("a/object"))?.metadata, { sha256: "right" });
    equal(await store.abortUploads("a/", { before: new Date(Date.now() + HOUR_MS) }), 0);
    equal((await store.head("a/object"))?.metadata, { sha256: "right" });
    equal((await Deno.lstat(path)).nlink, 1);
  });
});

Deno.test("DirectoryStore.head() knows the metadata of an object from the moment it is there", async () => {
  await withStore(async (store, root) => {
    await store.put("old", text("old"), { metadata: { sha256: "old" } });
    const rename = Deno.rename;
    const seen: unknown[] = [];
    Deno.rename = async (from, to) => {
      if (String(to).startsWith(`${root}/.backupctl/metadata/`)) {
        const key = String(to).split("/").at(-1)!;
        seen.push((await new DirectoryStore(root).head(key))?.metadata);
      }
      await rename(from, to);
    };
    try {
      await store.put("old", text("new"), { metadata: { sha256: "new" } });
      await store.put("first", text("1"), { ifAbsent: true, metadata: { sha256: "first" } });
      await store.put("old", text("3rd"));
    } finally {
      Deno.rename = rename;
    }
    equal(seen, [{ sha256: "new" }, { sha256: "first" }, {}]);
  });
});

Deno.test("DirectoryStore.head() does not give the metadata of an object that others removed", async () => {
  await withStore(async (store, root) => {
    await store.put("key", text("hello"), { metadata: { sha256: "old" } });
    await Deno.remove(`${root}/key`);
    await store.put("key", text("other"), { ifAbsent: true });
    equal((await store.head("key"))?.metadata, {});
    await store.put("key", text("hello"), { metadata: { sha256: "old" } });
    await Deno.writeTextFile(`${root}/key`, "copied over");
    equal((await store.head("key"))?.metadata, {});
  });
});

Deno.test("DirectoryStore.abortUploads() gives up old unfinished files of the prefix only", async () => {
  await withStore(async (store, root) => {
    await store.put("done", text("x"));
    const folder = `${root}/.backupctl/tmp`;
    for (const name of ["a%2Fold.1", "b%2Fold.2", "a%2Fyoung.3", "a%2Fold.1.metadata"]) {
      const sidecar = JSON.stringify({ key: "a/old", size: 1, metadata: {} });
      await Deno.writeTextFile(`${folder}/${name}`, name.endsWith(".metadata") ? sidecar : "x");
    }
    const old = new Date(Date.now() - HOUR_MS);
    for (const name of ["a%2Fold.1", "b%2Fold.2"]) await Deno.utime(`${folder}/${name}`, old, old);
    const before = new Date(Date.now() - HOUR_MS / 2);
    equal(await store.abortUploads("a/", { before }), 1);
    equal(await names(folder), ["a%2Fyoung.3", "b%2Fold.2"]);
    await Deno.writeTextFile(`${folder}/b%2Fold.2.metadata`, '{"key": "b/o'); // died in the middle
    equal(await store.abortUploads("", { before }), 1);
    equal(await names(folder), ["a%2Fyoung.3"]);
  });
});

Deno.test("DirectoryStore.put() without hard links still has one winner and replaces", async () => {
  await withStore(async (store) => {
    const link = Deno.link;
    Deno.link = () => Promise.reject(Object.assign(new Error("no links here"), { code: "EPERM" }));
    try {
      const puts = Array.from(
        { length: 16 },
        (_, racer) =>
          store.put("race", text(`${racer}`), { ifAbsent: true, metadata: { racer: `${racer}` } }),
      );
      const won = (await Promise.allSettled(puts)).filter(({ status }) => status === "fulfilled");
      equal(won.length, 1);
      const racer = new TextDecoder().decode(await bytesOf(await store.get("race")));
      equal((await store.head("race"))?.metadata, { racer });
      await store.put("race", text("new"), { metadata: { racer: "new" } });
      equal((await store.head("race"))?.metadata, { racer: "new" });
    } finally {
      Deno.link = link;
    }
  });
});

Deno.test("DirectoryStore.put() takes its own link for success when NFS says it exists", async () => {
  await withStore(async (store) => {
    const link = Deno.link;
    Deno.link = async (from, to) => {
      await link(from, to);
      throw Object.assign(new Error("File exists"), { code: "EEXIST" });
    };
    try {
      await store.put("key", text("x"), { ifAbsent: true });
    } finally {
      Deno.link = link;
    }
    equal(await bytesOf(await store.get("key")), text("x"));
  });
});

Deno.test("DirectoryStore.put() names a clash of object and folder", async () => {
  await withStore(async (store) => {
    await store.put("a", text("x"));
    await store.put("b/c", text("x"));
    for (const ifAbsent of [true, false]) {
      await rejects(store.put("a/b", text("x"), { ifAbsent }), /cannot .*: .* (file|folder)/);
      await rejects(store.put("b", text("x"), { ifAbsent }), /cannot store .*: a folder has/);
    }
  });
});

Deno.test("DirectoryStore.put() on a full file system leaves nothing and says so", async () => {
  await onFullFileSystem(async (root) => {
    const store = new DirectoryStore(root);
    await store.put("old", text("old"), { metadata: { a: "1" } });
    const full = (error: Error) =>
      error instanceof StorageError && /no space left/.test(error.message) &&
      /old backups by backupctl prune, never by hand/.test(error.hint ?? "");
    await rejects(store.put("new", streamOf(content(3 * MiB))), full);
    await rejects(store.put("old", content(3 * MiB)), full);
    equal(await names(root), [".backupctl", "old"]);
    equal(await names(`${root}/.backupctl/tmp`), []);
    equal((await store.head("old"))?.metadata, { a: "1" });
    await store.put("small", text("fits again"));
  });
});

Deno.test("DirectoryStore says which folder it has no right to", async () => {
  await withStore(async (store, root) => {
    await store.put("a/b", text("x"));
    await Deno.chmod(`${root}/a`, 0o000);
    try {
      const lines = (await withoutPrivileges(DENIED_PROCESS, [root])).trim().split("\n");
      equal(lines.length, 5);
      for (const line of lines) match(line, /cannot .*\/a.*: permission denied \| does the folder/);
    } finally {
      await Deno.chmod(`${root}/a`, 0o700);
    }
  });
});

Deno.test("DirectoryStore.get() errors when the file is cut while it is read", async () => {
  await withStore(async (store, root) => {
    await store.put("key", content(4 * MiB));
    const reader = (await store.get("key")).getReader();
    await reader.read();
    await Deno.truncate(`${root}/key`, 2 * MiB);
    await rejects(async () => {
      while (!(await reader.read()).done);
    }, /ended \d+ bytes early/);
  });
});

Deno.test("DirectoryStore.put() closes its file and removes it when the body fails", async () => {
  await withStore(async (store, root) => {
    const failure = new Error("the source broke");
    await rejects(store.put("a/b", failingStream(content(MiB), failure)), failure);
    equal(await names(`${root}/.backupctl/tmp`), []);
    equal(await names(root), [".backupctl"]);
  });
});

function start(args: readonly string[]): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "-A", PUT_PROCESS, ...args],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
}

async function go(child: Deno.ChildProcess): Promise<void> {
  const writer = child.stdin.getWriter();
  await writer.write(text("go\n"));
  await writer.close();
}

/** Six processes put under one key, all let go at once; what became of each. */
async function race(root: string, key: string, condition: string): Promise<readonly string[]> {
  const children = Array.from({ length: 6 }, (_, name) => start([root, key, `${name}`, condition]));
  const readers = children.map((child) =>
    child.stdout.pipeThrough(new TextDecoderStream()).getReader()
  );
  for (const reader of readers) equal((await reader.read()).value, "ready\n");
  await Promise.all(children.map(go));
  return await Promise.all(children.map(async (child, at) => {
    const outcome = (await readers[at]!.read()).value ?? "";
    await readers[at]!.cancel();
    await child.status;
    return outcome.trim();
  }));
}

async function names(folder: string): Promise<readonly string[]> {
  return (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name).sort();
}

/** Every file and folder below `root` with its permission bits. */
async function modes(root: string): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const { name, isDirectory } of await Array.fromAsync(Deno.readDir(root))) {
    const path = `${root}/${name}`;
    const bits = ((await Deno.lstat(path)).mode! & 0o777).toString(8);
    found.set(isDirectory ? `${path}/` : path, bits);
    if (isDirectory) { for (const [below, mode] of await modes(path)) found.set(below, mode); }
  }
  return found;
}

/** A file system of 2 MiB; only root may mount one. */
async function onFullFileSystem(test: (root: string) => Promise<void>): Promise<void> {
  const root = await Deno.makeTempDir({ prefix: "backupctl-full-" });
  const mounted = await new Deno.Command("mount", {
    args: ["-t", "tmpfs", "-o", "size=2m", "backupctl-test", root],
    stderr: "null",
  }).output().catch(() => ({ success: false }));
  try {
    // /dev/full has no room for anybody, but only a mount shows what stays behind.
    if (mounted.success) return ok(await test(root) === undefined);
    console.warn("NOT RUN: a full file system cannot be mounted by this user");
  } finally {
    if (mounted.success) await new Deno.Command("umount", { args: [root] }).output();
    await Deno.remove(root, { recursive: true });
  }
}

/** Runs the script as one whom file modes hold for: root must first give up a privilege. */
async function withoutPrivileges(script: string, args: readonly string[]): Promise<string> {
  const deno = [Deno.execPath(), "run", "--quiet", "-A", script, ...args];
  const capabilities = ["--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all"];
  const command = Deno.uid() === 0 ? ["setpriv", ...capabilities, ...deno] : deno;
  const output = await new Deno.Command(command[0]!, { args: command.slice(1) }).output();
  ok(output.success, new TextDecoder().decode(output.stderr));
  return new TextDecoder().decode(output.stdout);
}

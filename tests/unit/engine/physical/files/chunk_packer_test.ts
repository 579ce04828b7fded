import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { join } from "node:path";
import fc from "fast-check";
import { type Bytes, MiB } from "../../../../../src/domain/bytes.ts";
import { PostgresError } from "../../../../../src/domain/errors.ts";
import { ChunkPacker } from "../../../../../src/engine/physical/files/chunk_packer.ts";
import type {
  ChunkEntry,
  FileSetup,
  PackedFile,
} from "../../../../../src/engine/physical/files/file_messages.ts";
import {
  readHeadBytes,
  readIncrementalHead,
} from "../../../../../src/engine/physical/incremental/incremental_header.ts";
import { TarReader } from "../../../../../src/engine/physical/tar_reader.ts";
import { bytes } from "../../../../support/physical_world.ts";
import { joinPages, makePage, PAGE } from "../../../../support/pages.ts";

const RELATION = "base/5/16384";

interface Packed {
  readonly files: readonly PackedFile[];
  readonly blocks: readonly Bytes[];
  readonly members: ReadonlyMap<string, Bytes>;
}

/** Packs from a folder of its own; `onBlock` is called with the number of each block. */
async function pack(
  folder: string,
  entries: readonly ChunkEntry[],
  { onBlock = () => {}, ...setup }:
    & Partial<FileSetup>
    & { readonly onBlock?: (block: number) => void } = {},
): Promise<Packed> {
  const blocks: Bytes[] = [];
  const packer = new ChunkPacker({
    dataDirectory: folder,
    codec: { algorithm: "zstd", level: 1 },
    pages: { pageBytes: PAGE, segmentPages: 131_072, checksums: true },
    ...setup,
  }, (block) => {
    onBlock(blocks.push(block.slice()));
    return Promise.resolve();
  });
  for (const entry of entries) await packer.add(entry);
  return { files: await packer.finish(), blocks, members: unpack(blocks) };
}

function unpack(blocks: readonly Bytes[]): Map<string, Bytes> {
  const members = new Map<string, Bytes>();
  let name = "";
  let pieces: Bytes[] = [];
  const reader = new TarReader({
    begin: (member) => {
      name = member.name;
      pieces = [];
    },
    content: (piece) => void pieces.push(piece.slice()),
    end: () => {
      const whole = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0));
      let at = 0;
      for (const piece of pieces) {
        whole.set(piece, at);
        at += piece.length;
      }
      members.set(name, whole);
    },
  }, { extended: true });
  for (const block of blocks) reader.push(block);
  reader.finish();
  assert.equal(reader.zeroBlocks, 2, "the tar has its end");
  return members;
}

async function withFolder(run: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "backupctl-packer-" });
  try {
    await Deno.mkdir(join(folder, "base/5"), { recursive: true });
    await run(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const file = (path: string): ChunkEntry => ({ type: "file", path });

Deno.test("ChunkPacker leaves out what is gone, or has become a link or a folder", async () => {
  await withFolder(async (folder) => {
    await Deno.writeFile(join(folder, "base/5/1"), makePage(0));
    await Deno.symlink("1", join(folder, "base/5/2"));
    await Deno.mkdir(join(folder, "base/5/3"));
    const names = ["1", "2", "3", "4"].map((name) => `base/5/${name}`);
    const { files, members } = await pack(folder, names.map(file));
    assert.deepEqual(files.map(({ path }) => path), ["base/5/1"]);
    assert.deepEqual([...members.keys()], ["base/5/1"]);
  });
});

Deno.test("ChunkPacker stores files of every length whole, with their hashes, and splits no page", async () => {
  await withFolder(async (folder) => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.oneof(
            fc.nat({ max: 3 * MiB }),
            fc.nat({ max: 400 }).map((pages) => pages * PAGE),
            fc.constantFrom(0, 1, 511, 512, 513, MiB - 512, MiB, MiB + 1),
          ),
          { minLength: 1, maxLength: 6 },
        ),
        async (sizes) => {
          const contents = sizes.map((size, index) => bytes(size, index + 1));
          const names = sizes.map((_, index) => `file-${index}`);
          for (const [index, name] of names.entries()) {
            await Deno.writeFile(join(folder, name), contents[index]!);
          }
          const { files, blocks, members } = await pack(folder, names.map(file));
          assert.ok(blocks.every((block) => block.length <= MiB));
          for (const [index, name] of names.entries()) {
            assert.deepEqual(members.get(name), contents[index]);
            const sha256 = createHash("sha256").update(contents[index]!).digest("hex");
            assert.equal(files[index]!.sha256, sha256);
            assert.equal(files[index]!.size, sizes[index]);
          }
        },
      ),
      { numRuns: 25 },
    );
  });
});

Deno.test("ChunkPacker verifies every page of a relation, wherever the blocks are cut", async () => {
  await withFolder(async (folder) => {
    const pages = Array.from({ length: 300 }, (_, index) => makePage(131_072 + index));
    const bad = [0, 126, 127, 128, 255, 299];
    for (const index of bad) pages[index]![7000]! ^= 2;
    await Deno.writeFile(join(folder, "first"), bytes(777, 1));
    await Deno.writeFile(join(folder, `${RELATION}.1`), joinPages(pages));
    const { files } = await pack(folder, [file("first"), file(`${RELATION}.1`)]);
    assert.deepEqual(files[1]!.damaged?.map(({ block }) => block), bad.map((at) => 131_072 + at));
    assert.equal(files[1]!.identity, undefined, "the next increment must copy it again");
    const unchecked = { pages: { pageBytes: PAGE, segmentPages: 131_072, checksums: false } };
    const { files: [, other] } = await pack(
      folder,
      [file("first"), file(`${RELATION}.1`)],
      unchecked,
    );
    assert.equal(other!.damaged, undefined);
  });
});

Deno.test("ChunkPacker leaves out a file that is gone, and fails for WAL that is", async () => {
  await withFolder(async (folder) => {
    const { files, members } = await pack(folder, [file("gone")]);
    assert.deepEqual([files.length, members.size], [0, 0]);
    const wal = { type: "wal", path: "pg_wal/000000010000000000000001", size: 5 } as const;
    await assert.rejects(pack(folder, [wal]), PostgresError);
    await Deno.mkdir(join(folder, "pg_wal"));
    await Deno.writeTextFile(join(folder, wal.path), "four");
    await assert.rejects(pack(folder, [wal]), /has 4 bytes, not 5/);
  });
});

Deno.test("ChunkPacker puts zeros where a file was cut while it was read, and ignores growth", async () => {
  await withFolder(async (folder) => {
    const pages = joinPages(Array.from({ length: 400 }, (_, index) => makePage(index)));
    const path = join(folder, RELATION);
    await Deno.writeFile(path, pages);
    const cut = () => Deno.truncateSync(path, 200 * PAGE);
    const { members, files } = await pack(folder, [file(RELATION)], { onBlock: cut });
    const stored = members.get(RELATION)!;
    assert.equal(stored.length, pages.length);
    assert.deepEqual(stored.subarray(0, 200 * PAGE), pages.subarray(0, 200 * PAGE));
    assert.ok(stored.subarray(200 * PAGE).every((byte) => byte === 0));
    assert.equal(files[0]!.damaged, undefined);
    assert.equal(files[0]!.sha256, createHash("sha256").update(stored).digest("hex"));
    await Deno.writeFile(path, pages);
    const grow = () => Deno.writeFileSync(path, makePage(400), { append: true });
    const grown = await pack(folder, [file(RELATION)], { onBlock: grow });
    assert.deepEqual(grown.members.get(RELATION), pages);
  });
});

/** What an increment makes of the parent's file. */
function applied(parent: Bytes, increment: Bytes): Bytes {
  const length = readHeadBytes(increment.subarray(0, 12));
  const { blocks, truncationBlocks } = readIncrementalHead(increment.slice(0, length));
  const pages = Math.max(truncationBlocks, (blocks.at(-1) ?? -1) + 1);
  const result = new Uint8Array(pages * PAGE);
  result.set(parent.subarray(0, Math.min(parent.length, truncationBlocks * PAGE)));
  blocks.forEach((block, index) => {
    const at = length + index * PAGE;
    result.set(increment.subarray(at, at + PAGE), block * PAGE);
  });
  return result;
}

Deno.test("ChunkPacker stores the changed pages of a known file, which upon the parent make the file", async () => {
  await withFolder(async (folder) => {
    const path = join(folder, RELATION);
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0, max: 300 }),
        fc.integer({ min: 0, max: 300 }),
        fc.uniqueArray(fc.nat({ max: 299 }), { maxLength: 40 }),
        fc.boolean(),
        async (before, after, touched, checksums) => {
          const parent = joinPages(Array.from({ length: before }, (_, index) => makePage(index)));
          const now = joinPages(Array.from({ length: after }, (_, index) => {
            const changed = index >= before || touched.includes(index);
            return changed ? makePage(index, { lsn: 50n, seed: 9999 + index }) : makePage(index);
          }));
          await Deno.writeFile(path, now);
          const { ino, birthtime } = await Deno.stat(path);
          const known = { size: parent.length, inode: ino!, bornAt: birthtime!.getTime() };
          const pages = { pageBytes: PAGE, segmentPages: 131_072, checksums };
          const entry: ChunkEntry = { type: "file", path: RELATION, known };
          const { members, files: [stored] } = await pack(folder, [entry], { since: 50n, pages });
          const increment = members.get("base/5/INCREMENTAL.16384");
          const changes = touched.filter((index) => index < Math.min(before, after)).length;
          if (changes > after * 0.6) assert.ok(increment === undefined);
          assert.deepEqual(increment ? applied(parent, increment) : members.get(RELATION), now);
          assert.equal(stored!.identity?.size, now.length);
          assert.equal(stored!.path, increment ? "base/5/INCREMENTAL.16384" : RELATION);
        },
      ),
      { numRuns: 40 },
    );
  });
});

Deno.test("ChunkPacker copies whole what an increment may not trust", async () => {
  await withFolder(async (folder) => {
    const content = joinPages([makePage(0), makePage(1)]);
    const put = async (path: string) => {
      await Deno.writeFile(join(folder, path), content);
      const { ino, birthtime } = await Deno.stat(join(folder, path));
      return { size: content.length, inode: ino!, bornAt: birthtime!.getTime() };
    };
    const whole = async (path: string, change: object = {}) => {
      const known = { ...await put(path), ...change };
      const { members } = await pack(folder, [{ type: "file", path, known }], { since: 50n });
      return members.has(path);
    };
    assert.ok(!await whole(RELATION), "this one may be");
    assert.ok(await whole(RELATION, { inode: 1 }), "another inode");
    assert.ok(await whole(RELATION, { bornAt: 0 }), "another time of birth");
    assert.ok(await whole(`${RELATION}_vm`), "a visibility map");
    assert.ok(await whole(`${RELATION}_fsm`), "a free space map");
    assert.ok(await whole("base/5/pg_filenode.map"), "no relation");
    const { members } = await pack(folder, [file(RELATION)], { since: 50n });
    assert.ok(members.has(RELATION), "a file that the parent did not know");
  });
});

Deno.test("ChunkPacker copies a file whole when more than three fifths of it changed", async () => {
  await withFolder(async (folder) => {
    const path = join(folder, RELATION);
    for (const [changed, whole] of [[6, false], [7, true]] as const) {
      const pages = Array.from(
        { length: 10 },
        (_, index) => makePage(index, { lsn: index < changed ? 60n : 1n }),
      );
      await Deno.writeFile(path, joinPages(pages));
      const { ino, birthtime } = await Deno.stat(path);
      const known = { size: 10 * PAGE, inode: ino!, bornAt: birthtime!.getTime() };
      const { members } = await pack(folder, [{ type: "file", path: RELATION, known }], {
        since: 50n,
      });
      assert.equal(members.has(RELATION), whole, `${changed} of 10`);
    }
  });
});

Deno.test("ChunkPacker stores a page with a wrong checksum in every increment", async () => {
  await withFolder(async (folder) => {
    const pages = [makePage(0), makePage(1), makePage(2), makePage(3)];
    pages[2]![4321]! ^= 8;
    const path = join(folder, RELATION);
    await Deno.writeFile(path, joinPages(pages));
    const { ino, birthtime } = await Deno.stat(path);
    const known = { size: 4 * PAGE, inode: ino!, bornAt: birthtime!.getTime() };
    const entry: ChunkEntry = { type: "file", path: RELATION, known };
    const { members, files } = await pack(folder, [entry], { since: 50n });
    const increment = members.get("base/5/INCREMENTAL.16384")!;
    assert.deepEqual([...readIncrementalHead(increment.slice(0, PAGE)).blocks], [2]);
    assert.deepEqual(files[0]!.damaged?.map(({ block }) => block), [2]);
  });
});

import assert from "node:assert/strict";
import { packTar, unpackTar } from "modern-tar";
import type { Bytes } from "../../../../src/domain/bytes.ts";
import { IntegrityError } from "../../../../src/domain/errors.ts";
import { moveTarHeader, parseTarHeader } from "../../../../src/engine/physical/tar_member.ts";

const cases = [
  { name: "PG_VERSION", type: "file", size: 3 },
  { name: "base/5/1255.17", type: "file", size: 1024 ** 3 },
  { name: "base/5/huge", type: "file", size: 8 * 1024 ** 3 - 1 },
  { name: "base/5/empty", type: "file", size: 0 },
  { name: "log/größe ✓.log", type: "file", size: 7 },
  { name: "x".repeat(90) + "/" + "y".repeat(60), type: "file", size: 1 },
  { name: "base/5/", type: "directory", size: 0 },
] as const;
for (const { name, type, size } of cases) {
  Deno.test(`parseTarHeader() reads what a library wrote of ${name}, ${size} bytes`, async () => {
    const member = parseTarHeader(await libraryHeader({ name, type }, size));
    assert.deepEqual(member, { name: name.replace(/\/$/, ""), type, size });
  });
}

Deno.test("parseTarHeader() reads PostgreSQL's own form of names and of sizes from 8 GiB on", async () => {
  const header = await libraryHeader({ name: "./pg_wal/archive_status/", type: "directory" }, 0);
  assert.equal(parseTarHeader(header)?.name, "pg_wal/archive_status");
  const huge = await libraryHeader({ name: "base/5/huge", type: "file" }, 1);
  huge.set([0x80, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 5], 124);
  assert.equal(parseTarHeader(sealed(huge))?.size, 8 * 1024 ** 3 + 5);
  huge.fill(0xff, 125, 136);
  assert.throws(() => parseTarHeader(sealed(huge)), IntegrityError);
});

Deno.test("parseTarHeader() takes a block of zeros for the end", () => {
  assert.equal(parseTarHeader(new Uint8Array(512)), undefined);
});

Deno.test("parseTarHeader() refuses every flipped bit in a header, unless it means the same", async () => {
  const header = await libraryHeader({ name: "base/5/1255", type: "file" }, 8192);
  const sound = parseTarHeader(header);
  let same = 0;
  for (let bit = 0; bit < 512 * 8; bit++) {
    const bad = header.slice();
    bad[bit >> 3] = (bad[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    const found = attempt(() => parseTarHeader(bad));
    if (found instanceof IntegrityError) continue;
    assert.deepEqual(found, sound, `bit ${bit}`);
    same += 1;
  }
  assert.ok(same < 12, `${same}: only spaces for zeros and the checksum's tail may be`);
});

Deno.test("parseTarHeader() refuses types that no backup has", async () => {
  for (const type of ["1", "3", "4", "6", "7", "x", "g", "L", "K", "S"]) {
    const header = await libraryHeader({ name: "evil", type: "file" }, 0);
    header[156] = type.charCodeAt(0);
    assert.throws(() => parseTarHeader(sealed(header)), /forbidden type/, type);
  }
});

Deno.test("parseTarHeader() refuses a folder with content, a bad number and a name not in UTF-8", async () => {
  const folder = await libraryHeader({ name: "base/", type: "directory" }, 0);
  folder.set(new TextEncoder().encode("00000000017\0"), 124);
  assert.throws(() => parseTarHeader(sealed(folder)), /with content/);
  const file = await libraryHeader({ name: "base/1", type: "file" }, 5);
  for (
    const number of ["-0000000001\0", "0000000009\0 ", "\0\0\0\0\0\0\0\0\0\0\0\0", "0x000000001\0"]
  ) {
    const bad = file.slice();
    bad.set(new TextEncoder().encode(number), 124);
    assert.throws(() => parseTarHeader(sealed(bad)), /has the number/, number);
  }
  file[2] = 0xe9;
  assert.throws(() => parseTarHeader(sealed(file)), /not UTF-8/);
});

Deno.test("moveTarHeader() puts a member into a folder, which a library reads", async () => {
  const name = "PG_15_202209061/16385/1255_fsm.1";
  const moved = moveTarHeader(await libraryHeader({ name, type: "file" }, 0), "pg_tblspc/16384");
  assert.equal(parseTarHeader(moved)?.name, `pg_tblspc/16384/${name}`);
  const [entry] = await unpackTar(new Uint8Array([...moved, ...new Uint8Array(1024)]));
  assert.equal(entry?.header.name, `pg_tblspc/16384/${name}`);
  assert.throws(() => moveTarHeader(moved, "pg_tblspc/16384"), IntegrityError);
});

function attempt<T>(run: () => T): unknown {
  try {
    return run();
  } catch (error) {
    return error;
  }
}

/** The first header of a tar that the library made, with another size written into it. */
async function libraryHeader(
  { name, type }: { readonly name: string; readonly type: "file" | "directory" },
  size: number,
): Promise<Bytes> {
  const tar = await packTar([{ header: { name, type, size: 0 } }]);
  const header = new Uint8Array(tar.subarray(0, 512));
  header.set(new TextEncoder().encode(`${size.toString(8).padStart(11, "0")}\0`), 124);
  return sealed(header);
}

/** With the checksum that belongs to it. */
function sealed(header: Bytes): Bytes {
  header.fill(0x20, 148, 156);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.set(new TextEncoder().encode(`${sum.toString(8).padStart(6, "0")}\0 `), 148);
  return header;
}

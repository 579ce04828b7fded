import assert from "node:assert/strict";
import fc from "fast-check";
import { unpackTar } from "modern-tar";
import { IntegrityError } from "../../../../src/domain/errors.ts";
import { tarHeader } from "../../../../src/engine/physical/tar_header.ts";
import { extendedPath, type TarMember } from "../../../../src/engine/physical/tar_member.ts";
import { TarReader } from "../../../../src/engine/physical/tar_reader.ts";

const COMMON = { mode: 0o600, modifiedAt: 1_700_000_000_000, uid: 26, gid: 26 } as const;

function read(headers: Uint8Array<ArrayBuffer>, { extended = true } = {}): TarMember[] {
  const found: TarMember[] = [];
  const handler = { begin: (member: TarMember) => void found.push(member), content() {}, end() {} };
  const reader = new TarReader(handler, { extended });
  reader.push(headers);
  return found;
}

/** Any character but a slash or a zero. */
const segment = fc.string({ unit: "binary", minLength: 1, maxLength: 255 })
  .map((text) => text.replace(/[\/\0]/g, "_"))
  .filter((text) => new TextEncoder().encode(text).length <= 255 && !/^\.{1,2}$/.test(text));
const path = fc.array(segment, { minLength: 1, maxLength: 5 }).map((parts) => parts.join("/"));

Deno.test("tarHeader() makes headers of any path that TarReader and a library read back", async () => {
  await fc.assert(
    fc.asyncProperty(path, fc.constantFrom("file", "directory"), async (path, type) => {
      const header = tarHeader({ ...COMMON, path, type, size: 0 });
      assert.equal(header.length % 512, 0);
      assert.deepEqual(read(header), [{ name: path, type, size: 0 }]);
      const tar = new Uint8Array(header.length + 1024);
      tar.set(header);
      const [entry] = await unpackTar(tar);
      assert.equal(entry?.header.name.replace(/\/$/, ""), path);
    }),
    { numRuns: 200 },
  );
});

Deno.test("tarHeader() cuts no character in two for programs that know no extension", () => {
  for (const path of [`x${"ü".repeat(150)}`, "ü".repeat(150), `xy${"✓".repeat(90)}`]) {
    const header = tarHeader({ ...COMMON, path, type: "file", size: 0 });
    assert.equal(read(header)[0]?.name, path);
  }
});

Deno.test("tarHeader() says sizes from 8 GiB on", () => {
  for (const size of [0, 8 ** 11 - 1, 8 ** 11, 2 ** 45]) {
    const header = tarHeader({ ...COMMON, path: "base/5/1", type: "file", size });
    assert.equal(read(header)[0]?.size, size);
  }
});

Deno.test("TarReader refuses extensions where none belong, and bad ones where they do", () => {
  const long = tarHeader({ ...COMMON, path: "x".repeat(300), type: "file", size: 0 });
  assert.throws(() => read(long, { extended: false }), /forbidden type/);
  const twice = new Uint8Array([...long.subarray(0, 1024), ...long]);
  assert.throws(() => read(twice), /extended twice/);
  for (let at = 0; at < 20; at++) {
    const bad = long.slice();
    bad[512 + at]! ^= 0x80;
    assert.throws(() => read(bad), IntegrityError, `byte ${at}`);
  }
  const reader = new TarReader({ begin() {}, content() {}, end() {} }, { extended: true });
  reader.push(long.subarray(0, 1024));
  assert.throws(() => reader.finish(), IntegrityError);
});

Deno.test("extendedPath() takes one record of a path, and nothing else", () => {
  const encode = (text: string) => new TextEncoder().encode(text);
  assert.equal(extendedPath(encode("12 path=a/b\n")), "a/b");
  for (
    const text of ["13 path=a/b\n", "11 size=12\n", "12 path=a/b", "", "12 path=a\n12 path=b\n"]
  ) {
    assert.throws(() => extendedPath(encode(text)), IntegrityError, JSON.stringify(text));
  }
});

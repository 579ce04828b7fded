/**
 * Chunks by somebody who may write into the repository: whatever they hold, nothing outside of the
 * destination changes, no more is written than was promised, and the answer is an error of ours.
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { encodeBlock } from "../../../../src/codec/codec.ts";
import type { Bytes } from "../../../../src/domain/bytes.ts";
import { DestinationError, IntegrityError } from "../../../../src/domain/errors.ts";
import { ChunkReader } from "../../../../src/engine/physical/chunk_reader.ts";
import { ChunkUnpacker } from "../../../../src/engine/physical/chunk_unpacker.ts";
import { campaignSeed, reportCampaign, trials } from "../../../support/campaign.ts";

const INPUTS = trials({ full: 100_000, usual: 600 });
const TABLESPACE = 16385;

/** One member as an attacker would write it. */
interface Member {
  readonly name: string;
  readonly type: string;
  readonly link: string;
  readonly content: Bytes;
  /** What the header says, when that is not the content's. */
  readonly size: number | undefined;
}

const segment = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom("..", ".", "", "base", "1", "PG_VERSION", "global") },
  {
    weight: 2,
    arbitrary: fc.constantFrom(
      ...["pg_tblspc", `${TABLESPACE}`, "link", "outside", "INCREMENTAL.1", "Base", "\\..", "~"],
    ),
  },
  { weight: 1, arbitrary: fc.string({ unit: "binary", maxLength: 6 }) },
);
const name = fc.oneof(
  { weight: 8, arbitrary: fc.array(segment, { minLength: 1, maxLength: 5 }).map(joinPath) },
  { weight: 1, arbitrary: fc.constantFrom("/etc/passwd", "/tmp/backupctl-o6", "../outside/kept") },
  { weight: 1, arbitrary: fc.string({ maxLength: 120 }) },
);
const member: fc.Arbitrary<Member> = fc.record({
  name,
  type: fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom("0", "0", "5") },
    {
      weight: 2,
      arbitrary: fc.constantFrom("1", "2", "3", "4", "6", "7", "g", "x", "L", "S", "\0"),
    },
  ),
  link: fc.constantFrom("", "/etc", "../outside", "../../outside/kept"),
  content: fc.uint8Array({ maxLength: 600 }).map((bytes) => new Uint8Array(bytes)),
  size: fc.option(fc.oneof(fc.nat(2000), fc.constantFrom(2 ** 33 - 1, 8 ** 11 - 1)), {
    nil: undefined,
    freq: 8,
  }),
});
const hostile = fc.record({
  members: fc.array(member, { minLength: 1, maxLength: 5 }),
  /** Bits to flip in the tar, in the stored bytes; by their place modulo the length. */
  tarFlips: fc.oneof(
    { weight: 4, arbitrary: fc.constant([]) },
    fc.array(fc.nat(), { maxLength: 3 }),
  ),
  storedFlips: fc.oneof(
    { weight: 4, arbitrary: fc.constant([]) },
    fc.array(fc.nat(), { maxLength: 2 }),
  ),
  hasEnd: fc.oneof({ weight: 5, arbitrary: fc.constant(true) }, fc.constant(false)),
  promised: fc.oneof({ weight: 5, arbitrary: fc.constant(undefined) }, fc.nat(5000)),
});

/** Now and then one that nothing is wrong with: a reader that refuses everything would pass, too. */
const harmless = member.map(({ content }) => ({
  members: [{ name: "base/1", type: "0", link: "", content, size: undefined }],
  ...{ tarFlips: [], storedFlips: [], hasEnd: true, promised: undefined },
}));
const chunk = fc.oneof({ weight: 19, arbitrary: hostile }, { weight: 1, arbitrary: harmless });

function joinPath(parts: readonly string[]): string {
  return parts.join("/");
}

/** A ustar header with a right checksum, whatever it says. POSIX.1-1988. */
function header({ name, type, link, content, size }: Member): Bytes {
  const block = new Uint8Array(512);
  const put = (at: number, length: number, text: string) =>
    block.set(new TextEncoder().encode(text).subarray(0, length), at);
  put(0, 100, name);
  put(100, 8, "0000600\0");
  put(124, 12, `${(size ?? content.length).toString(8).padStart(11, "0")}\0`);
  put(156, 1, type);
  put(157, 100, link);
  put(257, 8, "ustar\x0000");
  put(148, 8, "        ");
  const sum = block.reduce((total, byte) => total + byte, 0);
  put(148, 8, `${sum.toString(8).padStart(6, "0")}\0 `);
  return block;
}

function tarOf(members: readonly Member[], hasEnd: boolean): Bytes {
  const parts = members.flatMap((one) => {
    const padding = (512 - one.content.length % 512) % 512;
    return [header(one), one.content, new Uint8Array(padding)];
  });
  return new Uint8Array(Buffer.concat([...parts, new Uint8Array(hasEnd ? 1024 : 0)]));
}

function flip(bytes: Bytes, places: readonly number[]): void {
  for (const place of places) bytes[(place >> 3) % bytes.length]! ^= 1 << (place & 7);
}

/** A folder with a destination, a tablespace, and what must not change beside them. */
class Sandbox implements Disposable {
  readonly root = Deno.makeTempDirSync({ prefix: "backupctl-hostile-" });
  readonly folders = {
    destination: `${this.root}/new`,
    tablespaces: new Map([[TABLESPACE, `${this.root}/space`]]),
  };

  constructor() {
    Deno.mkdirSync(`${this.root}/outside`);
    Deno.writeTextFileSync(`${this.root}/outside/kept`, "as it was");
    this.renew();
  }

  /** Empties the destination. */
  renew(): void {
    for (const folder of ["new", "space"]) {
      try {
        Deno.removeSync(`${this.root}/${folder}`, { recursive: true });
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      }
      Deno.mkdirSync(`${this.root}/${folder}`);
    }
  }

  /** What is beside the destination, with what it holds. */
  outside(): string {
    const names = (path: string) => Array.from(Deno.readDirSync(path), ({ name }) => name).sort();
    const { mtime, mode } = Deno.lstatSync(`${this.root}/outside/kept`);
    return JSON.stringify([
      names(this.root),
      names(`${this.root}/outside`),
      Deno.readTextFileSync(`${this.root}/outside/kept`),
      ...[mtime?.getTime(), mode],
    ]);
  }

  /** Bytes in files of the destination and the tablespace; throws at anything but those. */
  written(): number {
    let bytes = 0;
    const walk = (path: string): void => {
      for (const { name, isDirectory, isFile } of Deno.readDirSync(path)) {
        assert.ok(isDirectory || isFile, `${path}/${name} is neither a file nor a folder`);
        if (isDirectory) walk(`${path}/${name}`);
        else bytes += Deno.lstatSync(`${path}/${name}`).size;
      }
    };
    walk(this.folders.destination);
    walk(`${this.root}/space`);
    return bytes;
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.root, { recursive: true });
  }
}

Deno.test(`${INPUTS} hostile chunks change nothing outside, and end in an error of ours`, async () => {
  using sandbox = new Sandbox();
  const before = sandbox.outside();
  const seed = campaignSeed();
  let accepted = 0;
  await fc.assert(
    fc.asyncProperty(chunk, async ({ members, tarFlips, storedFlips, hasEnd, promised }) => {
      const tar = tarOf(members, hasEnd);
      flip(tar, tarFlips);
      const rawBytes = promised ?? tar.length;
      const stored = await encodeBlock({ algorithm: "zstd", level: 1 }, tar);
      flip(stored, storedFlips);
      const unpacker = new ChunkUnpacker(sandbox.folders, { owner: undefined });
      const expected = { storedBytes: stored.length, rawBytes };
      const reader = new ChunkReader(unpacker, { algorithm: "zstd", expected });
      try {
        reader.push(stored);
        reader.finish();
        accepted += 1;
      } catch (error) {
        const isOurs = error instanceof IntegrityError || error instanceof DestinationError;
        assert.ok(isOurs, `${error instanceof Error ? error.stack : error}`);
        assert.ok(error.message.length < 2000, "a message is bounded");
      } finally {
        unpacker.abandon();
      }
      assert.equal(sandbox.outside(), before);
      assert.ok(sandbox.written() <= rawBytes, "more was written than was promised");
      sandbox.renew();
    }),
    { numRuns: INPUTS, seed },
  );
  reportCampaign({
    what: "hostile chunks: nothing outside of the destination changes",
    ...{ n: INPUTS, seed, outcome: `0 escapes, ${accepted} harmless ones unpacked` },
  });
  assert.ok(accepted > INPUTS / 200, `only ${accepted} were good enough to be unpacked`);
});

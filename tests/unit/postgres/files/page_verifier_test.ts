import assert from "node:assert/strict";
import fc from "fast-check";
import { pageChecksum } from "../../../../src/postgres/files/page_checksum.ts";
import { kernelModule, pageKernel } from "../../../../src/postgres/files/page_kernel.ts";
import { PageVerifier } from "../../../../src/postgres/files/page_verifier.ts";
import { joinPages, makePage, PAGE } from "../../../support/pages.ts";

/** A memory that holds these pages from its beginning, and a verifier on it. */
function loaded(pages: readonly Uint8Array<ArrayBuffer>[]) {
  const memory = new WebAssembly.Memory({ initial: Math.max(1, Math.ceil(pages.length / 8)) });
  const bytes = new Uint8Array(memory.buffer as ArrayBuffer);
  bytes.set(joinPages(pages));
  return { memory, bytes, verifier: new PageVerifier(memory, PAGE) };
}

const stable = { readAgain: () => assert.fail("a sound page was read again") };

Deno.test("pageKernel() agrees with pageChecksum() on every page, number and size", () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 64, maxLength: 512 }),
      fc.integer({ min: 0, max: 0xffffffff }),
      fc.constantFrom(1024, 8192, 32768),
      (content, block, pageBytes) => {
        const memory = new WebAssembly.Memory({ initial: 1 });
        const page = new Uint8Array(memory.buffer as ArrayBuffer, 0, pageBytes);
        for (let at = 0; at < pageBytes; at += content.length) {
          page.set(content.subarray(0, pageBytes - at), at);
        }
        page[14] = page[14]! | 1;
        const view = new DataView(memory.buffer);
        view.setUint16(8, pageChecksum(page, block), true);
        const { check } = pageKernel(memory);
        assert.equal(check(0, 1, block, pageBytes), 1);
        const before = page.slice();
        view.setUint16(8, view.getUint16(8, true) ^ 1, true);
        assert.equal(check(0, 1, block, pageBytes), 0);
        view.setUint16(8, view.getUint16(8, true) ^ 1, true);
        assert.deepEqual(page, before, "the page is as it was");
      },
    ),
    { numRuns: 60 },
  );
});

Deno.test("kernelModule() is a module of one function on an imported memory", () => {
  const module = new WebAssembly.Module(kernelModule());
  assert.deepEqual(WebAssembly.Module.exports(module), [{ name: "check", kind: "function" }]);
  assert.deepEqual(WebAssembly.Module.imports(module), [{
    module: "m",
    name: "m",
    kind: "memory",
  }]);
});

Deno.test("PageVerifier blames exactly the pages that stay damaged, with their LSNs", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 24 }),
      fc.uniqueArray(fc.nat({ max: 23 }), { maxLength: 5 }),
      fc.nat({ max: PAGE - 25 }),
      fc.nat({ max: 7 }),
      (count, wanted, at, bit) => {
        const pages = Array.from({ length: count }, (_, index) => makePage(100 + index));
        const bad = wanted.filter((index) => index < count).sort((one, other) => one - other);
        for (const index of bad) pages[index]![24 + at]! ^= 1 << bit;
        const { verifier } = loaded(pages);
        const found = verifier.verify({
          ...{ at: 0, count, firstBlock: 100 },
          readAgain: (index, into) => (into.set(pages[index]!), true),
        });
        assert.deepEqual(found, bad.map((index) => ({ block: 100 + index, lsn: 1n })));
        assert.deepEqual(verifier.wrong({ at: 0, count, firstBlock: 100 }), bad);
      },
    ),
    { numRuns: 40 },
  );
});

Deno.test("PageVerifier takes a page that reads otherwise the second time for one being written", () => {
  const pages = [makePage(0), makePage(1), makePage(2)];
  const whole = makePage(1, { seed: 99, lsn: 77n });
  const torn = pages[1]!.slice();
  torn.set(whole.subarray(0, 4096));
  const { verifier, bytes } = loaded([pages[0]!, torn, pages[2]!]);
  const readAgain = (_: number, into: Uint8Array<ArrayBuffer>) => (into.set(whole), true);
  assert.deepEqual(verifier.verify({ at: 0, count: 3, firstBlock: 0, readAgain }), []);
  assert.deepEqual(bytes.subarray(PAGE, 2 * PAGE), whole, "the later reading is kept");
});

Deno.test("PageVerifier does not blame a page that is torn in another way each time", () => {
  const torn = [1, 2, 3].map((seed) => {
    const page = makePage(0, { seed });
    page[100]! ^= 1;
    return page;
  });
  const { verifier } = loaded([torn[0]!]);
  let reading = 0;
  const readAgain = (_: number, into: Uint8Array<ArrayBuffer>) => {
    into.set(torn[Math.min(++reading, 1)]!);
    return true;
  };
  assert.deepEqual(verifier.verify({ at: 0, count: 1, firstBlock: 0, readAgain }), []);
});

Deno.test("PageVerifier does not blame a page that is gone when it is read again", () => {
  const bad = makePage(0);
  bad[5000]! ^= 1;
  const { verifier, bytes } = loaded([bad]);
  const run = { at: 0, count: 1, firstBlock: 0, readAgain: () => false };
  assert.deepEqual(verifier.verify(run), []);
  assert.deepEqual(bytes.slice(0, PAGE), bad, "what was read stays");
});

Deno.test("PageVerifier knows new pages, and blames one that only pretends to be new", () => {
  const empty = new Uint8Array(PAGE);
  const { verifier } = loaded([empty, makePage(1), empty]);
  assert.deepEqual(verifier.verify({ at: 0, count: 3, firstBlock: 0, ...stable }), []);
  const pretender = new Uint8Array(PAGE);
  pretender[6000] = 1;
  const other = loaded([pretender]);
  const readAgain = (_: number, into: Uint8Array<ArrayBuffer>) => (into.set(pretender), true);
  const found = other.verifier.verify({ at: 0, count: 1, firstBlock: 7, readAgain });
  assert.deepEqual(found, [{ block: 7, lsn: 0n }]);
});

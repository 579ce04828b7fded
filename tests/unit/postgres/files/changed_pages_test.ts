import assert from "node:assert/strict";
import fc from "fast-check";
import { changedPages } from "../../../../src/postgres/files/changed_pages.ts";
import { joinPages, makePage, PAGE } from "../../../support/pages.ts";

const lsn = fc.bigInt({ min: 1n, max: 2n ** 64n - 1n });

Deno.test("changedPages() finds pages whose LSN is not before the position, as 64 bits compare", () => {
  fc.assert(
    fc.property(fc.array(lsn, { maxLength: 12 }), lsn, fc.boolean(), (lsns, other, among) => {
      const since = among && lsns.length > 0 ? lsns[0]! : other;
      const pages = joinPages(lsns.map((lsn, index) => makePage(index, { lsn })));
      const expected = lsns.flatMap((lsn, index) => lsn >= since ? [index] : []);
      assert.deepEqual(changedPages(pages, { since, pageBytes: PAGE }), expected);
    }),
    { numRuns: 200 },
  );
});

Deno.test("changedPages() takes new pages and impossible headers for changed", () => {
  const faults: readonly ((view: DataView) => void)[] = [
    (view) => view.setUint16(12, 23, true),
    (view) => view.setUint16(12, 4001, true),
    (view) => view.setUint16(14, PAGE + 1, true),
    (view) => view.setUint16(16, PAGE + 8, true),
    (view) => view.setUint16(18, PAGE + 5, true),
    (view) => view.setBigUint64(0, 0n),
  ];
  const pages = faults.map((spoil) => {
    const page = makePage(0);
    spoil(new DataView(page.buffer));
    return page;
  });
  const all = joinPages([...pages, new Uint8Array(PAGE), makePage(1)]);
  const found = changedPages(all, { since: 2n ** 63n, pageBytes: PAGE });
  assert.deepEqual(found, [0, 1, 2, 3, 4, 5, 6]);
});

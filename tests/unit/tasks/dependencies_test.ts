import assert from "node:assert/strict";
import { dependencies } from "../../tasks/dependencies.ts";
import { bill } from "../../tasks/release.ts";

/** What may be given on together with an MIT program, in a closed product, too. */
const ALLOWED = [
  ...["0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "MIT-0"],
  "Unlicense", // the public domain
];

Deno.test("every package in the executable has a licence that allows it", async () => {
  const packages = await dependencies();
  const names = packages.map(({ name }) => name);
  assert.ok(names.includes("@aws-sdk/client-s3") && names.includes("tslib"), names.join());
  assert.ok(!names.includes("fast-check"), "what only tests use is not in it");
  const others = packages.filter(({ licence }) => !ALLOWED.includes(licence));
  assert.deepEqual(others, []);
});

Deno.test("the list of what is in the executable names each package once, by its hash", async () => {
  const packages = await dependencies();
  const document = bill(packages);
  const components = document["components"] as { purl: string; hashes: { content: string }[] }[];
  assert.equal(new Set(components.map(({ purl }) => purl)).size, packages.length);
  assert.ok(components.every(({ hashes: [hash] }) => /^[0-9a-f]{128}$/.test(hash!.content)));
  assert.match(components[0]!.purl, /^pkg:npm\//);
});

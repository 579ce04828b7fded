import assert from "node:assert/strict";
import { serverDamage } from "../../../../src/postgres/replication/server_damage.ts";

Deno.test("serverDamage() reads the warnings of every version", () => {
  const warnings = [
    'checksum verification failed in file "./base/5/16384", block 3: calculated 7F9A but expected 1',
    'checksum verification failed in file "base/5/16384.1", block 9: calculated 7F9A but expected 1',
    'file "./base/5/16384" has a total of 7 checksum verification failures',
    "9 total checksum verification failures",
  ];
  assert.deepEqual(serverDamage(warnings), {
    count: 9,
    pages: [{ path: "base/5/16384", block: 3 }, { path: "base/5/16384.1", block: 9 }],
  });
  assert.equal(serverDamage(warnings.slice(0, 3)).count, 7);
});

Deno.test("serverDamage() counts one page when it understands nothing", () => {
  assert.deepEqual(serverDamage(["Prüfsummenüberprüfung fehlgeschlagen"]), { count: 1, pages: [] });
});

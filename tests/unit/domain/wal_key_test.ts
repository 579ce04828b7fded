import assert from "node:assert/strict";
import { parseWalName } from "../../../src/domain/wal.ts";
import { parseWalKey, timelineFolder, walKey } from "../../../src/domain/wal_key.ts";

const PLACE = { cluster: "main", systemIdentifier: "7345" };
const KEYS = [
  ["00000001000000A900000065", "main/7345/wal/00000001/000000A9/00000001000000A900000065.zst"],
  ["00000002.history", "main/7345/wal/00000002.history"],
  [
    "00000001000000A900000065.00000028.backup",
    "main/7345/wal/00000001000000A900000065.00000028.backup",
  ],
  ["00000001000000A900000065.partial", "main/7345/wal/00000001000000A900000065.partial.zst"],
] as const;
for (const [name, key] of KEYS) {
  Deno.test(`walKey() stores ${name} as ${key}`, () => {
    assert.equal(walKey(PLACE, parseWalName(name)!), key);
    assert.equal(parseWalKey(PLACE, key)?.name, name);
  });
}

Deno.test("parseWalKey() takes nothing that lies elsewhere", () => {
  const keys = [
    "main/7346/wal/00000002.history",
    "main/7345/wal/00000001000000A900000065.zst",
    "main/7345/wal/00000002/000000A9/00000001000000A900000065.zst",
    "main/7345/wal/00000001/000000A9/00000001000000A900000065",
    "main/7345/wal/00000002.history.zst",
    "main/repository.json",
  ];
  for (const key of keys) assert.equal(parseWalKey(PLACE, key), undefined, key);
});

Deno.test("timelineFolder() holds the segments of one timeline", () => {
  assert.equal(timelineFolder(PLACE, 0x1f), "main/7345/wal/0000001F/");
});

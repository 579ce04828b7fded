import assert from "node:assert/strict";
import { nearest } from "../../../src/domain/nearest.ts";

const commands = ["backup", "restore", "status", "test", "config", "version"];
const cases: readonly (readonly [string, string | undefined])[] = [
  ["bakcup", "backup"],
  ["bakup", "backup"],
  ["STATUS", "status"],
  ["restor", "restore"],
  ["tset", "test"],
  ["frobnicate", undefined],
  ["", undefined],
];
for (const [word, meant] of cases) {
  Deno.test(`nearest() takes "${word}" for ${meant ?? "nothing"}`, () => {
    assert.equal(nearest(word, commands), meant);
  });
}

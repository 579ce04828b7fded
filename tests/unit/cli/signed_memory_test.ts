import assert from "node:assert/strict";
import { signedMemory } from "../../../src/cli/signed_memory.ts";

const SYSTEM = "7345678901234567890";
const link = (sequence: number) => ({ id: "20261101T020000Z-L", sequence, sha256: "0".repeat(64) });

Deno.test("signedMemory() keeps the highest number, in files of mode 0600", async () => {
  const parent = await Deno.makeTempDir();
  const folder = `${parent}/state/signed`;
  const memory = signedMemory(folder);
  assert.equal(await memory.newest(SYSTEM), undefined);
  for (const number of [3, 5, 4]) await memory.remember(SYSTEM, link(number));
  assert.deepEqual(await signedMemory(folder).newest(SYSTEM), link(5));
  assert.equal(await memory.newest("7400000000000000001"), undefined);
  const entries = await Array.fromAsync(Deno.readDir(folder));
  assert.deepEqual(entries.map(({ name }) => name), [`${SYSTEM}.json`]);
  assert.equal((await Deno.stat(`${folder}/${SYSTEM}.json`)).mode! & 0o777, 0o600);
  assert.equal((await Deno.stat(folder)).mode! & 0o777, 0o700);
  await Deno.remove(parent, { recursive: true });
});

Deno.test("signedMemory() forgets what cannot be read or kept, and never fails", async () => {
  const folder = await Deno.makeTempDir();
  const memory = signedMemory(folder);
  for (const text of ["", "null", "[]", "{", '{"id":1}', JSON.stringify(link(1.5))]) {
    await Deno.writeTextFile(`${folder}/${SYSTEM}.json`, text);
    assert.equal(await memory.newest(SYSTEM), undefined, text);
  }
  await Deno.writeTextFile(`${folder}/file`, "");
  const nowhere = signedMemory(`${folder}/file/below`);
  await nowhere.remember(SYSTEM, link(1));
  assert.equal(await nowhere.newest(SYSTEM), undefined);
  await Deno.remove(folder, { recursive: true });
});

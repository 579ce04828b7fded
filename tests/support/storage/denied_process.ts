/** Tries what the folder's modes forbid; prints how each call ends. Argument: the root. */
import { StorageError } from "../../../src/domain/errors.ts";
import { DirectoryStore } from "../../../src/storage/directory.ts";

const store = new DirectoryStore(Deno.args[0] ?? "");
const calls = [
  () => store.get("a/b"),
  () => store.head("a/b"),
  () => store.put("a/c", new Uint8Array(1)),
  () => store.delete(["a/b"]),
  () => Array.fromAsync(store.list("")),
];
for (const call of calls) {
  const outcome = await call().then(() => "allowed", (error) => error);
  const line = outcome instanceof StorageError
    ? `${outcome.message} | ${outcome.hint}`
    : String(outcome);
  await Deno.stdout.write(new TextEncoder().encode(`${line}\n`));
}

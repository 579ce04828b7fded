/**
 * One of many processes that put into one folder. Arguments: root, key, name, condition.
 * Waits for a line on stdin, so that all start together; prints `won`, `lost` or the error.
 */
import { ObjectExistsError } from "../../../src/domain/errors.ts";
import { DirectoryStore } from "../../../src/storage/directory.ts";
import { content } from "../bodies.ts";

const [root = "", key = "", name = "", condition = ""] = Deno.args;
const store = new DirectoryStore(root);
const etag = condition === "ifMatch" ? (await store.head(key))?.etag : undefined;
await Deno.stdout.write(new TextEncoder().encode("ready\n"));
await Deno.stdin.read(new Uint8Array(10));
try {
  await store.put(key, content(2_000_000, Number(name)), {
    ...(condition === "ifAbsent" && { ifAbsent: true }),
    ...(etag !== undefined && { ifMatch: etag }),
    metadata: { name },
  });
  await Deno.stdout.write(new TextEncoder().encode("won\n"));
} catch (error) {
  const word = error instanceof ObjectExistsError ? "lost" : String(error);
  await Deno.stdout.write(new TextEncoder().encode(`${word}\n`));
}

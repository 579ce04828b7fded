import { MiB } from "../../src/domain/bytes.ts";
import { DirectoryStore } from "../../src/storage/directory.ts";
import { objectStoreContract } from "./object_store.ts";

objectStoreContract("DirectoryStore", async () => {
  const root = await Deno.makeTempDir({ prefix: "backupctl-directory-" });
  return {
    store: new DirectoryStore(root),
    dispose: () => Deno.remove(root, { recursive: true }),
  };
}, { bigBytes: 3 * MiB + 1, streamedBytes: 384 * MiB });

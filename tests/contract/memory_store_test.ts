import { MemoryStore } from "../../src/storage/memory.ts";
import { objectStoreContract } from "./object_store.ts";

objectStoreContract(
  "MemoryStore",
  () => Promise.resolve({ store: new MemoryStore(), dispose: () => Promise.resolve() }),
  { bigBytes: 1_000_003, streamedBytes: 0 },
);

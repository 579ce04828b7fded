/**
 * A removal in a process of its own. Its one argument is JSON, see {@link ProcessPlan}; it says
 * `removing` when its first backup goes, and ends with the exit status that the program would have.
 */
import type { LeaseTiming } from "../../../src/catalog/held_lease.ts";
import { exitStatus } from "../../../src/domain/errors.ts";
import { parseRetentionPolicy } from "../../../src/domain/retention_policy.ts";
import { PruneEngine } from "../../../src/engine/retention/prune_engine.ts";
import { DirectoryStore } from "../../../src/storage/directory.ts";
import type { ObjectStore } from "../../../src/storage/storage.ts";
import { storeWith } from "../wal_rig.ts";
import { pruneParts } from "./stored_world.ts";

/** What to do. */
export interface ProcessPlan {
  readonly folder: string;
  readonly cluster: string;
  readonly host: string;
  readonly policy: string;
  readonly timing: LeaseTiming;
}

/** Says when the first key goes. */
function telling(store: ObjectStore): ObjectStore {
  let told = false;
  return storeWith(store, {
    delete(keys, options) {
      if (!told && keys.some((key) => key.endsWith("/backup.json"))) {
        told = true;
        console.log("removing");
      }
      return store.delete(keys, options);
    },
  });
}

if (import.meta.main) {
  const plan: ProcessPlan = JSON.parse(Deno.args[0]!);
  const store = telling(new DirectoryStore(plan.folder));
  const parts = pruneParts(store, { ...plan, batchKeys: 1 });
  try {
    await new PruneEngine(parts).run({ policy: parseRetentionPolicy(plan.policy), force: true });
  } catch (error) {
    console.error(String(error));
    Deno.exit(exitStatus(error));
  }
}

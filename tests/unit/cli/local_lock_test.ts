import assert from "node:assert/strict";
import { lockLocally } from "../../../src/cli/local_lock.ts";
import { LeaseHeldError } from "../../../src/domain/errors.ts";

const PRUNE = { name: "prune", what: "removal from cluster main" } as const;

// Before Deno 2.8 the attempt that was refused ends when the lock is given back.
Deno.test({
  name: "lockLocally() names the process that has the lock, and gives it back",
  sanitizeOps: false,
  async fn() {
    const folder = await Deno.makeTempDir();
    const first = await lockLocally(folder, PRUNE);
    await assert.rejects(lockLocally(folder, PRUNE), (error) => {
      assert.ok(error instanceof LeaseHeldError, `${error}`);
      assert.ok(error.message.includes(`process ${Deno.pid}`), error.message);
      return true;
    });
    first[Symbol.dispose]();
    for (let turn = 0; turn < 3; turn++) {
      using _again = await lockLocally(folder, PRUNE);
    }
    await Deno.remove(folder, { recursive: true });
  },
});

Deno.test("lockLocally() locks nothing where no folder is known or can be made", async () => {
  using _none = await lockLocally(undefined, PRUNE);
  using _denied = await lockLocally("/proc/none", PRUNE);
});

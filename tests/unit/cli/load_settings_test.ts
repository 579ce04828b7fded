import assert from "node:assert/strict";
import { resolve } from "node:path";
import type { Context } from "../../../src/cli/context.ts";
import { loadSettings, openSession } from "../../../src/cli/session.ts";
import type { LoggedTask } from "../../../src/log/log.ts";
import { whileWaiting } from "../../support/while_waiting.ts";

for (const [given, expected] of [["keys/one.txt", resolve("keys/one.txt")], ["-", "-"]]) {
  Deno.test(`loadSettings() takes --identity ${given} from where it was typed`, async () => {
    const file = await Deno.makeTempFile();
    try {
      const context = { env: {}, options: { identity: given, config: file } };
      const { config } = await loadSettings(context as unknown as Context);
      assert.equal(config.encryption?.identity_file, expected);
    } finally {
      await Deno.remove(file);
    }
  });
}

for (const [task, waits] of [["backup", 1], ["prune", 1], ["restore", 0]] as const) {
  Deno.test(`openSession() for ${task} waits ${waits} times for a file of just now`, async () => {
    const file = await Deno.makeTempFile();
    const output = { isTerminal: false, color: false, write: () => {} };
    const context = {
      env: {},
      options: { config: file },
      terminal: { stderr: output },
      clock: { now: () => new Date(), monotonic: () => 0 },
    };
    try {
      await Deno.writeTextFile(file, "cluster: other\n");
      const opened = await whileWaiting(() => {}, async () => {
        await using session = await openSession(context as unknown as Context, task as LoggedTask);
        return session.loaded.config.cluster;
      });
      assert.deepEqual([opened.waits, opened.value], [waits, "other"]);
    } finally {
      await Deno.remove(file);
    }
  });
}

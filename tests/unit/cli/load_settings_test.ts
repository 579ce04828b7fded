import assert from "node:assert/strict";
import { resolve } from "node:path";
import type { Context } from "../../../src/cli/context.ts";
import { loadSettings } from "../../../src/cli/session.ts";

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

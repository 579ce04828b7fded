import assert from "node:assert/strict";
import type { Config } from "../../../src/config/config.ts";
import { stateFolder } from "../../../src/cli/open_parts.ts";

/** A relative one would be in the data directory. systemd.exec(5): several of StateDirectory= are written with colons between. */
const CASES: readonly (readonly [env: Record<string, string>, folder: string | undefined])[] = [
  [{ STATE_DIRECTORY: "/var/lib/one", HOME: "/root" }, "/var/lib/one/main"],
  [{ STATE_DIRECTORY: "/var/lib/one:/var/lib/two" }, "/var/lib/one/main"],
  [{ XDG_STATE_HOME: "/state", HOME: "/root" }, "/state/backupctl/main"],
  [{ HOME: "/root" }, "/root/.local/state/backupctl/main"],
  [{ XDG_STATE_HOME: "state", HOME: "/root" }, "/root/.local/state/backupctl/main"],
  [{ STATE_DIRECTORY: "state", HOME: "." }, undefined],
  [{}, undefined],
];

for (const [env, folder] of CASES) {
  Deno.test(`stateFolder() is ${folder} where ${JSON.stringify(env)} is all there is`, () => {
    assert.equal(stateFolder({ cluster: "main" } as Config, env), folder);
  });
}

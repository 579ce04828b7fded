import assert from "node:assert/strict";
import { toldReason } from "../../../src/log/told_reason.ts";

Deno.test({
  name: "toldReason() tells what the permission set denies without Deno's words",
  permissions: { read: ["/usr"], write: false, run: false },
  fn() {
    const cases = [
      [() => Deno.writeTextFileSync("/usr/x", ""), /^this executable never writes there \(docs/],
      [() => Deno.readTextFileSync("/etc/shadow"), /^this executable never reads it \(docs/],
      [() => new Deno.Command("true").outputSync(), /^this executable may not do that \(docs/],
      [() => Deno.readTextFileSync("/usr/none"), /^No such file or directory/],
    ] as const;
    for (const [act, expected] of cases) {
      try {
        act();
        assert.fail("it was allowed");
      } catch (error) {
        assert.match(toldReason(error), expected);
      }
    }
    assert.equal(toldReason("gone"), "gone");
  },
});

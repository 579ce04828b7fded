import assert from "node:assert/strict";
import { UsageError } from "../../../src/domain/errors.ts";
import { parseRetentionPolicy } from "../../../src/domain/retention_policy.ts";

Deno.test("parseRetentionPolicy() takes the words that people have in scripts", () => {
  assert.deepEqual(parseRetentionPolicy("monthly-retain=3,weekly-retain=4"), {
    counts: { weekly: 4, monthly: 3 },
    pitrWindow: undefined,
    minRedundancy: 1,
  });
  assert.deepEqual(parseRetentionPolicy("pitr-window=14d, min-redundancy=0"), {
    counts: {},
    pitrWindow: 14 * 86_400_000,
    minRedundancy: 1,
  });
});

const wrong: readonly (readonly [policy: string, message: RegExp, hint: RegExp])[] = [
  ["wekly-retain=4", /"wekly-retain=4" is no rule/, /did you mean weekly-retain\?/],
  ["weekly=4", /"weekly=4" is no rule/, /./],
  ["", /"" is no rule/, /the rules are last-retain/],
  ["last-retain", /last-retain has no value/, /last-retain=4/],
  ["pitr-window", /pitr-window has no value/, /pitr-window=14d/],
  ["last-retain=0", /last-retain=0 is not a whole number from 1/, /leave the rule out/],
  ["last-retain=-1", /last-retain=-1 is not a whole number/, /^$/],
  ["last-retain=3,last-retain=4", /last-retain stands twice/, /^$/],
  ["pitr-window=0d", /pitr-window=0d is not a time/, /^$/],
  ["pitr-window=two weeks", /is not a time such as/, /^$/],
  ["full-retain=999999", /is not a whole number from 1 to 99999/, /^$/],
];
for (const [policy, message, hint] of wrong) {
  Deno.test(`parseRetentionPolicy() refuses "${policy}"`, () => {
    assert.throws(() => parseRetentionPolicy(policy), (error) => {
      assert.ok(error instanceof UsageError);
      assert.match(error.message, message);
      assert.match(error.hint ?? "", hint);
      return true;
    });
  });
}

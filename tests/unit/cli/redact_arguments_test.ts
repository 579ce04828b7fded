import assert from "node:assert/strict";
import fc from "fast-check";
import { redactArguments } from "../../../src/cli/redact_arguments.ts";

const cases: readonly (readonly [args: readonly string[], text: string])[] = [
  [["backup", "full", "--label", "weekly"], "backupctl backup full --label weekly"],
  [["restore", "--destination", "/tmp/a b"], "backupctl restore --destination '/tmp/a b'"],
  [["x", "it's"], "backupctl x 'it'\\''s'"],
  [["x", ""], "backupctl x ''"],
  [["--into", "postgres://u:pw@db:5432/app"], "backupctl --into postgres://u:********@db:5432/app"],
  [["--into=postgres://u:p@ss@db/"], "backupctl --into=postgres://u:********@db/"],
  [
    ["--into", "postgres://u@db/?password=pw"],
    "backupctl --into 'postgres://u@db/?password=********'",
  ],
  [["host=db password='a b' user=u"], "backupctl 'host=db password=******** user=u'"],
  [["--label", "hunter2-canary"], "backupctl --label ********"],
  [["--file", "/run/secret"], "backupctl --file /run/secret"],
];

const env = {
  PG_PASSWORD: "hunter2-canary",
  AWS_SECRET_ACCESS_KEY: "hunter2",
  PG_PASSWORD_FILE: "/run/secret",
  SHORT_TOKEN: "full",
};

for (const [args, text] of cases) {
  Deno.test(`redactArguments() writes ${JSON.stringify(args.join(" "))} without secrets`, () => {
    assert.equal(redactArguments(args, env), text);
  });
}

Deno.test("redactArguments() lets no secret of the environment through", () => {
  const property = fc.property(
    fc.string({ minLength: 6, maxLength: 30 }).filter((text) => !text.includes("*")),
    fc.array(fc.string()),
    fc.nat(20),
    (secret, args, at) => {
      const typed = args.toSpliced(at, 0, `a${secret}b`);
      const text = redactArguments(typed, { PG_PASSWORD: secret });
      assert.ok(!text.replaceAll(`'\\''`, "'").includes(secret), text);
    },
  );
  fc.assert(property, { numRuns: 300 });
});

import assert from "node:assert/strict";
import { EXPLANATIONS } from "../../../src/cli/explanations.ts";
import { SAMPLE_CONFIG } from "../../../src/cli/sample_config.ts";
import { PROJECT_ROOT } from "../../support/paths.ts";
import { sourceFiles } from "../../support/source_files.ts";

Deno.test("explain knows every code that an error class carries", async () => {
  const files = await sourceFiles(PROJECT_ROOT, ["src"]);
  const codes = files.flatMap(({ text }) =>
    [...text.matchAll(/readonly code(?:: string)? = "([A-Z_]+)"/g)].map((match) => match[1]!)
  );
  assert.ok(codes.length >= 14);
  const known = new Set(EXPLANATIONS.map(({ code }) => code));
  assert.deepEqual(codes.filter((code) => !known.has(code)), []);
  assert.equal(known.size, EXPLANATIONS.length, "a code is explained twice");
});

Deno.test("explain gives the exit status that the class carries", async () => {
  const errors = await import("../../../src/domain/errors.ts");
  for (const Class of Object.values(errors)) {
    if (typeof Class !== "function" || !/^class /.test(String(Class))) continue;
    if (Class === errors.BackupctlError) continue;
    const error = new (Class as new (text: string) => InstanceType<typeof errors.UsageError>)("x");
    const found = EXPLANATIONS.find(({ code }) => code === error.code);
    assert.equal(found?.status, error.exitCode, error.code);
  }
});

Deno.test("docs/cli.md lists every code with its exit status", async () => {
  const text = await Deno.readTextFile(`${PROJECT_ROOT}docs/cli.md`);
  for (const { code, status } of EXPLANATIONS) {
    assert.match(text, new RegExp(`\\| ${status} +\\|[^\\n]*\`${code}\``), `${status} ${code}`);
  }
});

Deno.test("config init writes the same text as config/config.yaml", async () => {
  assert.equal(SAMPLE_CONFIG, await Deno.readTextFile(`${PROJECT_ROOT}config/config.yaml`));
});

import assert from "node:assert/strict";
import fc from "fast-check";
import { loadConfig } from "../../../src/config/config.ts";
import { ConfigError } from "../../../src/domain/errors.ts";
import { campaignSeed, reportCampaign, trials } from "../../support/campaign.ts";

const FILES = trials({ full: 20_000, usual: 1_000 });

const valid = await Deno.readTextFile(new URL("./full.yaml", import.meta.url));

/** Pieces that configuration files break with. */
const pieces = fc.oneof(
  fc.constantFrom(
    ..."\n|\t|  |: |- |{|}|[|]|,|\"|'|#|&a |*a|<<: *a|!!binary |!x |%YAML 1.1|---|...|? ||>-|\0|\x1b[2J|~|.inf|0x1F|1e999"
      .split("|"),
    "__proto__: 1\n",
    "constructor: {prototype: 1}\n",
    "toString: 1\n",
    "cluster: main\n",
    "encryption:\n",
    `${"[".repeat(2000)}`,
    `${"- ".repeat(2000)}`,
  ),
  fc.string({ maxLength: 8 }),
  fc.string({ unit: "binary", maxLength: 4 }),
);

type Mutation = readonly [kind: string, at: number, length: number, piece: string];
const mutations: fc.Arbitrary<readonly Mutation[]> = fc.array(
  fc.tuple(
    fc.constantFrom("insert", "delete", "replace", "double"),
    fc.nat(valid.length),
    fc.nat(40),
    pieces,
  ),
  { minLength: 1, maxLength: 4 },
);

function mutate(text: string, [kind, at, length, piece]: Mutation): string {
  const [before, middle, after] = [
    text.slice(0, at),
    text.slice(at, at + length),
    text.slice(at + length),
  ];
  if (kind === "insert") return before + piece + middle + after;
  if (kind === "delete") return before + after;
  if (kind === "double") return before + middle + middle + after;
  return before + piece + after;
}

Deno.test("loadConfig() answers any mutated file with settings or a ConfigError", async () => {
  const folder = await Deno.makeTempDir();
  const file = `${folder}/config.yaml`;
  await Deno.writeTextFile(file, valid);
  await Deno.chmod(file, 0o600);
  const seed = campaignSeed();
  const times: number[] = [];
  let refused = 0;
  await fc.assert(
    fc.asyncProperty(mutations, async (list) => {
      await Deno.writeTextFile(file, list.reduce(mutate, valid));
      const started = performance.now();
      const error = await loadConfig({ file, env: {} }).then(() => undefined, (reason) => reason);
      times.push(performance.now() - started);
      assert.ok(times.at(-1)! < 20_000, "that is too long for a file");
      if (error === undefined) return;
      refused += 1;
      assert.ok(error instanceof ConfigError, String(error?.stack));
      const lines = error.message.split("\n");
      for (const line of lines.slice(lines.length > 1 ? 1 : 0)) {
        assert.ok(line.includes(file), line);
      }
    }),
    { numRuns: FILES, seed: seed | 0 },
  );
  const runs = times.length;
  assert.ok(refused > runs / 10 && refused < runs, `${refused} of ${runs} were refused`);
  const slow = times.sort((a, b) => a - b)[Math.floor(runs * 0.99)]!;
  reportCampaign({
    ...{ what: "configuration files with mistakes", n: runs, seed },
    outcome: `${refused} refused with their places, ${runs - refused} still right; ` +
      `0 crashes; 99 of 100 within ${slow.toFixed(0)} ms`,
  });
  await Deno.remove(folder, { recursive: true });
});

const hostile: readonly (readonly [what: string, text: string])[] = [
  ["a file of 2 MiB", `cluster: ${"x".repeat(2 * 1024 * 1024)}`],
  ["groups 100,000 deep", "[".repeat(100_000)],
  ["keys 40 deep", Array.from({ length: 40 }, (_, i) => `${" ".repeat(i)}k:\n`).join("")],
  [
    "a bomb of aliases",
    [
      "a0: &a0 [x]",
      ...Array.from(
        { length: 9 },
        (_, i) => `a${i + 1}: &a${i + 1} [${Array(10).fill(`*a${i}`).join()}]`,
      ),
    ].join("\n"),
  ],
];
for (const [what, text] of hostile) {
  Deno.test(`loadConfig() refuses ${what} within seconds`, async () => {
    const file = await Deno.makeTempFile();
    await Deno.writeTextFile(file, text);
    const started = performance.now();
    await assert.rejects(loadConfig({ file, env: {} }), ConfigError);
    assert.ok(performance.now() - started < 20_000);
    await Deno.remove(file);
  });
}

Deno.test("loadConfig() answers any environment with settings or a ConfigError", async () => {
  const { VARIABLES } = await import("../../../src/config/environment_layer.ts");
  const names = fc.constantFrom(...VARIABLES.keys(), "PG_PORT", "S3_BUCKET", "AWS_REGION");
  await fc.assert(
    fc.asyncProperty(
      fc.dictionary(names, fc.oneof(fc.string(), pieces), { maxKeys: 4 }),
      async (env) => {
        const error = await loadConfig({ defaultFiles: [], env }).then(() => undefined, (e) => e);
        assert.ok(error === undefined || error instanceof ConfigError, String(error?.stack));
      },
    ),
    { numRuns: 300 },
  );
});

/**
 * `deno task faults [--count N] [--seed S] [FILE…]`: every fault campaign at the counts that the
 * project promises, or at most N trials of each, and a table of what came of them. Ends with 1 when
 * one of them failed; a failure prints its seed, and fast-check the smallest case.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { type CampaignFigures, FIGURES_MARK } from "../support/campaign.ts";
import { PROJECT_ROOT } from "../support/paths.ts";
import { sourceFiles } from "../support/source_files.ts";

/** The tests that know of a full count. */
async function campaigns(): Promise<string[]> {
  const tests = await sourceFiles(PROJECT_ROOT, ["tests"]);
  return tests
    .filter(({ path }) => path.endsWith("_test.ts"))
    .filter(({ text }) => /\btrials\(|\bFULL_FAULTS\b|"BACKUPCTL_FAULTS"/.test(text))
    .map(({ path }) => path);
}

function printTable(rows: readonly CampaignFigures[]): void {
  const width = Math.max(...rows.map(({ what }) => what.length), 8);
  console.log(`\n${"campaign".padEnd(width)}  ${"n".padStart(7)}  ${"seed".padStart(10)}  outcome`);
  for (const { what, n, seed, outcome } of rows) {
    const cells = [what.padEnd(width), String(n).padStart(7), String(seed).padStart(10), outcome];
    console.log(cells.join("  "));
  }
}

async function run(
  files: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<number> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["test", "--allow-all", "--no-check", ...files],
    cwd: PROJECT_ROOT,
    env: { ...env, NO_COLOR: "1" },
    ...{ stdin: "null", stdout: "piped", stderr: "inherit" },
  }).spawn();
  const rows: CampaignFigures[] = [];
  let rest = "";
  for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop()!;
    for (const line of lines) {
      const at = line.indexOf(FIGURES_MARK);
      if (at === -1) console.log(line);
      else rows.push(JSON.parse(line.slice(at + FIGURES_MARK.length)));
    }
  }
  if (rest !== "") console.log(rest);
  printTable(rows);
  console.log(`\nDeno ${Deno.version.deno}, ${Deno.build.target}`);
  return (await child.status).code;
}

const { values, positionals } = parseArgs({
  args: Deno.args,
  allowPositionals: true,
  options: { count: { type: "string" }, seed: { type: "string" } },
});
const files = positionals.length > 0 ? positionals : await campaigns();
const status = await run(files, {
  BACKUPCTL_FAULTS: values.count ?? "full",
  ...(values.seed !== undefined && { BACKUPCTL_FAULTS_SEED: values.seed }),
});
Deno.exit(status === 0 ? 0 : 1);

/**
 * `deno task test [FILE…] [deno test's flags]`: runs the suite, writes a JUnit report to
 * `.test/junit.xml` and ends with the line `N passed, N failed`.
 *
 * @module
 */
import { PROJECT_ROOT } from "../support/paths.ts";

const REPORT = `${PROJECT_ROOT}.test/junit.xml`;

/** What a JUnit report counts. */
export interface Figures {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

/** Sums the `<testsuite>` elements of a JUnit report. */
export function readFigures(xml: string): Figures {
  const count = (attribute: string) =>
    [...xml.matchAll(/<testsuite\s[^>]*>/g)]
      .map(([tag]) => Number(new RegExp(`\\b${attribute}="(\\d+)"`).exec(tag)?.[1] ?? 0))
      .reduce((total, value) => total + value, 0);
  const failed = count("failures") + count("errors");
  const skipped = count("disabled") + count("skipped");
  return { passed: count("tests") - failed - skipped, failed, skipped };
}

/** Runs `deno test` and returns its exit status; the report is absent when it could not start. */
async function runSuite(args: readonly string[]): Promise<number> {
  await Deno.mkdir(`${PROJECT_ROOT}.test`, { recursive: true });
  await Deno.remove(REPORT).catch(() => {});
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      "test",
      "--allow-all",
      "--preload=tests/support/seed.ts",
      `--junit-path=${REPORT}`,
      ...args,
    ],
    cwd: PROJECT_ROOT,
    stdin: "null",
  }).spawn();
  return (await child.status).code;
}

async function main(args: readonly string[]): Promise<number> {
  const code = await runSuite(args);
  const xml = await Deno.readTextFile(REPORT).catch(() => undefined);
  if (xml === undefined) {
    console.error("error: deno test wrote no report");
    return code || 1;
  }
  const { passed, failed, skipped } = readFigures(xml);
  if (skipped > 0) console.error(`NOTE: ${skipped} tests were skipped; their output says why`);
  console.log(`${passed} passed, ${failed} failed`);
  return code || (failed > 0 || passed === 0 ? 1 : 0);
}

if (import.meta.main) Deno.exit(await main(Deno.args));

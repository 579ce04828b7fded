/**
 * `deno task bench [--megabytes N] [--runs N] [NAME…]`: speed as ratios against a floor that runs
 * beside it, in turn, on one machine. Prints a table; never fails because something was slow.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { formatBytes } from "../../src/domain/bytes.ts";
import { makeServerFolder } from "../support/postgres_cluster.ts";
import { startShop } from "../support/shop_cluster.ts";
import { ensurePostgres } from "../tasks/ensure_postgres.ts";
import { BENCHES } from "./benches.ts";
import { type Bench, type BenchContext, measure, type Measurement } from "./measure.ts";

function printTable(rows: readonly Measurement[]): void {
  console.log(
    "\nname                       floor s    ours s   ratio   asked   ours MB/s   peak MB   stored",
  );
  for (const row of rows) {
    const [asked, met] = judge(row);
    console.log([
      row.bench.name.padEnd(25),
      row.floorSeconds.toFixed(2).padStart(8),
      row.ourSeconds.toFixed(2).padStart(9),
      row.ratio.toFixed(2).padStart(7),
      asked.padStart(7),
      (row.bytes / 1e6 / row.ourSeconds).toFixed(0).padStart(11),
      (row.peakBytes / 1e6).toFixed(0).padStart(9),
      row.storedBytes === undefined ? "" : formatBytes(row.storedBytes).padStart(10),
      met ? "" : "  not reached",
    ].join(" "));
  }
}

/** What was asked for, and whether it was reached. */
function judge({ bench: { asked }, ratio, ourSeconds }: Measurement): readonly [string, boolean] {
  const { least, most, seconds } = asked;
  if (seconds !== undefined) return [`<=${seconds}s`, ourSeconds <= seconds];
  if (most !== undefined) return [`<=${most}`, ratio <= most];
  return [`>=${least}`, ratio >= least!];
}

async function run(benches: readonly Bench[], megabytes: number, runs: number): Promise<void> {
  const { major } = await ensurePostgres((line) => console.log(line));
  const folder = await makeServerFolder("backupctl-bench-");
  try {
    console.log(
      `PostgreSQL ${major}, about ${megabytes} MB, ${navigator.hardwareConcurrency} cores`,
    );
    await using cluster = await startShop({ megabytes });
    const context: BenchContext = { cluster, folder, runs };
    const rows: Measurement[] = [];
    for (const bench of benches) {
      console.log(`  ${bench.name}: ${bench.what}`);
      rows.push(await measure(bench, context));
    }
    printTable(rows);
    console.log(`\nmedians of ${runs} pairs, floor and ours in turn; ratio of rates, or of times`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const { values, positionals } = parseArgs({
  args: Deno.args,
  allowPositionals: true,
  options: {
    megabytes: { type: "string", default: "2048" },
    runs: { type: "string", default: "3" },
  },
});
const chosen = BENCHES.filter(({ name }) => positionals.length === 0 || positionals.includes(name));
await run(chosen, Number(values.megabytes), Number(values.runs));

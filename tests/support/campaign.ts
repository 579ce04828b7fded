/**
 * How often fault campaigns try, where their chance comes from, and what they report. The suite runs
 * a few trials of each; `deno task faults` runs as many as the project promises.
 *
 * @module
 */

const ASKED = Deno.env.get("BACKUPCTL_FAULTS");
const SEED = Deno.env.get("BACKUPCTL_FAULTS_SEED") ?? Deno.env.get("BACKUPCTL_TEST_SEED");

/** Whether as many trials are run as the project promises. */
export const FULL_FAULTS = ASKED === "full";

/** How many trials: `full` by `deno task faults`, at most N of them with `--count N`. */
export function trials({ full, usual }: { readonly full: number; readonly usual: number }): number {
  if (FULL_FAULTS) return full;
  const count = Number(ASKED);
  return Number.isInteger(count) && count > 0 ? Math.min(count, full) : usual;
}

/** Another one for each run, unless `--seed` or BACKUPCTL_TEST_SEED names it. */
export function campaignSeed(): number {
  return SEED === undefined ? crypto.getRandomValues(new Uint32Array(1))[0]! : Number(SEED) >>> 0;
}

/** What a campaign showed. */
export interface CampaignFigures {
  /** What was tried. */
  readonly what: string;
  /** How often. */
  readonly n: number;
  readonly seed: number;
  /** What came of it, in words and counts. */
  readonly outcome: string;
}

/** The mark that `deno task faults` finds figures by. */
export const FIGURES_MARK = "FIGURES ";

/** Prints one line for the table of `deno task faults`. */
export function reportCampaign(figures: CampaignFigures): void {
  console.log(`${FIGURES_MARK}${JSON.stringify(figures)}`);
}

/** Labels that are none: refused before anything is done, in lines that harm no terminal. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { mapLimited } from "../../src/domain/map_limited.ts";
import { checkLabel } from "../../src/domain/label.ts";
import { campaignSeed, reportCampaign, trials } from "../support/campaign.ts";
import { runCli } from "../support/run_cli.ts";

const LABELS = trials({ full: 5_000, usual: 40 });
const USAGE = 2;
const UNREACHABLE = 5;

const LABEL = fc.oneof(
  fc.constantFrom(
    ...["", ".", "..", "../../etc/cron.d/x", "a/../../b", "/etc/passwd", "a\nb", "\r", "\x1b[2J"],
    ...[
      ";rm -rf /",
      "$(id)",
      "`id`",
      "a b",
      "é",
      "%2e%2e",
      "-",
      "--help",
      "\u202etxt",
      "'\"",
      "a,b",
    ],
    ...["x".repeat(64), "x".repeat(65), "x".repeat(100_000), "CON", "main", "backup.json"],
  ),
  fc.string({ unit: "binary", maxLength: 80 }),
  fc.string({ unit: "grapheme-ascii", maxLength: 12 }),
);

/** What an argument of a program can be. */
function isArgument(text: string): boolean {
  return !text.includes("\0") && text.isWellFormed();
}

function isLabel(text: string): boolean {
  try {
    checkLabel("label", text);
    return true;
  } catch {
    return false;
  }
}

Deno.test(`of ${LABELS} labels none reaches a path, a shell or a terminal`, async () => {
  const seed = campaignSeed();
  const labels = fc.sample(LABEL.filter(isArgument), { numRuns: LABELS, seed: seed | 0 });
  const folder = await Deno.makeTempDir();
  await Deno.mkdir(`${folder}/repository`, { mode: 0o700 });
  const env = {
    ...{ HOME: folder, BACKUPCTL_REPOSITORY_PATH: `${folder}/repository`, TMPDIR: folder },
    ...{ BACKUPCTL_METADATA_URL: "off", PG_HOST: "127.0.0.1", PG_PORT: "1", PG_USER: "nobody" },
  };
  let right = 0;
  const times: number[] = [];
  await mapLimited(labels, 2, async (label) => {
    const what = `seed ${seed}, label ${JSON.stringify(label.slice(0, 200))}`;
    const began = performance.now();
    const { status, stdout, stderr } = await runCli(["backup", "full", `--label=${label}`], {
      env,
    });
    times.push(performance.now() - began);
    // Right ones come as far as the server, which does not exist.
    assert.equal(status, isLabel(label) ? UNREACHABLE : USAGE, `${what}: ${stderr}`);
    assert.equal(stdout, "", what);
    // deno-lint-ignore no-control-regex
    assert.doesNotMatch(stderr, /[\0-\x09\x0b-\x1f\x7f-\x9f\u202e]|^\s+at /m, what);
    assert.ok(stderr.length < 4_000, `${what}: ${stderr.length} characters`);
    if (isLabel(label)) right += 1;
  });
  const left = Array.from(Deno.readDirSync(`${folder}/repository`), ({ name }) => name);
  assert.deepEqual(left, [], "nothing was stored");
  await Deno.remove(folder, { recursive: true });
  const slow = times.sort((a, b) => a - b)[Math.floor(LABELS * 0.99)]!;
  reportCampaign({
    ...{ what: "labels", n: LABELS, seed },
    outcome: `${LABELS - right} refused, ${right} right; 0 crashes, 0 files; ` +
      `99 of 100 within ${slow.toFixed(0)} ms`,
  });
});

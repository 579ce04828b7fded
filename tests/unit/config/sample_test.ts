import assert from "node:assert/strict";
import { loadConfig } from "../../../src/config/config.ts";
import { PROJECT_ROOT } from "../../support/paths.ts";

Deno.test("config/config.yaml leaves a new user's environment in charge", async () => {
  const env = { PG_HOST: "db", S3_BUCKET: "my-bucket" };
  const { config, tree } = await loadConfig({ file: `${PROJECT_ROOT}config/config.yaml`, env });
  assert.equal(config.postgres.host, "db");
  assert.equal(config.repository.type, "s3");
  assert.deepEqual(Object.keys(tree).toSorted(), [
    "postgres",
    "repository",
    "retention",
    "schedule",
  ]);
});

Deno.test("config/config.yaml carries the customary schedule", async () => {
  const { config } = await loadConfig({ file: `${PROJECT_ROOT}config/config.yaml`, env: {} });
  assert.deepEqual(config.schedule.map(({ cron, run }) => [cron, run]), [
    ["0 2 * * 0", "backup full --label weekly"],
    ["0 */6 * * *", "backup incremental"],
    ["0 3 * * 0", "prune"],
  ]);
});

Deno.test("config/config.yaml shows no key in its comments that does not exist", async () => {
  const text = await Deno.readTextFile(`${PROJECT_ROOT}config/config.yaml`);
  const sections = text.split("\n\n").filter((part) => /^# [a-z]+:/m.test(part));
  assert.ok(sections.length >= 6);
  for (const section of sections.flatMap(alternatives)) {
    const file = await Deno.makeTempFile();
    await Deno.writeTextFile(file, section);
    await assert.doesNotReject(loadConfig({ file, env: {} }).catch(ignorePlaces), section);
    await Deno.remove(file);
  }
});

/** The settings of a commented section, without its sentences; a section may show two ways. */
function alternatives(section: string): readonly string[] {
  const lines = section.split("\n").map((line) => line.replace(/^# ?/, ""));
  const ways: string[][] = [];
  for (const line of lines) {
    if (/^[a-z]+:/.test(line)) ways.push([]);
    if (/^( {2})?[a-z_]+:/.test(line)) ways.at(-1)?.push(line);
  }
  return ways.map((way) => way.join("\n"));
}

/** Files that are not here, and keys that are left open: somebody else's must not be given. */
function ignorePlaces(error: Error): void {
  const open = ["cannot be read", '"age1…"', '"MCowBQYDK2VwAyEA…"'];
  const others = error.message.split("\n")
    .filter((line) => !open.some((text) => line.includes(text)));
  if (others.some((line) => line.includes(": "))) throw error;
}

Deno.test("config/development.yaml takes the folder of the checkout that is exported", async () => {
  const { config } = await loadConfig({
    file: `${PROJECT_ROOT}config/development.yaml`,
    env: { BACKUPCTL_REPOSITORY_PATH: `${PROJECT_ROOT}.dev/repository` },
  });
  assert.deepEqual(
    [config.repository.type, config.repository.path],
    ["directory", `${PROJECT_ROOT}.dev/repository`],
  );
});

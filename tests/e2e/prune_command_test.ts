/** The commands of removal as people type them, over a folder. */
import assert from "node:assert/strict";
import { DirectoryStore } from "../../src/storage/directory.ts";
import { HistoryWorld } from "../support/retention/history_world.ts";
import {
  keysOf,
  pruneParts,
  shiftOf,
  storeBackup,
  storeWorld,
} from "../support/retention/stored_world.ts";
import { cleanEnvironment, failureOf, programWords, runCli } from "../support/run_cli.ts";

interface Place extends AsyncDisposable {
  readonly env: Record<string, string>;
  readonly store: DirectoryStore;
  readonly world: HistoryWorld;
}

/** Four daily full backups, an increment on the third, and a logical one. */
async function place(): Promise<Place> {
  const folder = await Deno.makeTempDir();
  await Deno.mkdir(`${folder}/repository`);
  const store = new DirectoryStore(`${folder}/repository`);
  const world = new HistoryWorld();
  for (let serial = 0; serial < 3; serial++) {
    world.play({ what: "full", segments: 1 });
    world.play({ what: "pass", hours: 24, segments: 2 });
  }
  world.play({ what: "increment", pick: 2, segments: 1 });
  world.play({ what: "logical" });
  world.play({ what: "pass", hours: 24, segments: 2 });
  world.play({ what: "full", segments: 1 });
  await storeWorld(world, store, "main");
  return {
    env: {
      BACKUPCTL_REPOSITORY_PATH: `${folder}/repository`,
      BACKUPCTL_METADATA_URL: "off",
      HOME: folder,
    },
    store,
    world,
    [Symbol.asyncDispose]: () => Deno.remove(folder, { recursive: true }),
  };
}

const FIRST = "20260101T000001Z-F";

Deno.test("prune says what goes and why, and removes just that", async () => {
  await using here = await place();
  const { env, store } = here;
  const before = await keysOf(store, "main");
  const policy = ["--policy", "last-retain=2"];
  const dry = await runCli(["prune", "--dry-run", ...policy, "--output", "json"], { env });
  assert.equal(dry.status, 0, dry.stderr);
  assert.deepEqual(await keysOf(store, "main"), before);
  const planned = JSON.parse(dry.stdout);
  assert.equal(planned.schema, "backupctl.prune/1");
  assert.deepEqual(planned.remove.map(({ id }: { id: string }) => id), [
    ...[FIRST, "20260101T000002Z-F"],
  ]);
  const done = await runCli(["prune", ...policy, "--output", "json"], { env });
  assert.equal(done.status, 0, done.stderr);
  assert.deepEqual({ ...JSON.parse(done.stdout), dry_run: true }, planned);
  const left = await keysOf(store, "main");
  assert.ok(left.length < before.length && !left.some((key) => key.includes(FIRST)));
  const again = await runCli(["expire", ...policy], { env });
  assert.match(again.stdout, /^removed nothing$/m);
  assert.match(again.stdout, /20260101T000003Z-F .*20260101T000004Z-I builds on it/);
});

Deno.test("prune without a policy removes nothing and says so", async () => {
  await using here = await place();
  const before = await keysOf(here.store, "main");
  const { status, stdout } = await runCli(["prune"], { env: here.env });
  assert.equal(status, 0);
  assert.match(stdout, /there is no retention policy, so nothing is removed/);
  assert.deepEqual(await keysOf(here.store, "main"), before);
});

Deno.test("prune takes the policy of the configuration", async () => {
  await using here = await place();
  const env = { ...here.env, BACKUPCTL_RETENTION: "last-retain=1" };
  const { status, stdout } = await runCli(["delete", "retain", "--yes"], { env });
  assert.equal(status, 0);
  assert.match(stdout, /^removed 4 backups and \d+ WAL segments/m);
});

Deno.test("prune ends with 11 while another host removes, and names it", async () => {
  await using here = await place();
  const { leases } = pruneParts(here.store, { cluster: "main", host: "db7" });
  await using _held = await leases.exclude({ what: "removal from cluster main" });
  const result = await runCli(["prune", "--policy", "last-retain=1"], { env: here.env });
  assert.equal(result.status, 11);
  assert.match(failureOf(result).error!, /removal from cluster main on host db7/);
});

Deno.test("prune writes nothing where there is no repository", async () => {
  const folder = await Deno.makeTempDir();
  const env = { BACKUPCTL_REPOSITORY_PATH: folder, HOME: folder, BACKUPCTL_METADATA_URL: "off" };
  const { status } = await runCli(["prune", "--policy", "last-retain=1"], { env });
  assert.equal(status, 10);
  await assert.rejects(Deno.lstat(`${folder}/main`), Deno.errors.NotFound);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("keep, annotate and delete look after single backups", async () => {
  await using here = await place();
  const { env, store } = here;
  const run = (...args: string[]) => runCli(args, { env });
  const kept = await run("keep", "--backup-id", FIRST, "--until", "90d");
  assert.match(kept.stdout, new RegExp(`^backup ${FIRST} is kept until 20`));
  const noted = await run("annotate", "--backup-id", FIRST, "ticket=OPS-42", "owner=ana");
  assert.match(noted.stdout, /owner=ana/);
  const refused = await run("delete", "--backup-id", FIRST, "--yes");
  assert.equal(refused.status, 1);
  assert.match(failureOf(refused).error!, /is kept on request/);
  const pruned = await run("prune", "--policy", "last-retain=1", "--output", "json");
  const reasons = JSON.parse(pruned.stdout).keep[0].reasons;
  assert.match(reasons[0], /^kept on request until/);
  assert.match((await run("keep", "--backup-id", FIRST, "--release")).stdout, /left to the ret/);
  const removed = await run("delete", "--backup-id", FIRST);
  assert.equal(removed.status, 0, removed.stderr);
  assert.match(removed.stdout, /^removed 1 backup, /m);
  assert.ok(!(await keysOf(store, "main")).some((key) => key.includes(FIRST)));
  const newest = await run("keep");
  assert.match(newest.stdout, /^backup 20260101T000006Z-F is kept\n/);
  assert.equal((await run("keep", "--backup-id", "20200101T000000Z-F")).status, 7);
});

/** Runs it on a terminal, and answers when it asks. */
async function onTerminal(
  args: readonly string[],
  { env, word, before = () => Promise.resolve() }: {
    readonly env: Readonly<Record<string, string>>;
    readonly word: string;
    /** Done while it waits for the answer. */
    readonly before?: () => Promise<void>;
  },
): Promise<{ readonly text: string; readonly code: number }> {
  const words = [...programWords(), ...args, "--no-color"];
  const line = words.map((text) => `'${text}'`).join(" ");
  const child = new Deno.Command("script", {
    args: ["-q", "-e", "-c", line, "/dev/null"],
    env: { ...cleanEnvironment(), ...env, TERM: "xterm" },
    clearEnv: true,
    stdin: "piped",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const writer = child.stdin.getWriter();
  let text = "";
  let asked = false;
  for await (const part of child.stdout.pipeThrough(new TextDecoderStream())) {
    text += part;
    if (asked || !text.includes("[y/N]")) continue;
    asked = true;
    await before();
    await writer.write(new TextEncoder().encode(`${word}\n`));
  }
  const { code } = await child.status;
  await writer.close().catch(() => {});
  return { text, code };
}

Deno.test("prune asks on a terminal, and no means no", async () => {
  await using here = await place();
  const before = await keysOf(here.store, "main");
  const { env } = here;
  const answer = (word: string) =>
    onTerminal(["prune", "--policy", "last-retain=2"], { env, word });
  const no = await answer("n");
  assert.match(no.text, /Remove 2 backups and \d+ WAL segments, .*\? \[y\/N\]/);
  assert.match(no.text, /nothing was removed/);
  assert.deepEqual(await keysOf(here.store, "main"), before);
  const yes = await answer("y");
  assert.equal(yes.code, 0, yes.text);
  assert.ok((await keysOf(here.store, "main")).length < before.length);
});

Deno.test("delete removes no more than was agreed to", async () => {
  await using here = await place();
  const { env, store, world } = here;
  const line = ["delete", "--backup-id", FIRST, "--force"];
  let then: readonly string[] = [];
  const before = async () => {
    world.play({ what: "increment", pick: 0, segments: 1 });
    const [system, backup] = [world.current, world.current.backups.at(-1)!];
    await storeBackup(backup, { system, store, cluster: "main", shift: shiftOf(world) });
    then = await keysOf(store, "main");
  };
  const late = await onTerminal(line, { env, word: "y", before });
  assert.match(late.text, /Remove 1 backup, .*\? \[y\/N\]/);
  assert.match(late.text, /has changed since the plan was shown; nothing is removed/);
  assert.equal(late.code, 1);
  assert.deepEqual(await keysOf(store, "main"), then);
  const again = await onTerminal(line, { env, word: "y" });
  assert.match(again.text, /Remove 2 backups, /);
  assert.equal(again.code, 0, again.text);
});

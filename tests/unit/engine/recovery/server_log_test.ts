import assert from "node:assert/strict";
import {
  graveLines,
  lastReplayedCommit,
  remedyOf,
  saysPaused,
  saysTooSmall,
  ServerLog,
} from "../../../../src/engine/recovery/server_log.ts";

const ENDED = `2026-11-23 05:27:04 UTC [1] LOG:  starting PostgreSQL 15.18
2026-11-23 05:27:04 UTC [7] FATAL:  the database system is starting up
2026-11-23 05:27:05 UTC [3] LOG:  last completed transaction was at log time 2026-11-23 05:26:59.1+00
2026-11-23 05:27:05 UTC [3] FATAL:  recovery ended before configured recovery target was reached
2026-11-23 05:27:05 UTC [1] LOG:  startup process (PID 3) exited with exit code 1
`;

Deno.test("graveLines() shows what ended the server, not who knocked too early", () => {
  assert.deepEqual(graveLines(ENDED), [
    "2026-11-23 05:27:05 UTC [3] FATAL:  recovery ended before configured recovery target was reached",
  ]);
});

Deno.test("graveLines() shows the last lines of a log in a language that it does not read", () => {
  const log = Array.from({ length: 20 }, (_, index) => `ВАЖНО: ${index}`).join("\n");
  assert.deepEqual([graveLines(log).length, graveLines(log).at(-1)], [8, "ВАЖНО: 19"]);
});

Deno.test("lastReplayedCommit() tells the newest one", () => {
  assert.equal(lastReplayedCommit(ENDED), "2026-11-23 05:26:59.1+00");
  assert.equal(lastReplayedCommit(""), undefined);
});

const remedies = [
  [ENDED, /--latest/],
  ["FATAL:  requested recovery stop point is before consistent recovery point", /--backup-id/],
  ["FATAL:  requested timeline 3 is not a child of this server's history", /--timeline/],
  ['FATAL:  could not restore file "0001" from archive: child process exited 255', /wal verify/],
  ['LOG:  could not bind IPv4 address "127.0.0.1": Address already in use', /another server/],
  ["FATAL:  recovery aborted because of insufficient parameter settings", /larger settings/],
  [
    "FATAL:  hot standby is not possible because max_connections = 5 is a lower setting than on the master server (its value was 20)",
    /larger settings/,
  ],
] as const;
for (const [log, hint] of remedies) {
  Deno.test(`remedyOf() knows what to do about "${log.trim().split("\n").at(-2) ?? log}"`, () => {
    assert.match(remedyOf(log) ?? "", hint);
  });
}

Deno.test("remedyOf() says nothing about what it does not know", () => {
  assert.equal(remedyOf("FATAL:  something new"), undefined);
});

Deno.test("a pause at the target is told from one that never ends", () => {
  const atTarget = "LOG:  pausing at the end of recovery\nHINT:  Execute pg_wal_replay_resume()";
  const stuck =
    "WARNING:  hot standby is not possible because of insufficient parameter settings\n" +
    "LOG:  recovery has paused\n";
  assert.deepEqual([saysPaused(atTarget), saysTooSmall(atTarget)], [true, false]);
  assert.deepEqual([saysPaused(stuck), saysTooSmall(stuck)], [true, true]);
});

Deno.test("ServerLog reads what came since, also where the logging collector puts it", async () => {
  const folder = await Deno.makeTempDir({ prefix: "backupctl-log-" });
  try {
    await Deno.mkdir(`${folder}/log`);
    await Deno.writeTextFile(`${folder}/start.log`, "old start\n");
    await Deno.writeTextFile(`${folder}/log/same.log`, "FATAL: of another life\n");
    await Deno.writeTextFile(`${folder}/current_logfiles`, "stderr log/same.log\n");
    const log = await ServerLog.open(folder, "start.log");
    assert.equal(await log.read(), ""); // what the backup says of its log is not believed
    await Deno.writeTextFile(`${folder}/start.log`, "new start\n", { append: true });
    assert.equal(await log.read(), "new start\n");
    await Deno.writeTextFile(`${folder}/current_logfiles`, "stderr log/same.log\n");
    await Deno.writeTextFile(`${folder}/log/same.log`, "collected\n", { append: true });
    assert.equal(await log.read(), "new start\ncollected\n");
    await Deno.writeTextFile(`${folder}/log/next.log`, "rotated\n");
    await Deno.writeTextFile(`${folder}/current_logfiles`, `stderr ${folder}/log/next.log\n`);
    assert.equal(await log.read(), "new start\nrotated\n");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

import assert from "node:assert/strict";
import { PostgresError, StorageError } from "../../../src/domain/errors.ts";
import { parseWalName } from "../../../src/domain/wal.ts";
import { walKey } from "../../../src/domain/wal_key.ts";
import {
  archivesHere,
  isArchivedElsewhere,
  isOwnCommand,
  readArchiving,
} from "../../../src/engine/archiving.ts";
import { chooseMethod } from "../../../src/engine/choose_method.ts";
import type { PostgresServer } from "../../../src/postgres/postgres.ts";
import { MemoryStore } from "../../../src/storage/memory.ts";
import { PLACE, walName } from "../../support/archives.ts";

const commands = [
  ["backupctl wal-push %p", true],
  ["/usr/local/bin/backupctl wal-push %p", true],
  ["'/opt/my tools/backupctl' --cluster main archive-push %p", true],
  ["backupctl backup incremental --label wal-archive", true],
  ['AWS_PROFILE=x /usr/bin/backupctl --config /etc/b.yaml wal-push "%p"', true],
  ["test ! -f /mnt/%f && cp %p /mnt/%f", false],
  ["wal-g wal-push %p", false],
  ["pgbackrest --stanza=main archive-push %p", false],
  ["backupctl backup full", false],
  ["mybackupctl wal-push %p", false],
  ["", false],
] as const;
for (const [command, expected] of commands) {
  Deno.test(`isOwnCommand() says ${expected} to ${JSON.stringify(command)}`, () => {
    assert.equal(isOwnCommand(command), expected);
  });
}

interface Facts {
  readonly mode?: string | undefined;
  readonly command?: string;
  readonly last?: string | null;
  readonly mayReplicate?: boolean;
  readonly senders?: string;
}

/** A server that answers what the choice asks. */
function serverOf(
  {
    mode = "on",
    command = "backupctl wal-push %p",
    last = walName(1, 7),
    mayReplicate = true,
    senders = "10",
  }: Facts,
): PostgresServer {
  const known = new Map(Object.entries({
    ...(mode !== "hidden" && { archive_mode: mode }),
    archive_command: command,
    max_wal_senders: senders,
  }));
  return {
    settings: (names: readonly string[]) =>
      Promise.resolve(new Map([...known].filter(([name]) => names.includes(name)))),
    query: (text: string) =>
      Promise.resolve([
        text.includes("pg_stat_archiver")
          ? { last_archived_wal: last, failed_count: "0" }
          : { name: "backup", may: mayReplicate },
      ]),
  } as unknown as PostgresServer;
}

async function archiveWith(...numbers: readonly number[]): Promise<MemoryStore> {
  const store = new MemoryStore();
  for (const number of numbers) {
    await store.put(walKey(PLACE, parseWalName(walName(1, number))!), new Uint8Array(1));
  }
  return store;
}

const choices: readonly (readonly [string, Facts, readonly number[], RegExp])[] = [
  ["physical when all holds", {}, [7], /^physical: the server archives its WAL into this/],
  [
    "physical by a wrapper whose segments are here",
    { command: "/opt/archive.sh %p" },
    [7],
    /^physical/,
  ],
  [
    "logical without archiving",
    { mode: "off" },
    [7],
    /need archive_mode = on \(it is off\) and archive_command/,
  ],
  ["logical when the role may not see it", { mode: "hidden" }, [7], /it is hidden from this role/],
  [
    "logical when somebody else archives",
    { command: "wal-g wal-push %p" },
    [6],
    /need archive_command = 'backupctl wal-push %p'$/,
  ],
  ["logical when nothing is archived yet", { last: null }, [], /select pg_switch_wal\(\)/],
  [
    "logical when the newest segment went elsewhere",
    {},
    [6],
    /its newest, 000000010000000000000007, is missing/,
  ],
  [
    "logical when the role may not replicate",
    { mayReplicate: false },
    [7],
    /alter role "backup" replication/,
  ],
  ["logical without walsenders", { senders: "0" }, [7], /max_wal_senders/],
];
for (const [what, facts, numbers, reason] of choices) {
  Deno.test(`chooseMethod() takes ${what}`, async () => {
    const store = await archiveWith(...numbers);
    const chosen = await chooseMethod(serverOf(facts), { store, place: PLACE });
    assert.match(chosen.reason, reason);
    assert.equal(chosen.method, /^physical/.test(what) ? "physical" : "logical");
  });
}

Deno.test("chooseMethod() warns where all is set up and nothing was archived yet, and only there", async () => {
  const store = await archiveWith(7);
  const warns = async (facts: Facts) =>
    (await chooseMethod(serverOf(facts), { store, place: PLACE })).warns;
  assert.equal(await warns({ last: null }), true);
  for (const facts of [{}, { mode: "off", last: null }, { mayReplicate: false }]) {
    assert.equal(await warns(facts), false);
  }
  assert.equal(await warns({ command: "wal-g wal-push %p", last: null }), false);
});

Deno.test("chooseMethod() takes logical when the role may not ask", async () => {
  const server = { settings: () => Promise.reject(new PostgresError("permission denied")) };
  const options = { store: await archiveWith(7), place: PLACE };
  const chosen = await chooseMethod(server as unknown as PostgresServer, options);
  assert.deepEqual([chosen.method, /permission denied/.test(chosen.reason)], ["logical", true]);
});

Deno.test("chooseMethod() fails when the store cannot be asked", async () => {
  const store = await archiveWith(7);
  store.head = () => Promise.reject(new StorageError("gone"));
  await assert.rejects(chooseMethod(serverOf({}), { store, place: PLACE }), StorageError);
});

const waits: readonly (readonly [string, Facts, readonly number[], boolean])[] = [
  ["for backupctl's command before anything is archived", { last: null }, [], true],
  ["for a wrapper whose segments are here", { command: "/opt/archive.sh" }, [7], true],
  ["not for another tool", { command: "wal-g wal-push %p" }, [], false],
  ["not without archiving", { mode: "off" }, [7], false],
];
for (const [what, facts, numbers, expected] of waits) {
  Deno.test(`archivesHere(): a backup waits ${what}`, async () => {
    const archiving = await readArchiving(serverOf(facts));
    const store = await archiveWith(...numbers);
    assert.equal(await archivesHere(store, archiving, { place: PLACE }), expected);
  });
}

const arrivals: readonly (readonly [string, string | null, readonly number[], boolean])[] = [
  ["here", walName(1, 7), [6, 7], false],
  ["missing, with a later one", walName(1, 7), [6, 8], false],
  ["missing, with earlier ones only", walName(1, 7), [5, 6], true],
  ["missing, with another timeline's only", walName(2, 7), [7, 8], true],
  ["missing with all others", walName(1, 7), [], true],
  ["a backup's file, with a later segment", `${walName(1, 7)}.00000028.backup`, [8], false],
  ["a backup's file, with its segment only", `${walName(1, 7)}.00000028.backup`, [7], true],
  ["a timeline's history, with its segments", "00000001.history", [3], false],
  ["a timeline's history, without segments", "00000002.history", [3], true],
  ["not there yet", null, [], false],
];
for (const [what, last, numbers, expected] of arrivals) {
  Deno.test(`isArchivedElsewhere() says ${expected} when the last archived is ${what}`, async () => {
    const archiving = await readArchiving(serverOf({ last }));
    const store = await archiveWith(...numbers);
    assert.equal(await isArchivedElsewhere(store, archiving, { place: PLACE }), expected);
  });
}

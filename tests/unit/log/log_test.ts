import assert from "node:assert/strict";
import fc from "fast-check";
import { type Log, type LogOptions, openLog } from "../../../src/log/log.ts";

const now = () => new Date("2026-11-23T02:24:15.123Z");

/** What a log with these options writes to the console while `use` runs. */
async function written(
  options: Partial<LogOptions>,
  use: (log: Log) => void,
): Promise<readonly string[]> {
  const lines: string[] = [];
  const log = await openLog({
    level: "INFO",
    format: "json",
    now,
    write: (line) => lines.push(line),
    ...options,
  });
  use(log);
  await log[Symbol.asyncDispose]();
  return lines;
}

Deno.test("openLog() writes one JSON object with the documented names for each event", async () => {
  const lines = await written(
    {},
    (log) =>
      log.info("backup.finished", "backup 20261123T022415Z-L finished", {
        backup_id: "20261123T022415Z-L",
        cluster: "main",
        size_bytes: 1024,
        duration_seconds: 2.5,
      }),
  );
  assert.equal(lines.length, 1);
  assert.deepEqual(JSON.parse(lines[0]!), {
    timestamp: "2026-11-23T02:24:15.123Z",
    level: "INFO",
    message: "backup 20261123T022415Z-L finished",
    event: "backup.finished",
    backup_id: "20261123T022415Z-L",
    cluster: "main",
    size_bytes: 1024,
    duration_seconds: 2.5,
  });
});

Deno.test("openLog() names the four severities DEBUG, INFO, WARNING and ERROR", async () => {
  const lines = await written({ level: "DEBUG" }, (log) => {
    log.debug("backup.note", "a");
    log.info("backup.note", "b");
    log.warning("backup.note", "c");
    log.error("backup.failed", "d", { error: { code: "X", message: "m", hint: "h" } });
  });
  assert.deepEqual(lines.map((line) => JSON.parse(line).level), [
    "DEBUG",
    "INFO",
    "WARNING",
    "ERROR",
  ]);
  assert.deepEqual(JSON.parse(lines[3]!).error, { code: "X", message: "m", hint: "h" });
});

Deno.test("openLog() leaves out what is below the level", async () => {
  const lines = await written({ level: "WARNING" }, (log) => {
    log.info("backup.note", "quiet");
    log.warning("backup.note", "loud");
  });
  assert.deepEqual(lines.map((line) => JSON.parse(line).message), ["loud"]);
});

Deno.test("openLog() writes text for people with the time in UTC", async () => {
  const lines = await written({ format: "text" }, (log) => log.warning("backup.note", "disk low"));
  assert.deepEqual(lines, ["2026-11-23 02:24:15Z WARNING disk low\n"]);
});

Deno.test("openLog() keeps placeholders in a message as they are", async () => {
  const lines = await written({}, (log) => log.info("backup.note", "label {event} {x}"));
  assert.equal(JSON.parse(lines[0]!).message, "label {event} {x}");
});

/** Text in which every third character moves a cursor, ends a line or turns the writing round. */
const hostileText = fc.string({
  maxLength: 60,
  unit: fc.oneof(
    fc.constantFrom(
      "\u0000",
      "\n",
      "\r",
      "\u001b",
      "\u007f",
      "\u009b",
      "\u2028",
      "\u202e",
      "{",
      "}",
    ),
    fc.string({ unit: "binary", minLength: 1, maxLength: 1 }),
    fc.string({ minLength: 1, maxLength: 1 }),
  ),
});

for (const format of ["json", "text"] as const) {
  Deno.test(`openLog() makes exactly one printable ${format} line of any message`, async () => {
    const lines: string[] = [];
    const log = await openLog({ level: "INFO", format, now, write: (line) => lines.push(line) });
    fc.assert(fc.property(hostileText, (message) => {
      lines.length = 0;
      log.info("backup.note", message, { label: message });
      assert.equal(lines.length, 1);
      // deno-lint-ignore no-control-regex -- control characters are what it is about
      assert.doesNotMatch(lines[0]!.slice(0, -1), /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202e]/);
      assert.ok(lines[0]!.endsWith("\n"));
      if (format === "json") assert.equal(JSON.parse(lines[0]!).message, message);
    }));
    await log[Symbol.asyncDispose]();
  });
}

Deno.test("openLog() also writes JSON lines to a file that only its owner can read", async () => {
  const folder = await Deno.makeTempDir();
  const file = `${folder}/backupctl.log`;
  const old = Deno.umask(0);
  try {
    await written({ file, format: "text" }, (log) => log.info("backup.note", "kept"));
  } finally {
    Deno.umask(old);
  }
  const text = await Deno.readTextFile(file);
  assert.equal(JSON.parse(text).message, "kept");
  assert.equal((await Deno.stat(file)).mode! & 0o777, 0o600);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("openLog() rotates the file at its size and keeps every line", async () => {
  const folder = await Deno.makeTempDir();
  const file = `${folder}/backupctl.log`;
  await written({ file, fileBytes: 300 }, (log) => {
    for (let line = 0; line < 6; line++) log.info("backup.note", `line ${line}`);
  });
  const names: string[] = [];
  let text = "";
  for await (const { name } of Deno.readDir(folder)) {
    names.push(name);
    text += await Deno.readTextFile(`${folder}/${name}`);
  }
  assert.ok(names.length > 1, names.join());
  for (let line = 0; line < 6; line++) assert.match(text, new RegExp(`line ${line}`));
  await Deno.remove(folder, { recursive: true });
});

for (
  const [what, path] of [
    ["a full disk", "/dev/full"],
    ["a folder that is missing", "/nonexistent/folder/backupctl.log"],
  ] as const
) {
  Deno.test(`openLog() goes on after ${what} and says so once`, async () => {
    const lines = await written({ file: path }, (log) => {
      log.info("backup.note", "one");
      log.info("backup.note", "two");
    });
    const events = lines.map((line) => JSON.parse(line).event);
    assert.deepEqual(events.toSorted(), ["backup.note", "backup.note", "log.file_failed"]);
  });
}

Deno.test("openLog() survives a console that throws", async () => {
  const lines = await written(
    {
      write: () => {
        throw new Error("EPIPE");
      },
    },
    (log) => log.error("backup.failed", "nobody hears this"),
  );
  assert.deepEqual(lines, []);
});

Deno.test("openLog() survives fields that JSON cannot hold", async () => {
  const circular: Record<string, unknown> = {};
  circular["self"] = circular;
  const lines = await written({}, (log) => {
    log.info("backup.note", "circle", { circular });
    log.info("backup.note", "big", { lsn: 2n ** 60n });
  });
  assert.deepEqual(lines.map((line) => JSON.parse(line).message), ["big"]);
});

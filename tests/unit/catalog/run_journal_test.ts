import assert from "node:assert/strict";
import { RunJournal } from "../../../src/catalog/run_journal.ts";
import type { AuditEvent } from "../../../src/catalog/audit_event.ts";
import type { StorageSample } from "../../../src/catalog/storage_sample.ts";
import type { RunRecord } from "../../../src/catalog/run_record.ts";

function run(number: number, changes: Partial<RunRecord> = {}): RunRecord {
  return {
    runId: `00000000-0000-4000-8000-${String(number).padStart(12, "0")}`,
    cluster: "main",
    operation: "backup full",
    outcome: "failed",
    startedAt: "2026-11-23T02:24:15.120Z",
    finishedAt: "2026-11-23T02:25:03.004Z",
    durationSeconds: 1.5,
    backupId: null,
    rawBytes: null,
    storedBytes: null,
    error: { code: "STORAGE_REFUSED", message: "line\nline", hint: null },
    host: null,
    toolVersion: "0.1.0",
    ...changes,
  };
}

/** Remembers what it is given; fails when it is told to. */
class Sink {
  readonly runs: RunRecord[] = [];
  failAt = Infinity;

  recordRun(record: RunRecord): Promise<void> {
    if (this.runs.length >= this.failAt) return Promise.reject(new Error("the server is down"));
    this.runs.push(record);
    return Promise.resolve();
  }

  readonly others: unknown[] = [];

  recordAudit(event: AuditEvent): Promise<void> {
    return Promise.resolve(void this.others.push(event));
  }

  recordStorage(sample: StorageSample): Promise<void> {
    return Promise.resolve(void this.others.push(sample));
  }
}

const event: AuditEvent = {
  eventId: "00000000-0000-4000-8000-00000000000a",
  cluster: "main",
  at: "2026-11-23T02:25:03.004Z",
  operation: "restore",
  command: "backupctl restore --destination '/tmp/a b'",
  outcome: "failed",
  exitStatus: 9,
  errorCode: "DESTINATION",
  osUser: "postgres",
  pgRole: null,
  host: "db1",
  toolVersion: "0.1.0",
};

const sample: StorageSample = {
  cluster: "main",
  at: "2026-11-23T02:25:03.004Z",
  uses: [{ kind: "wal", count: 2, rawBytes: null, storedBytes: 700 }],
};

async function withFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const parent = await Deno.makeTempDir();
  try {
    await work(`${parent}/state`);
  } finally {
    await Deno.remove(parent, { recursive: true });
  }
}

Deno.test("RunJournal keeps what the sink did not take and delivers it later, in order", async () => {
  await withFolder(async (folder) => {
    const journal = new RunJournal(folder);
    const sink = new Sink();
    sink.failAt = 0;
    const refused = await journal.record(run(1), sink);
    assert.equal(refused.recorded, false);
    assert.match(String(refused.reason), /down/);
    assert.deepEqual(await journal.record(run(2), undefined), {
      recorded: false,
      reason: undefined,
    });
    assert.deepEqual(await new RunJournal(folder).pending(), [run(1), run(2)]);
    sink.failAt = Infinity;
    assert.deepEqual(await journal.record(run(3), sink), { recorded: true });
    assert.deepEqual(sink.runs, [run(1), run(2), run(3)]);
    assert.deepEqual(await journal.pending(), []);
  });
});

Deno.test("reconcile() keeps everything when the sink fails half-way, and repeats", async () => {
  await withFolder(async (folder) => {
    const journal = new RunJournal(folder);
    for (const number of [1, 2, 3]) await journal.append(run(number));
    const sink = new Sink();
    sink.failAt = 2;
    await assert.rejects(journal.reconcile(sink), /down/);
    await journal.append(run(4));
    assert.deepEqual(await journal.pending(), [1, 2, 3, 4].map((number) => run(number)));
    const second = new Sink();
    assert.deepEqual(await journal.reconcile(second), { delivered: 4, unreadable: 0 });
    assert.deepEqual(second.runs, [1, 2, 3, 4].map((number) => run(number)));
  });
});

Deno.test("RunJournal loses only the line that a crash cut short", async () => {
  await withFolder(async (folder) => {
    const journal = new RunJournal(folder);
    await journal.append(run(1));
    const path = `${folder}/runs.jsonl`;
    await Deno.writeTextFile(path, JSON.stringify(run(2)).slice(0, 40), { append: true });
    await journal.append(run(3));
    const sink = new Sink();
    assert.deepEqual(await journal.reconcile(sink), { delivered: 2, unreadable: 1 });
    assert.deepEqual(sink.runs, [run(1), run(3)]);
  });
});

Deno.test("RunJournal loses nothing when many write while others deliver", async () => {
  await withFolder(async (folder) => {
    const sink = new Sink();
    const numbers = Array.from({ length: 60 }, (_, index) => index);
    await Promise.all(numbers.map(async (number) => {
      const journal = new RunJournal(folder);
      if (number % 6 === 5) await journal.reconcile(sink).catch(() => {});
      await journal.append(run(number));
    }));
    await new RunJournal(folder).reconcile(sink);
    const ids = new Set(sink.runs.map(({ runId }) => runId));
    assert.deepEqual(ids, new Set(numbers.map((number) => run(number).runId)));
  });
});

Deno.test("RunJournal waits for whoever has its lock", async () => {
  await withFolder(async (folder) => {
    const journal = new RunJournal(folder);
    await journal.append(run(1));
    using lock = await Deno.open(`${folder}/runs.lock`, { write: true });
    await lock.lock(true);
    const ended: string[] = [];
    const appended = journal.append(run(2)).then(() => ended.push("append"));
    const reconciled = journal.reconcile(new Sink()).then(() => ended.push("reconcile"));
    await new RunJournal(`${folder}/elsewhere`).append(run(3));
    assert.deepEqual(ended, []);
    assert.deepEqual(await journal.pending(), [run(1)]);
    await lock.unlock();
    await Promise.all([appended, reconciled]);
  });
});

Deno.test("RunJournal writes files that only their owner may read", async () => {
  await withFolder(async (folder) => {
    await new RunJournal(folder).append(run(1));
    assert.equal((await Deno.stat(folder)).mode! & 0o777, 0o700);
    for await (const { name } of Deno.readDir(folder)) {
      assert.equal((await Deno.stat(`${folder}/${name}`)).mode! & 0o777, 0o600, name);
    }
  });
});

Deno.test("RunJournal has nothing to say about a folder that is not there", async () => {
  await withFolder(async (folder) => {
    const journal = new RunJournal(folder);
    assert.deepEqual(await journal.pending(), []);
    assert.deepEqual(await journal.reconcile(new Sink()), { delivered: 0, unreadable: 0 });
  });
});

Deno.test("RunJournal keeps audit events and samples beside the runs", async () => {
  await withFolder(async (folder) => {
    const journal = new RunJournal(folder);
    await journal.recordEntry({ type: "audit", event }, undefined);
    await journal.append(run(1));
    await journal.recordEntry({ type: "storage", sample }, undefined);
    assert.deepEqual(await journal.pending(), [run(1)]);
    assert.deepEqual((await journal.pendingEntries()).map(({ type }) => type), [
      "audit",
      "run",
      "storage",
    ]);
    const sink = new Sink();
    assert.deepEqual(await journal.recordEntry({ type: "audit", event }, sink), { recorded: true });
    assert.deepEqual(sink.runs, [run(1)]);
    assert.deepEqual(sink.others, [event, sample, event]);
  });
});

Deno.test("RunJournal takes half an event for none", async () => {
  await withFolder(async (folder) => {
    await new RunJournal(folder).append(run(1));
    const { command: _, ...half } = event;
    const lines = [{ audit: half }, { audit: 1 }, { storage: {} }, [], null, { other: event }];
    const text = lines.map((line) => `${JSON.stringify(line)}\n`).join("");
    await Deno.writeTextFile(`${folder}/runs.jsonl`, text, { append: true });
    assert.deepEqual(await new RunJournal(folder).reconcile(new Sink()), {
      delivered: 1,
      unreadable: 6,
    });
  });
});

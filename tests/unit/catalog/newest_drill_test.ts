import assert from "node:assert/strict";
import { recordCheck } from "../../../src/catalog/checks.ts";
import { newestDrill } from "../../../src/catalog/catalog.ts";
import { MemoryStore } from "../../../src/storage/memory.ts";

const PLACE = { cluster: "main", systemIdentifier: "7345678901234567890" };

Deno.test("newestDrill() tells the recovery time of the newest one that succeeded", async () => {
  const store = new MemoryStore();
  assert.equal(await newestDrill(store, PLACE), undefined);
  const drills = [
    ["20261123T020000Z-F", "2026-11-23T05:00:00.123Z", "ok", 60],
    ["20261122T020000Z-F", "2026-11-23T06:00:00.000Z", "ok", 77.5],
    ["20261121T020000Z-F", "2026-11-23T07:00:00.000Z", "failed", null],
  ] as const;
  for (const [subject, at, outcome, recoverySeconds] of drills) {
    await recordCheck(store, {
      ...{ ...PLACE, kind: "drilled", subject, outcome, finishedAt: new Date(at) },
      details: { recoverySeconds },
    });
  }
  assert.deepEqual(await newestDrill(store, PLACE), {
    at: new Date("2026-11-23T06:00:00.000Z"),
    backupId: "20261122T020000Z-F",
    recoverySeconds: 77.5,
  });
});

Deno.test("newestDrill() knows when, where an object tells no seconds", async () => {
  const store = new MemoryStore();
  await recordCheck(store, {
    ...{ ...PLACE, kind: "drilled", subject: "20261122T020000Z-F", outcome: "ok" },
    ...{ finishedAt: new Date("2026-11-23T06:00:00Z"), details: { recoverySeconds: "soon" } },
  });
  const drill = await newestDrill(store, PLACE);
  assert.deepEqual([drill?.backupId, drill?.recoverySeconds], ["20261122T020000Z-F", undefined]);
});

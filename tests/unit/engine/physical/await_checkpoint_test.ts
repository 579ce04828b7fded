import assert from "node:assert/strict";
import { silentProgress } from "../../../../src/domain/progress.ts";
import { awaitCheckpoint } from "../../../../src/engine/physical/await_checkpoint.ts";

Deno.test("awaitCheckpoint() names --fast-checkpoint when a spread one takes its time", async () => {
  const told = Promise.withResolvers<string>();
  // The checkpoint is over when the note is there: without it this would never end.
  const begun = await awaitCheckpoint(() => told.promise, {
    ...silentProgress,
    note: told.resolve,
  }, { fast: false, patience: 1 });
  assert.match(begun, /^still waiting for PostgreSQL's checkpoint.*--fast-checkpoint/);
});

Deno.test("awaitCheckpoint() says nothing of one that is quick or was asked to be", async () => {
  const notes: string[] = [];
  const progress = { ...silentProgress, note: (text: string) => void notes.push(text) };
  await awaitCheckpoint(() => Promise.resolve(), progress, { fast: false, patience: 60_000 });
  const pause = () => new Promise((resolve) => setTimeout(resolve, 5));
  await awaitCheckpoint(pause, progress, { fast: true, patience: 0 });
  const failure = new Error("refused");
  const refused = awaitCheckpoint(() => Promise.reject(failure), progress, { fast: false });
  await assert.rejects(refused, failure);
  assert.deepEqual(notes, []);
});

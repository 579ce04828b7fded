import assert from "node:assert/strict";
import fc from "fast-check";
import type { Channel } from "../../../src/service/alerts/channels/channel.ts";
import { DeliveryError } from "../../../src/service/alerts/delivery_error.ts";
import type { Message } from "../../../src/service/alerts/notice.ts";
import { DurableFolder } from "../../../src/service/alerts/queue/durable_folder.ts";
import { DiskFolder } from "../../../src/service/alerts/queue/folder_files.ts";
import { MessageQueue } from "../../../src/service/alerts/queue/message_queue.ts";
import { campaignSeed, FULL_FAULTS, reportCampaign, trials } from "../../support/campaign.ts";
import { CrashingFolder, PowerFailure } from "../../support/alerts/crashing_folder.ts";
import { FakeClock } from "../../support/alerts/fake_clock.ts";
import { aMessage } from "../../support/alerts/messages.ts";

const DAY = 86_400_000;

/** A channel that remembers what it was sent and fails when it is told to. */
class FakeChannel implements Channel {
  readonly target = "nowhere";
  readonly sent: string[] = [];
  attempts = 0;
  failure: (message: Message) => DeliveryError | undefined = () => undefined;

  constructor(readonly name: string) {}

  send(message: Message): Promise<void> {
    this.attempts++;
    const error = this.failure(message);
    if (error) return Promise.reject(error);
    this.sent.push(message.id);
    return Promise.resolve();
  }
}

function rig(limit?: number) {
  const clock = new FakeClock();
  const files = new CrashingFolder();
  const folder = new DurableFolder(files, { now: () => clock.now() });
  const now = () => clock.now();
  const queue = () => new MessageQueue(folder, { now, ...(limit !== undefined && { limit }) });
  const message = (id: string) => aMessage({ id, createdAt: clock.now().toISOString() });
  return { clock, files, queue, message };
}

const down = () => new DeliveryError("down");
const refused = () => new DeliveryError("refused", { refused: true });

Deno.test("MessageQueue sends what waits, oldest first, to every channel, once", async () => {
  const { clock, queue, message } = rig();
  const channels = [new FakeChannel("a"), new FakeChannel("b")];
  for (const id of ["1", "2", "3"]) {
    await queue().add(message(id), ["a", "b"]);
    clock.advance(1);
  }
  const report = await queue().deliver(channels);
  await queue().deliver(channels);
  assert.deepEqual(channels.map(({ sent }) => sent), [["1", "2", "3"], ["1", "2", "3"]]);
  assert.equal(report.waiting, 0);
  assert.equal(report.deliveries.length, 6);
});

Deno.test("MessageQueue does not let a channel that is down hold up the others", async () => {
  const { clock, queue, message } = rig();
  const [up, broken] = [new FakeChannel("up"), new FakeChannel("broken")];
  broken.failure = down;
  for (const id of ["1", "2", "3"]) {
    await queue().add(message(id), ["up", "broken"]);
    clock.advance(1);
  }
  const report = await queue().deliver([up, broken]);
  assert.deepEqual(up.sent, ["1", "2", "3"]);
  assert.equal(broken.attempts, 1, "one message tells that it is down");
  assert.equal(report.waiting, 3);
  clock.advance(10_000);
  broken.failure = () => undefined;
  await queue().deliver([up, broken]);
  assert.deepEqual(broken.sent, ["1", "2", "3"]);
  assert.deepEqual(up.sent, ["1", "2", "3"]);
});

Deno.test("MessageQueue does not let a message that is refused hold up those behind it", async () => {
  const { clock, queue, message } = rig();
  const channel = new FakeChannel("a");
  channel.failure = ({ id }) => id === "1" ? refused() : undefined;
  for (const id of ["1", "2", "3"]) {
    await queue().add(message(id), ["a"]);
    clock.advance(1);
  }
  await queue().deliver([channel]);
  assert.deepEqual(channel.sent, ["2", "3"]);
  clock.advance(10);
  await queue().add(message("4"), ["a"]);
  await queue().deliver([channel]);
  assert.deepEqual(channel.sent, ["2", "3", "4"]);
});

Deno.test("MessageQueue waits longer after each failure, an hour at most", async () => {
  const { clock, queue, message } = rig();
  const channel = new FakeChannel("a");
  channel.failure = down;
  await queue().add(message("1"), ["a"]);
  const waits: number[] = [];
  for (let round = 0; round < 12; round++) {
    const { nextAt } = await queue().deliver([channel]);
    waits.push(nextAt!.getTime() - clock.now().getTime());
    clock.advance(waits.at(-1)! - 1);
    await queue().deliver([channel]);
    assert.equal(channel.attempts, round + 1, "tried before its time");
    clock.advance(1);
  }
  assert.ok(waits[0]! <= 1_000 && waits[1]! <= 4_000 && waits[2]! <= 16_000);
  assert.ok(waits.every((wait, index) => index === 0 || wait >= waits[index - 1]! * 0.8));
  assert.ok(Math.max(...waits) <= 3_600_000);
  assert.ok(waits.at(-1)! >= 0.8 * 3_600_000);
});

Deno.test("MessageQueue waits as long as a receiver asks", async () => {
  const { clock, queue, message } = rig();
  const channel = new FakeChannel("a");
  channel.failure = () => new DeliveryError("slow down", { retryAfterMs: 120_000 });
  await queue().add(message("1"), ["a"]);
  const { nextAt } = await queue().deliver([channel]);
  assert.equal(nextAt!.getTime() - clock.now().getTime(), 120_000);
});

Deno.test("MessageQueue goes on when the clock is set back", async () => {
  const { clock, queue, message } = rig();
  const channel = new FakeChannel("a");
  channel.failure = down;
  await queue().add(message("1"), ["a"]);
  await queue().deliver([channel]);
  clock.advance(-400 * DAY);
  channel.failure = () => undefined;
  await queue().deliver([channel]);
  assert.deepEqual(channel.sent, ["1"]);
});

Deno.test("MessageQueue gives nothing up because the clock jumps ahead", async () => {
  const { clock, queue, message } = rig();
  const channel = new FakeChannel("a");
  channel.failure = down;
  await queue().add(message("1"), ["a"]);
  await queue().deliver([channel]);
  clock.advance(4_000 * DAY);
  assert.equal((await queue().deliver([channel])).waiting, 1);
});

Deno.test("MessageQueue gives a message up after days and many tries, and counts it", async () => {
  const { clock, queue, message } = rig();
  const channel = new FakeChannel("a");
  channel.failure = down;
  await queue().add(message("1"), ["a"]);
  let dropped = 0;
  let hours = 0;
  for (; dropped === 0 && hours < 1_000; hours++) {
    dropped = (await queue().deliver([channel])).dropped;
    clock.advance(3_600_000);
  }
  assert.equal(dropped, 1);
  assert.ok(hours > 72, `${hours} hours`);
  assert.equal((await queue().deliver([channel])).waiting, 0);
});

Deno.test("MessageQueue keeps so many messages at most, the newest", async () => {
  const { clock, queue, message } = rig(5);
  let dropped = 0;
  for (let id = 0; id < 12; id++) {
    dropped += await queue().add(message(String(id)), ["a"]);
    clock.advance(1);
  }
  assert.equal(dropped, 7);
  const ids = (await queue().waiting()).map(({ id }) => id);
  assert.deepEqual(ids, ["7", "8", "9", "10", "11"]);
});

Deno.test("MessageQueue forgets channels that are configured no more", async () => {
  const { queue, message } = rig();
  await queue().add(message("1"), ["gone"]);
  const report = await queue().deliver([new FakeChannel("a")]);
  assert.equal(report.waiting, 0);
});

Deno.test("MessageQueue reports a channel that throws what it should not", async () => {
  const { queue, message } = rig();
  const channel = new FakeChannel("a");
  channel.send = () => Promise.reject(new TypeError("https://secret.example/canary"));
  await queue().add(message("1"), ["a"]);
  const [{ error } = { error: undefined }] = (await queue().deliver([channel])).deliveries;
  assert.ok(error instanceof DeliveryError);
  assert.doesNotMatch(error.message, /canary/);
});

Deno.test("MessageQueue counts nothing against a channel when it is told to stop", async () => {
  const { queue, message } = rig();
  const controller = new AbortController();
  const channel = new FakeChannel("a");
  channel.send = () => {
    controller.abort();
    return Promise.reject(new DeliveryError("stopped"));
  };
  await queue().add(message("1"), ["a"]);
  const report = await queue().deliver([channel], { signal: controller.signal });
  assert.equal(report.deliveries.length, 0);
  const calm = new FakeChannel("a");
  await queue().deliver([calm]);
  assert.deepEqual(calm.sent, ["1"]);
});

Deno.test("MessageQueue removes a file that is no message", async () => {
  const folder = await Deno.makeTempDir();
  await Deno.writeTextFile(`${folder}/message-000-x.json`, "{");
  const now = () => new Date();
  const queue = new MessageQueue(new DurableFolder(new DiskFolder(folder), { now }), { now });
  assert.equal((await queue.deliver([])).waiting, 0);
  assert.deepEqual(
    (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name).filter((name) =>
      !name.endsWith(".lock")
    ),
    [],
  );
  await Deno.remove(folder, { recursive: true });
});

Deno.test("MessageQueue keeps its files to this user", async () => {
  const base = await Deno.makeTempDir();
  const folder = `${base}/state/alerts`;
  const now = () => new Date();
  const queue = new MessageQueue(new DurableFolder(new DiskFolder(folder), { now }), { now });
  await queue.add(aMessage(), ["a"]);
  for await (const { name } of Deno.readDir(folder)) {
    assert.equal((await Deno.stat(`${folder}/${name}`)).mode! & 0o077, 0, name);
  }
  assert.equal((await Deno.stat(folder)).mode! & 0o077, 0);
  await Deno.remove(base, { recursive: true });
});

Deno.test("two MessageQueues of one folder send each message once", async () => {
  const folder = await Deno.makeTempDir();
  const now = () => new Date();
  const open = () => new MessageQueue(new DurableFolder(new DiskFolder(folder), { now }), { now });
  const channel = new FakeChannel("a");
  for (let id = 0; id < 20; id++) await open().add(aMessage({ id: `id${id}` }), ["a"]);
  await Promise.all([open(), open(), open()].map((queue) => queue.deliver([channel])));
  assert.equal(channel.sent.length, 20);
  assert.equal(new Set(channel.sent).size, 20);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("MessageQueue loses nothing that was accepted, wherever the power fails", async () => {
  const step = fc.oneof(
    { weight: 3, arbitrary: fc.record({ kind: fc.constant("add" as const) }) },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant("deliver" as const) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("down" as const), on: fc.boolean() }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("wait" as const) }) },
  );
  const plan = fc.record({
    steps: fc.array(step, { minLength: 1, maxLength: 14 }),
    crashes: fc.array(fc.nat(60), { maxLength: 3 }),
    seed: fc.nat(),
  });
  const seed = campaignSeed() % 2 ** 31;
  const n = trials({ full: 20_000, usual: 1_000 });
  await fc.assert(
    fc.asyncProperty(plan, async ({ steps, crashes, seed }) => {
      const { clock, files, queue, message } = rig();
      const channels = [new FakeChannel("a"), new FakeChannel("b")];
      const accepted: string[] = [];
      let bits = seed | 1;
      const keeps = () => ((bits = (bits * 1_103_515_245 + 12_345) & 0x7fffffff) & 64) !== 0;
      const left = [...crashes];
      const arm = () => left.length > 0 && files.failAfter(left.shift()!, keeps);
      arm();
      for (const [index, next] of steps.entries()) {
        clock.advance(1);
        try {
          if (next.kind === "add") {
            await queue().add(message(`m${index}`), ["a", "b"]);
            accepted.push(`m${index}`);
          } else if (next.kind === "deliver") await queue().deliver(channels);
          else if (next.kind === "wait") clock.advance(30_000);
          else channels[0]!.failure = next.on ? down : () => undefined;
        } catch (error) {
          if (!(error instanceof PowerFailure)) throw error;
          files.restart();
          arm();
        }
      }
      files.restart();
      channels[0]!.failure = () => undefined;
      clock.advance(DAY);
      assert.equal((await queue().deliver(channels)).waiting, 0);
      for (const { name, sent } of channels) {
        assert.deepEqual(accepted.filter((id) => !sent.includes(id)), [], `lost on ${name}`);
      }
    }),
    { numRuns: n, seed },
  );
  const outcome = "nothing that was accepted was lost";
  if (FULL_FAULTS) reportCampaign({ what: "the queue, the power failing", n, seed, outcome });
});

Deno.test("MessageQueue survives the power failing at each single operation in turn", async () => {
  for (const keeps of [() => true, () => false]) {
    for (let at = 0;; at++) {
      const { clock, files, queue, message } = rig();
      const channel = new FakeChannel("a");
      const accepted: string[] = [];
      files.failAfter(at, keeps);
      let crashed = false;
      try {
        for (const id of ["1", "2"]) {
          await queue().add(message(id), ["a"]);
          accepted.push(id);
          clock.advance(1);
        }
        await queue().deliver([channel]);
      } catch (error) {
        assert.ok(error instanceof PowerFailure);
        crashed = true;
      }
      files.restart();
      await queue().deliver([channel]);
      assert.deepEqual(accepted.filter((id) => !channel.sent.includes(id)), [], `at ${at}`);
      if (!crashed) break;
    }
  }
});

import assert from "node:assert/strict";
import fc from "fast-check";
import { DeliveryError } from "../../../src/service/alerts/delivery_error.ts";
import type { Finding } from "../../../src/service/alerts/notice.ts";
import { DiskFolder } from "../../../src/service/alerts/queue/folder_files.ts";
import { isQuietTime } from "../../../src/service/alerts/quiet_times.ts";
import { alertRig } from "../../support/alerts/alert_rig.ts";
import { campaignSeed, FULL_FAULTS, reportCampaign, trials } from "../../support/campaign.ts";
import { PowerFailure } from "../../support/alerts/crashing_folder.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

function aFinding(subject = "x", finding: Partial<Finding> = {}): Finding {
  return {
    rule: "disk_low",
    subject,
    severity: "critical",
    title: `${subject} is low`,
    ...finding,
  };
}

const everything = () => true;

/** Looks and delivers at once, as a tick of the daemon does. */
async function tick(rig: ReturnType<typeof alertRig>, ...findings: readonly Finding[]) {
  const manager = rig.open();
  await manager.look({ findings, covers: everything });
  await manager.deliver();
}

const told = ({ channel }: ReturnType<typeof alertRig>) =>
  channel.notices.map(({ event, subject }) => `${event} ${subject}`);

Deno.test("AlertManager tells once of what begins, across restarts", async () => {
  const rig = alertRig();
  for (let round = 0; round < 5; round++) {
    await tick(rig, aFinding());
    rig.clock.advance(MINUTE);
  }
  assert.deepEqual(told(rig), ["firing x"]);
});

Deno.test("AlertManager tells again after the time that is configured", async () => {
  const rig = alertRig();
  for (let hour = 0; hour < 50; hour++) {
    await tick(rig, aFinding());
    rig.clock.advance(HOUR);
  }
  assert.deepEqual(told(rig), ["firing x", "repeat x", "repeat x"]);
});

Deno.test("AlertManager tells of the end when it has been gone for a while", async () => {
  const rig = alertRig();
  await tick(rig, aFinding());
  for (let minute = 0; minute < 8; minute++) {
    rig.clock.advance(MINUTE);
    await tick(rig);
  }
  assert.deepEqual(told(rig), ["firing x", "resolved x"]);
});

Deno.test("AlertManager tells of what comes and goes once", async () => {
  const rig = alertRig();
  for (let round = 0; round < 40; round++) {
    await tick(rig, ...(round % 3 === 0 ? [aFinding()] : []));
    rig.clock.advance(MINUTE);
  }
  assert.deepEqual(told(rig), ["firing x"]);
});

Deno.test("AlertManager tells at once of what becomes critical", async () => {
  const rig = alertRig();
  await tick(rig, aFinding("x", { severity: "warning" }));
  rig.clock.advance(MINUTE);
  await tick(rig, aFinding());
  rig.clock.advance(MINUTE);
  await tick(rig, aFinding("x", { severity: "warning" }));
  assert.deepEqual(
    rig.channel.notices.map(({ event, severity }) => `${event} ${severity}`),
    ["firing warning", "firing critical"],
  );
});

Deno.test("AlertManager joins what begins together in one message, the critical first", async () => {
  const rig = alertRig();
  await tick(rig, aFinding("old"));
  rig.clock.advance(MINUTE);
  await tick(
    rig,
    aFinding("old"),
    aFinding("a", { severity: "warning" }),
    aFinding("b"),
    aFinding("c"),
  );
  const [, second] = rig.channel.messages;
  assert.deepEqual(second!.notices.map(({ subject }) => subject), ["b", "c", "a"]);
  assert.equal(second!.stillOpen, 1);
});

Deno.test("AlertManager waits for a second look where one may be wrong", async () => {
  const rig = alertRig();
  const gap = aFinding("g", { rule: "wal_gap" });
  await tick(rig, gap);
  await tick(rig);
  await tick(rig, gap);
  assert.deepEqual(told(rig), []);
  assert.deepEqual(await rig.open().openAlerts(), []);
  await tick(rig, gap);
  assert.deepEqual(told(rig), ["firing g"]);
  assert.equal((await rig.open().openAlerts()).length, 1);
});

Deno.test("AlertManager leaves what a look cannot tell as it is", async () => {
  const rig = alertRig();
  await tick(rig, aFinding());
  for (let hour = 0; hour < 5; hour++) {
    rig.clock.advance(HOUR);
    await rig.open().look({ findings: [], covers: () => false });
  }
  await rig.open().deliver();
  assert.deepEqual(told(rig), ["firing x"]);
  assert.equal((await rig.open().openAlerts()).length, 1);
});

Deno.test("AlertManager ends an alert at once when a run has succeeded", async () => {
  const rig = alertRig();
  await tick(rig, aFinding());
  await rig.open().look({ findings: [], covers: everything, definite: true });
  await rig.open().deliver();
  assert.deepEqual(told(rig), ["firing x", "resolved x"]);
});

Deno.test("AlertManager holds what can wait back in quiet times, and tells it after them", async () => {
  let quiet = true;
  const rig = alertRig({ isQuiet: () => quiet });
  const warning = aFinding("w", { severity: "warning" });
  await tick(rig, warning, aFinding("c"));
  assert.deepEqual(told(rig), ["firing c"]);
  rig.clock.advance(HOUR);
  await tick(rig, warning, aFinding("c"));
  quiet = false;
  rig.clock.advance(HOUR);
  await tick(rig, warning, aFinding("c"));
  assert.deepEqual(told(rig), ["firing c", "firing w"]);
});

Deno.test("AlertManager never tells of what began and ended in quiet times", async () => {
  let quiet = true;
  const rig = alertRig({ isQuiet: () => quiet });
  await tick(rig, aFinding("w", { severity: "warning" }));
  rig.clock.advance(HOUR);
  await tick(rig);
  quiet = false;
  await tick(rig);
  assert.deepEqual(told(rig), []);
});

Deno.test("AlertManager goes on when the clock is set back or ahead", async () => {
  const rig = alertRig();
  await tick(rig, aFinding());
  rig.clock.advance(-400 * 24 * HOUR);
  await tick(rig, aFinding());
  assert.deepEqual(told(rig), ["firing x", "repeat x"]);
  rig.clock.advance(4_000 * 24 * HOUR);
  await tick(rig, aFinding());
  assert.deepEqual(told(rig), ["firing x", "repeat x", "repeat x"]);
});

Deno.test("AlertManager owns up to messages that were given up", async () => {
  const rig = alertRig({}, 3);
  rig.channel.failure = () => new DeliveryError("down");
  for (let index = 0; index < 8; index++) {
    await tick(rig, ...Array.from({ length: index + 1 }, (_, at) => aFinding(`s${at}`)));
    rig.clock.advance(MINUTE);
  }
  rig.channel.failure = () => undefined;
  rig.clock.advance(HOUR);
  await rig.open().deliver();
  assert.equal(rig.channel.messages.length, 3);
  await tick(rig, aFinding("one more"));
  const owned = rig.channel.messages.reduce((sum, { dropped }) => sum + dropped, 0);
  assert.equal(owned, 5);
});

Deno.test("AlertManager sends at once when the disk takes nothing more", async () => {
  const rig = alertRig();
  await tick(rig, aFinding("first"));
  rig.files.write = () => Promise.reject(new Error("No space left on device"));
  await assert.rejects(rig.open().look({ findings: [aFinding("full")], covers: () => false }));
  assert.deepEqual(told(rig), ["firing first", "firing full"]);
});

Deno.test("AlertManager begins anew when its state cannot be read", async () => {
  const rig = alertRig();
  await tick(rig, aFinding());
  await rig.files.write("alerts.json", "{");
  await tick(rig, aFinding());
  assert.deepEqual(told(rig), ["firing x", "firing x"]);
});

Deno.test("AlertManager leaves messages to the process that is sending", async () => {
  const folder = await Deno.makeTempDir();
  const rig = alertRig();
  const files = new DiskFolder(folder);
  const manager = rig.open(files);
  await manager.look({ findings: [aFinding()], covers: everything });
  const sending = Promise.withResolvers<void>();
  const held = Promise.withResolvers<void>();
  const other = files.locked("delivery.lock", async () => {
    held.resolve();
    await sending.promise;
  });
  await held.promise;
  const report = await manager.deliverWithin(200);
  assert.deepEqual([report.deliveries.length, report.waiting], [0, 1]);
  sending.resolve();
  await other;
  assert.equal((await manager.deliverWithin(5_000)).waiting, 0);
  assert.deepEqual(told(rig), ["firing x"]);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("AlertManager tests each channel and tells how it took it", async () => {
  const rig = alertRig();
  const results = await rig.open().test([rig.channel]);
  assert.deepEqual(results.map(({ channel, error }) => [channel, error]), [["a", undefined]]);
  assert.equal(rig.channel.messages[0]!.test, true);
  rig.channel.failure = () => new DeliveryError("no");
  assert.equal((await rig.open().test([rig.channel]))[0]!.error?.message, "no");
});

Deno.test("AlertManager tells of each beginning at least once, wherever the power fails", async () => {
  const look = fc.record({
    found: fc.subarray(["a", "b", "c"]),
    minutes: fc.integer({ min: 1, max: 20 }),
  });
  const plan = fc.record({
    looks: fc.array(look, { minLength: 1, maxLength: 10 }),
    crashes: fc.array(fc.nat(50), { maxLength: 3 }),
    seed: fc.nat(),
  });
  const seed = campaignSeed() % 2 ** 31;
  const n = trials({ full: 10_000, usual: 500 });
  await fc.assert(
    fc.asyncProperty(plan, async ({ looks, crashes, seed }) => {
      const rig = alertRig();
      let bits = seed | 1;
      const keeps = () => ((bits = (bits * 1_103_515_245 + 12_345) & 0x7fffffff) & 64) !== 0;
      const left = [...crashes];
      const arm = () => left.length > 0 && rig.files.failAfter(left.shift()!, keeps);
      arm();
      const attempt = async (findings: readonly Finding[]) => {
        for (let tries = 0; tries < 10; tries++) {
          try {
            return await tick(rig, ...findings);
          } catch (error) {
            if (!(error instanceof PowerFailure)) throw error;
            rig.files.restart();
            arm();
          }
        }
      };
      const begun = new Set<string>();
      for (const { found, minutes } of looks) {
        rig.clock.advance(minutes * MINUTE);
        await attempt(found.map((subject) => aFinding(subject)));
        for (const subject of found) begun.add(subject);
      }
      rig.clock.advance(HOUR);
      await attempt([]);
      rig.clock.advance(HOUR);
      await attempt([]);
      const { notices } = rig.channel;
      for (const subject of begun) {
        const own = notices.filter((notice) => notice.subject === subject);
        assert.equal(own[0]?.event, "firing", `${subject} was never told`);
        assert.equal(own.at(-1)?.event, "resolved", `${subject} never ended`);
      }
      if (crashes.length > 0) return;
      // Without a crash nothing is told twice in a row.
      for (const subject of begun) {
        const events = notices.filter((one) => one.subject === subject).map(({ event }) => event);
        assert.ok(events.every((event, at) => event !== events[at - 1]), events.join(" "));
      }
    }),
    { numRuns: n, seed },
  );
  const outcome = "each beginning and each end was told";
  if (FULL_FAULTS) reportCampaign({ what: "alerts, the power failing", n, seed, outcome });
});

const QUIET = [
  { at: "2026-11-23T22:00:00Z", quiet: true },
  { at: "2026-11-23T21:59:00Z", quiet: false },
  { at: "2026-11-24T06:59:00Z", quiet: true },
  { at: "2026-11-24T07:00:00Z", quiet: false },
];
for (const { at, quiet } of QUIET) {
  Deno.test(`22:00 to 07:00 is ${quiet ? "" : "not "}quiet at ${at}`, () => {
    const times = [{ from: 22 * 60, to: 7 * 60 }];
    assert.equal(isQuietTime(times, new Date(at)), quiet);
  });
}

Deno.test("quiet times go by the clocks on the walls of their zone, also when those change", () => {
  const times = [{ from: 22 * 60, to: 7 * 60, timezone: "Europe/Berlin" }];
  assert.equal(isQuietTime(times, new Date("2026-07-01T20:30:00Z")), true);
  assert.equal(isQuietTime(times, new Date("2026-01-01T20:30:00Z")), false);
  assert.equal(isQuietTime(times, new Date("2026-03-29T05:30:00Z")), false, "after the change");
});

Deno.test("quiet times of some days begin on those days, and end on the next", () => {
  const times = [{ from: 22 * 60, to: 7 * 60, days: [6] }];
  assert.equal(isQuietTime(times, new Date("2026-11-21T23:00:00Z")), true, "Saturday");
  assert.equal(isQuietTime(times, new Date("2026-11-22T06:00:00Z")), true, "Sunday morning");
  assert.equal(isQuietTime(times, new Date("2026-11-22T23:00:00Z")), false, "Sunday");
  assert.equal(isQuietTime(times, new Date("2026-11-21T06:00:00Z")), false, "Saturday morning");
});

Deno.test("quiet times that begin where they end last a day", () => {
  assert.equal(
    isQuietTime([{ from: 60, to: 60, days: [1] }], new Date("2026-11-23T12:00:00Z")),
    true,
  );
  assert.equal(isQuietTime([], new Date("2026-11-23T12:00:00Z")), false);
});

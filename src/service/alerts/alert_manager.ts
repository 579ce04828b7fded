import { createHash } from "node:crypto";
import type { Clock } from "../../domain/clock.ts";
import { pause } from "../../domain/pause.ts";
import { formatState, type OpenAlert, parseState } from "./alert_state.ts";
import type { Channel } from "./channels/channel.ts";
import { decide, type Look, type TellingRules } from "./decide.ts";
import { DeliveryError } from "./delivery_error.ts";
import type { Message, Notice } from "./notice.ts";
import type { DurableFolder } from "./queue/durable_folder.ts";
import { type DeliveryReport, MessageQueue } from "./queue/message_queue.ts";

/** What an {@link AlertManager} works with. */
export interface AlertManagerOptions {
  readonly cluster: string;
  readonly host: string | null;
  /** Where alerts and messages are kept, shared by every process of this cluster's user. */
  readonly folder: DurableFolder;
  readonly clock: Clock;
  readonly channels: readonly Channel[];
  readonly telling: TellingRules;
  /** Messages that may wait. @default {1000} */
  readonly queueLimit?: number;
}

/** How one channel took a test message. */
export interface ChannelTest {
  readonly channel: string;
  /** Without what is secret in it. */
  readonly target: string;
  readonly error: DeliveryError | undefined;
}

const STATE = "alerts.json";
const LOCK = "alerts";

/**
 * Turns what looks find into messages, and sees to it that they arrive. Several processes may
 * share one folder: the daemon, and commands that cron runs.
 */
export class AlertManager {
  readonly #options: AlertManagerOptions;
  readonly #queue: MessageQueue;

  /** Contacts nobody and touches nothing yet. */
  constructor(options: AlertManagerOptions) {
    this.#options = options;
    const { folder, clock, queueLimit } = options;
    this.#queue = new MessageQueue(folder, {
      now: () => clock.now(),
      ...(queueLimit !== undefined && { limit: queueLimit }),
    });
  }

  /**
   * Takes in what a look has found; what people must hear of is queued, durable when it returns.
   *
   * @returns what is to be told.
   */
  async look(
    look: Omit<Look, "now">,
    { signal }: { readonly signal?: AbortSignal } = {},
  ): Promise<readonly Notice[]> {
    const { folder, clock, telling } = this.#options;
    return await folder.locked(LOCK, async () => {
      const before = parseState(await folder.get(STATE));
      const { state, notices } = decide(before, { ...look, now: clock.now() }, telling);
      let dropped = state.dropped;
      if (notices.length > 0) {
        const message = this.#message(notices, { open: state.alerts, dropped });
        dropped = await this.#enqueue(message, signal);
      }
      // The queue first: a crash in between tells twice, the other way round would tell nothing.
      const after = formatState({ ...state, dropped });
      if (after !== formatState(before)) await folder.put(STATE, after);
      return notices;
    }, signal);
  }

  /** Sends what is due. Never throws for a receiver that cannot be reached. */
  async deliver({ signal }: { readonly signal?: AbortSignal } = {}): Promise<DeliveryReport> {
    const report = await this.#queue.deliver(this.#options.channels, signal ? { signal } : {});
    if (report.dropped > 0) await this.#ownUp(report.dropped, signal);
    return report;
  }

  /** Sends what is due, and tries again what failed, until nothing waits or the time is up. */
  async deliverWithin(
    milliseconds: number,
    { signal }: { readonly signal?: AbortSignal } = {},
  ): Promise<DeliveryReport> {
    const { clock } = this.#options;
    const end = clock.monotonic() + milliseconds;
    const timeout = AbortSignal.timeout(milliseconds);
    const limit = signal ? AbortSignal.any([signal, timeout]) : timeout;
    const reports: DeliveryReport[] = [];
    while (true) {
      const report = await this.#deliverUntil(limit);
      reports.push(report);
      const wait = report.nextAt && report.nextAt.getTime() - clock.now().getTime();
      const left = end - clock.monotonic();
      const done = wait === undefined || wait >= left || limit.aborted;
      if (done) return { ...report, deliveries: reports.flatMap(({ deliveries }) => deliveries) };
      await pause(Math.max(wait, 10), limit).catch(() => {});
    }
  }

  /** Another process may be sending, for longer than there is time: then it all waits. */
  async #deliverUntil(limit: AbortSignal): Promise<DeliveryReport> {
    try {
      return await this.deliver({ signal: limit });
    } catch (error) {
      if (!limit.aborted) throw error;
      const waiting = await this.#queue.waiting();
      return { deliveries: [], waiting: waiting.length, nextAt: undefined, dropped: 0 };
    }
  }

  /** The alerts that hold, oldest first; for those who show them. */
  async openAlerts(): Promise<readonly OpenAlert[]> {
    const { folder, telling } = this.#options;
    const { alerts } = parseState(await folder.get(STATE));
    // Those that quiet times hold back hold as well; those that one look alone has seen may not.
    const isSure = ({ announcedAt, seen, rule }: OpenAlert) =>
      announcedAt !== null || seen >= telling.confirmLooks(rule);
    return alerts.filter((alert) => alert.clearedAt === null && isSure(alert))
      .toSorted((a, b) => a.since - b.since);
  }

  /** Sends a test message through each channel, once and at the same time. */
  async test(
    channels: readonly Channel[],
    { signal }: { readonly signal?: AbortSignal } = {},
  ): Promise<readonly ChannelTest[]> {
    const message = this.#testMessage();
    return await Promise.all(channels.map(async (channel) => {
      const { name, target } = channel;
      const error = await sendOnce(channel, message, signal);
      return { channel: name, target, error };
    }));
  }

  #testMessage(): Message {
    const at = this.#options.clock.now().toISOString();
    return {
      ...this.#message([], { open: [], dropped: 0 }),
      id: crypto.randomUUID(),
      test: true,
      notices: [{
        event: "firing",
        key: "test/alert",
        rule: "test",
        subject: "alert",
        severity: "warning",
        title: "this is a test: nothing is wrong",
        detail: 'Somebody ran "backupctl alert test" to see whether alerts arrive.',
        hint: null,
        since: at,
        at,
      }],
    };
  }

  #message(
    notices: readonly Notice[],
    { open, dropped }: { readonly open: readonly OpenAlert[]; readonly dropped: number },
  ): Message {
    const { cluster, host, clock } = this.#options;
    const told = new Set(notices.map(({ key }) => key));
    const others = open.filter((alert) =>
      alert.clearedAt === null && alert.announcedAt !== null && !told.has(alert.key)
    );
    const hash = createHash("sha256").update(JSON.stringify([cluster, host, notices]));
    return {
      id: hash.digest("hex").slice(0, 32),
      cluster,
      host,
      createdAt: clock.now().toISOString(),
      test: false,
      notices,
      stillOpen: others.length,
      dropped,
    };
  }

  /** @returns how many messages were given up for it. */
  async #enqueue(message: Message, signal: AbortSignal | undefined): Promise<number> {
    const { channels } = this.#options;
    try {
      return await this.#queue.add(message, channels.map(({ name }) => name));
    } catch (error) {
      // The disk may be full, which is what people are to hear of: say it without the queue.
      const errors = await Promise.all(channels.map((one) => sendOnce(one, message, signal)));
      if (errors.some((failed) => failed !== undefined)) throw error;
      return 0;
    }
  }

  async #ownUp(count: number, signal: AbortSignal | undefined): Promise<void> {
    const { folder } = this.#options;
    await folder.locked(LOCK, async () => {
      const state = parseState(await folder.get(STATE));
      await folder.put(STATE, formatState({ ...state, dropped: state.dropped + count }));
    }, signal);
  }
}

async function sendOnce(
  channel: Channel,
  message: Message,
  signal: AbortSignal | undefined,
): Promise<DeliveryError | undefined> {
  try {
    await channel.send(message, signal ? { signal } : {});
    return undefined;
  } catch (error) {
    if (error instanceof DeliveryError) return error;
    return new DeliveryError(`${channel.name} failed`, { cause: error });
  }
}

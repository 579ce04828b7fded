import { DeliveryError } from "../delivery_error.ts";
import type { Channel } from "../channels/channel.ts";
import type { Message } from "../notice.ts";
import type { DurableFolder } from "./durable_folder.ts";
import { formatItem, parseItem, type QueueItem } from "./queue_item.ts";
import { isDue, isGivenUp, nextAttempt } from "./retry_policy.ts";

/** How a {@link MessageQueue} works. */
export interface QueueOptions {
  readonly now: () => Date;
  /** Messages at most; beyond, the oldest is given up. @default {1000} */
  readonly limit?: number;
}

/** One try to send one message through one channel. */
export interface Delivery {
  readonly channel: string;
  readonly messageId: string;
  /** Undefined when the receiver has taken it. */
  readonly error: DeliveryError | undefined;
}

/** What a round of deliveries did. */
export interface DeliveryReport {
  readonly deliveries: readonly Delivery[];
  /** Messages that wait for another try. */
  readonly waiting: number;
  /** When the next try is due; undefined when nothing waits. */
  readonly nextAt: Date | undefined;
  /** Messages that were given up. */
  readonly dropped: number;
}

const PREFIX = "message-";
const LOCK = "delivery";

/**
 * Messages that have not reached everybody yet, a file each. A message is removed from the disk
 * only after every receiver has taken it, so a crash at any moment sends twice at worst.
 */
export class MessageQueue {
  readonly #folder: DurableFolder;
  readonly #options: Required<QueueOptions>;

  constructor(folder: DurableFolder, options: QueueOptions) {
    this.#folder = folder;
    this.#options = { limit: 1000, ...options };
  }

  /**
   * Adds a message for some channels, durable when it returns. The same message again is the same
   * file.
   *
   * @returns how many older ones were given up for lack of room.
   */
  async add(message: Message, channels: readonly string[]): Promise<number> {
    const pending = new Map(channels.map((name) => [name, { attempts: 0, notBefore: 0 }]));
    if (pending.size === 0) return 0;
    const queuedAt = this.#options.now().getTime();
    const name = `${PREFIX}${timestamp(message.createdAt)}-${message.id}.json`;
    await this.#folder.put(name, formatItem({ message, queuedAt, pending }));
    const names = await this.#folder.names(PREFIX);
    const surplus = names.filter((other) => other !== name)
      .slice(0, Math.max(0, names.length - this.#options.limit));
    let dropped = 0;
    for (const old of surplus) {
      dropped += lostWith(parseItem(await this.#folder.get(old))?.message);
      await this.#folder.remove(old);
    }
    return dropped;
  }

  /** The messages that wait, oldest first. */
  async waiting(): Promise<readonly Message[]> {
    const items = await this.#items();
    return items.map(({ item }) => item.message);
  }

  /**
   * Sends what is due, oldest first. One channel that is down does not hold up the others, and one
   * message that is refused does not hold up those behind it.
   */
  async deliver(
    channels: readonly Channel[],
    { signal }: { readonly signal?: AbortSignal } = {},
  ): Promise<DeliveryReport> {
    return await this.#folder.locked(LOCK, async () => {
      await this.#folder.sweep();
      const found = await this.#items();
      const round = new Round(channels, this.#options.now);
      for (const { name, item } of found) {
        const left = await round.send(item, signal);
        if (left === item) continue;
        if (left) await this.#folder.put(name, formatItem(left));
        else await this.#folder.remove(name);
      }
      return round.report;
    }, signal);
  }

  async #items(): Promise<readonly { readonly name: string; readonly item: QueueItem }[]> {
    const items = [];
    for (const name of await this.#folder.names(PREFIX)) {
      const item = parseItem(await this.#folder.get(name));
      if (item) items.push({ name, item });
      // Written whole or not at all, so this is a disk's fault or somebody's hand.
      else await this.#folder.remove(name);
    }
    return items;
  }
}

/** How many messages nobody will hear of: the one itself, and those that it would have owned up to. */
function lostWith(message: Message | undefined): number {
  return 1 + (message?.dropped ?? 0);
}

/** Digits that sort as the moments do. */
function timestamp(time: string): string {
  return String(Math.max(0, Date.parse(time) || 0)).padStart(15, "0");
}

/** One walk through the queue. */
class Round {
  readonly #channels: ReadonlyMap<string, Channel>;
  readonly #now: () => Date;
  /** Channels that are down, or were when last tried. */
  readonly #resting = new Set<string>();
  readonly #deliveries: Delivery[] = [];
  #waiting = 0;
  #nextAt = Infinity;
  #dropped = 0;

  constructor(channels: readonly Channel[], now: () => Date) {
    this.#channels = new Map(channels.map((channel) => [channel.name, channel]));
    this.#now = now;
  }

  get report(): DeliveryReport {
    return {
      deliveries: this.#deliveries,
      waiting: this.#waiting,
      nextAt: Number.isFinite(this.#nextAt) ? new Date(this.#nextAt) : undefined,
      dropped: this.#dropped,
    };
  }

  /** @returns the item as it is to be kept: itself, changed, or undefined when it is done with. */
  async send(item: QueueItem, signal?: AbortSignal): Promise<QueueItem | undefined> {
    const pending = new Map(item.pending);
    let changed = false;
    // Channels are tried at once: a slow one must not delay the others.
    await Promise.all([...item.pending].map(async ([name, state]) => {
      const channel = this.#channels.get(name);
      // The operator took this channel out of the configuration.
      if (!channel) {
        changed = pending.delete(name);
        return;
      }
      if (this.#resting.has(name) || signal?.aborted) return;
      if (!isDue(state.notBefore, this.#now())) {
        if (!state.refused) this.#resting.add(name);
        return;
      }
      const error = await this.#try(channel, item.message, signal);
      if (signal?.aborted && error) return;
      changed = true;
      this.#deliveries.push({ channel: name, messageId: item.message.id, error });
      if (!error) {
        pending.delete(name);
        return;
      }
      if (!error.refused) this.#resting.add(name);
      const attempts = state.attempts + 1;
      const notBefore = nextAttempt(attempts, { error, now: this.#now() });
      pending.set(name, { attempts, notBefore, refused: error.refused });
    }));
    return this.#kept(item, changed ? { ...item, pending } : item);
  }

  async #try(
    channel: Channel,
    message: Message,
    signal: AbortSignal | undefined,
  ): Promise<DeliveryError | undefined> {
    try {
      await channel.send(message, signal ? { signal } : {});
      return undefined;
    } catch (error) {
      if (error instanceof DeliveryError) return error;
      const reason = error instanceof Error ? error.name : "Error";
      return new DeliveryError(`${channel.name} failed: ${reason}`, { cause: error });
    }
  }

  #kept(before: QueueItem, item: QueueItem): QueueItem | undefined {
    if (item.pending.size === 0) return undefined;
    const states = [...item.pending.values()];
    if (item !== before && isGivenUp(item.queuedAt, { states, now: this.#now() })) {
      this.#dropped += lostWith(item.message);
      return undefined;
    }
    this.#waiting++;
    this.#nextAt = Math.min(this.#nextAt, ...states.map(({ notBefore }) => notBefore));
    return item;
  }
}

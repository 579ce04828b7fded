import { AlertManager } from "../../../src/service/alerts/alert_manager.ts";
import type { Channel } from "../../../src/service/alerts/channels/channel.ts";
import type { TellingRules } from "../../../src/service/alerts/decide.ts";
import type { DeliveryError } from "../../../src/service/alerts/delivery_error.ts";
import type { Message, Notice } from "../../../src/service/alerts/notice.ts";
import { DurableFolder } from "../../../src/service/alerts/queue/durable_folder.ts";
import type { FolderFiles } from "../../../src/service/alerts/queue/folder_files.ts";
import { confirmLooks } from "../../../src/service/alerts/rules/evaluate_rules.ts";
import { CrashingFolder } from "./crashing_folder.ts";
import { FakeClock } from "./fake_clock.ts";

/** A channel that keeps what it was sent, and fails when it is told to. */
export class KeepingChannel implements Channel {
  readonly target = "nowhere";
  readonly messages: Message[] = [];
  failure: (message: Message) => DeliveryError | undefined = () => undefined;

  constructor(readonly name = "a") {}

  /** Every notice, in the order of its arrival. */
  get notices(): readonly Notice[] {
    return this.messages.flatMap(({ notices }) => notices);
  }

  send(message: Message): Promise<void> {
    const error = this.failure(message);
    if (error) return Promise.reject(error);
    this.messages.push(message);
    return Promise.resolve();
  }
}

/** An AlertManager with a clock, a disk and a channel of a test's own. */
export function alertRig(telling: Partial<TellingRules> = {}, queueLimit?: number) {
  const clock = new FakeClock();
  const files = new CrashingFolder();
  const channel = new KeepingChannel();
  /** As after a restart: nothing but the disk is remembered. */
  const open = (folder: FolderFiles = files) =>
    new AlertManager({
      cluster: "main",
      host: "db1",
      folder: new DurableFolder(folder, { now: () => clock.now() }),
      clock,
      channels: [channel],
      telling: {
        repeatMs: 86_400_000,
        resolveAfterMs: 300_000,
        isQuiet: () => false,
        confirmLooks,
        ...telling,
      },
      ...(queueLimit !== undefined && { queueLimit }),
    });
  return { clock, files, channel, open };
}

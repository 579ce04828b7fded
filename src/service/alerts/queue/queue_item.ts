import * as v from "valibot";
import type { Message } from "../notice.ts";

/** How far a message is with one channel. */
export interface PendingState {
  readonly attempts: number;
  /** Milliseconds of the epoch; 0: at once. */
  readonly notBefore: number;
  /** The receiver is there, and did not want this message. */
  readonly refused?: boolean;
}

/** A message and whom it has not reached. */
export interface QueueItem {
  readonly message: Message;
  /** Milliseconds of the epoch. */
  readonly queuedAt: number;
  readonly pending: ReadonlyMap<string, PendingState>;
}

const severity = v.picklist(["critical", "warning"]);

const notice = v.object({
  event: v.picklist(["firing", "repeat", "resolved"]),
  key: v.string(),
  rule: v.string(),
  subject: v.string(),
  severity,
  title: v.string(),
  detail: v.nullable(v.string()),
  hint: v.nullable(v.string()),
  since: v.string(),
  at: v.string(),
});

const schema = v.object({
  version: v.literal(1),
  queuedAt: v.number(),
  message: v.object({
    id: v.string(),
    cluster: v.string(),
    host: v.nullable(v.string()),
    createdAt: v.string(),
    test: v.boolean(),
    notices: v.array(notice),
    stillOpen: v.number(),
    dropped: v.number(),
  }),
  pending: v.record(
    v.string(),
    v.object({
      attempts: v.number(),
      notBefore: v.number(),
      refused: v.optional(v.boolean(), false),
    }),
  ),
});

/** An item as its file holds it. */
export function formatItem({ message, queuedAt, pending }: QueueItem): string {
  const document = { version: 1, queuedAt, pending: Object.fromEntries(pending), message };
  return `${JSON.stringify(document)}\n`;
}

/** Undefined for what is no item. */
export function parseItem(text: string | undefined): QueueItem | undefined {
  try {
    const { message, queuedAt, pending } = v.parse(schema, JSON.parse(text ?? ""));
    return { message, queuedAt, pending: new Map(Object.entries(pending)) };
  } catch {
    return undefined;
  }
}

import { createHash } from "node:crypto";
import type { Message, Notice } from "../../notice.ts";
import { oneLine, shorten } from "../message_text.ts";

/**
 * One event for each alert, since PagerDuty opens and closes incidents one by one. Events API v2,
 * "Send an event": the same dedup_key joins them.
 */
export function pagerdutyBodies(
  message: Message,
  { routingKey }: { readonly routingKey: string },
): readonly unknown[] {
  return message.notices.map((notice) => ({
    routing_key: routingKey,
    event_action: notice.event === "resolved" ? "resolve" : "trigger",
    dedup_key: dedupKey(message.cluster, notice),
    payload: {
      summary: shorten(`${message.cluster}: ${oneLine(notice.title)}`, 1000),
      source: message.host ?? message.cluster,
      severity: message.test ? "info" : notice.severity,
      timestamp: notice.at,
      component: "backupctl",
      group: message.cluster,
      class: notice.rule,
      custom_details: { detail: notice.detail, hint: notice.hint, since: notice.since },
    },
    client: "backupctl",
  }));
}

/** At most 255 characters, whatever the subject is. */
function dedupKey(cluster: string, { key }: Notice): string {
  const text = `backupctl/${cluster}/${key}`;
  if (text.length <= 255) return text;
  return `backupctl/${createHash("sha256").update(text).digest("hex")}`;
}

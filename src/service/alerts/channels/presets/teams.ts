import type { Message, Notice } from "../../notice.ts";
import { eventWord, footLines, oneLine, shorten } from "../message_text.ts";

/** Notices in one card at most: Teams refuses messages of more than 28 KB. */
const SHOWN = 12;
const COLORS = { critical: "attention", warning: "warning" } as const;

/** An Adaptive Card 1.4, as the workflow "Post to a channel when a webhook request is received". */
export function teamsBody(message: Message): unknown {
  const { notices, cluster } = message;
  const more = notices.length - SHOWN;
  const body = [
    textBlock(`backupctl: ${cluster}`, { weight: "bolder", size: "medium" }),
    ...notices.slice(0, SHOWN).flatMap(noticeBlocks),
    ...(more > 0 ? [textBlock(`and ${more} more`)] : []),
    textBlock(footLines(message).join(" "), { isSubtle: true, size: "small" }),
  ];
  const content = {
    $schema: "http://adaptivecards.io/schemas/adaptive-card.json",
    type: "AdaptiveCard",
    version: "1.4",
    body,
  };
  const contentType = "application/vnd.microsoft.card.adaptive";
  return { type: "message", attachments: [{ contentType, contentUrl: null, content }] };
}

function noticeBlocks(notice: Notice) {
  const { severity, event, title, detail, hint } = notice;
  const color = event === "resolved" ? "good" : COLORS[severity];
  return [
    textBlock(`${eventWord(notice)}: ${oneLine(title)}`, { color, weight: "bolder" }),
    ...(detail === null ? [] : [textBlock(oneLine(detail))]),
    ...(hint === null || event === "resolved"
      ? []
      : [textBlock(oneLine(hint), { isSubtle: true })]),
  ];
}

function textBlock(text: string, style: Readonly<Record<string, unknown>> = {}) {
  return { type: "TextBlock", text: escapeMarkdown(shorten(text, 500)), wrap: true, ...style };
}

/** A TextBlock reads Markdown; names like `pg_wal` and links from elsewhere must stay text. */
function escapeMarkdown(text: string): string {
  return text.replace(/[\\`*_[\]#~>|<]/g, (character) => `\\${character}`);
}

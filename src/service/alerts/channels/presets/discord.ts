import type { Message, Notice } from "../../notice.ts";
import { eventWord, footLines, headline, oneLine, shorten } from "../message_text.ts";

/** Embeds in one message at most; all of them together may have 6000 characters. */
const SHOWN = 8;
const COLORS = { critical: 0xb3261e, warning: 0xe0a100, resolved: 0x1b6e3c } as const;

/** For Discord's webhooks ("Execute Webhook"). */
export function discordBody(message: Message): unknown {
  const { notices } = message;
  const more = notices.length - SHOWN;
  return {
    content: escapeMarkdown(shorten(headline(message), 300)),
    embeds: notices.slice(0, SHOWN).map(embed),
    // Nobody is to be rung by a name that happens to be called @everyone.
    allowed_mentions: { parse: [] },
    ...(more > 0 && { username: `backupctl (${more} more alerts)` }),
    ...(more <= 0 && { username: "backupctl" }),
    ...footer(message),
  };
}

function embed(notice: Notice) {
  const { severity, event, title, detail, hint, at } = notice;
  const lines = [
    ...(detail === null ? [] : [oneLine(detail)]),
    ...(hint === null || event === "resolved" ? [] : [`hint: ${oneLine(hint)}`]),
  ];
  return {
    title: escapeMarkdown(shorten(`${eventWord(notice)}: ${oneLine(title)}`, 180)),
    description: escapeMarkdown(shorten(lines.join("\n"), 350)),
    color: COLORS[event === "resolved" ? "resolved" : severity],
    timestamp: at,
  };
}

/** The lines that are of the whole message, below the last embed. */
function footer(message: Message) {
  if (message.stillOpen === 0 && message.dropped === 0) return {};
  const content = `${headline(message)}\n${footLines(message).join(" ")}`;
  return { content: escapeMarkdown(shorten(content, 700)) };
}

function escapeMarkdown(text: string): string {
  return text.replace(/[\\`*_~|>#[\]<]/g, (character) => `\\${character}`);
}

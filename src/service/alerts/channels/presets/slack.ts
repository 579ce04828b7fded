import type { Message, Notice } from "../../notice.ts";
import { eventWord, footLines, headline, oneLine, shorten } from "../message_text.ts";

/** Notices in one message at most: Slack takes 50 blocks (its page "Block Kit: blocks"). */
const SHOWN = 20;
const MARKS = { critical: ":red_circle:", warning: ":large_yellow_circle:" } as const;

/** For Slack's incoming webhooks; Mattermost and Rocket.Chat show the same `text`. */
export function slackBody(message: Message): unknown {
  const { notices } = message;
  const more = notices.length - SHOWN;
  return {
    text: escapeSlack(headline(message)),
    blocks: [
      ...notices.slice(0, SHOWN).map((notice) => section(noticeText(notice))),
      ...(more > 0 ? [section(`and ${more} more`)] : []),
      {
        type: "context",
        elements: [{ type: "mrkdwn", text: escapeSlack(footLines(message).join(" ")) }],
      },
    ],
  };
}

function section(text: string) {
  // A section takes 3000 characters.
  return { type: "section", text: { type: "mrkdwn", text: shorten(text, 2900) } };
}

function noticeText(notice: Notice): string {
  const { severity, event, title, detail, hint } = notice;
  const mark = event === "resolved" ? ":white_check_mark:" : MARKS[severity];
  return [
    `${mark} *${eventWord(notice)}* ${escapeSlack(oneLine(title))}`,
    ...(detail === null ? [] : [escapeSlack(oneLine(detail))]),
    ...(hint === null || event === "resolved" ? [] : [`_${escapeSlack(oneLine(hint))}_`]),
  ].join("\n");
}

/** The three characters that Slack reads as its own, which also keeps `<!channel>` from ringing. */
function escapeSlack(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

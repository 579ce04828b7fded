import { html } from "hono/html";
import type { Message, Notice } from "../notice.ts";
import { eventWord, footLines, headline, oneLine } from "./message_text.ts";

const COLORS = { critical: "#b3261e", warning: "#8a5a00", resolved: "#1b6e3c" } as const;

/** The whole message as HTML that mail programs show: inline styles, nothing fetched. */
export function messageHtml(message: Message): string {
  const notices = message.notices.map(noticeBlock);
  const foot = footLines(message).map((line) => html`${line}<br>`);
  return String(html`
    <!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8">
        <title>${headline(message)}</title>
      </head>
      <body
        style="margin:0;padding:16px;font:15px/1.45 system-ui,sans-serif;color:#1f1f1f;background:#ffffff">
    ${notices}
    <p style="margin:16px 0 0;font-size:13px;color:#5f5f5f">${foot}</p>
      </body>
    </html>
  `).trim();
}

function noticeBlock(notice: Notice) {
  const { event, severity, title, detail, hint, since } = notice;
  const color = COLORS[event === "resolved" ? "resolved" : severity];
  return html`
    <div style="margin:0 0 12px;padding:8px 12px;border-left:4px solid ${color}">
    <div style="font-size:12px;font-weight:bold;color:${color}">${eventWord(notice)}</div>
    <div style="font-weight:bold">${oneLine(title)}</div>
    ${detail === null ? "" : html`<div>${oneLine(detail)}</div>`}
    ${hint === null || event === "resolved"
      ? ""
      : html`<div style="color:#5f5f5f">hint: ${oneLine(hint)}</div>`}
    <div style="font-size:12px;color:#5f5f5f">since ${since}</div>
    </div>
  `;
}

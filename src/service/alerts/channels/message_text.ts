import type { Message, Notice } from "../notice.ts";

const EVENTS = { firing: "ALERT", repeat: "STILL", resolved: "RESOLVED" } as const;

/** `ALERT`, `STILL`, `RESOLVED`: the first word of a notice's line. */
export function eventWord({ event, severity }: Notice): string {
  return event !== "resolved" && severity === "critical"
    ? `${EVENTS[event]} (critical)`
    : EVENTS[event];
}

/** One line that says the most: for subjects and titles. */
export function headline({ cluster, notices, test }: Message): string {
  const [first] = notices;
  if (!first) return `${cluster}: nothing to tell`;
  if (test) return `${cluster}: test`;
  const more = notices.length > 1 ? ` (and ${notices.length - 1} more)` : "";
  return `${cluster}: ${EVENTS[first.event]}: ${oneLine(first.title)}${more}`;
}

/** The lines below all notices: what else there is to know. */
export function footLines(
  { cluster, host, stillOpen, dropped, createdAt }: Message,
): readonly string[] {
  return [
    ...(stillOpen > 0
      ? [`${stillOpen} other ${stillOpen === 1 ? "alert holds" : "alerts hold"}.`]
      : []),
    ...(dropped > 0
      ? [`${dropped} earlier ${dropped === 1 ? "message was" : "messages were"} given up.`]
      : []),
    `Cluster ${cluster}${host === null ? "" : `, told by ${host}`} at ${createdAt}.`,
  ];
}

/** One notice in lines. */
export function noticeLines(notice: Notice): readonly string[] {
  const { title, detail, hint, since, event } = notice;
  return [
    `${eventWord(notice)}: ${oneLine(title)}`,
    ...(detail !== null ? [oneLine(detail)] : []),
    ...(hint !== null && event !== "resolved" ? [`hint: ${oneLine(hint)}`] : []),
    event === "firing" ? `Since ${since}.` : `It began at ${since}.`,
  ];
}

/** The whole message as plain text. */
export function messageText(message: Message): string {
  const parts = message.notices.map((notice) => noticeLines(notice).join("\n"));
  return `${[...parts, footLines(message).join("\n")].join("\n\n")}\n`;
}

/** Text from elsewhere must not start lines of its own, nor hide or turn what stands beside it. */
export function oneLine(text: string): string {
  // deno-lint-ignore no-control-regex -- control characters are what it is about
  const plain = text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, " ")
    .replace(/[\u061c\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]/g, "").trim();
  return shorten(plain, 1000);
}

/** At most `length` UTF-16 units, no surrogate pair cut. */
export function shorten(text: string, length: number): string {
  if (text.length <= length) return text;
  return `${text.slice(0, length - 1).replace(/[\ud800-\udbff]$/, "")}…`;
}

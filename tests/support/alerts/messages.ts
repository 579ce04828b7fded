import type { Message, Notice } from "../../../src/service/alerts/notice.ts";

/** A notice, with whatever a test cares about. */
export function aNotice(notice: Partial<Notice> = {}): Notice {
  return {
    event: "firing",
    key: "full_too_old/full",
    rule: "full_too_old",
    subject: "full",
    severity: "critical",
    title: "the newest full backup is 9 days old",
    detail: "It is 20261123T022415Z-F.",
    hint: "do scheduled backups run?",
    since: "2026-11-23T02:00:00.000Z",
    at: "2026-11-23T02:05:00.000Z",
    ...notice,
  };
}

/** A message, with whatever a test cares about. */
export function aMessage(message: Partial<Message> = {}): Message {
  return {
    id: "0123456789abcdef0123456789abcdef",
    cluster: "main",
    host: "db1",
    createdAt: "2026-11-23T02:05:00.000Z",
    test: false,
    notices: [aNotice()],
    stillOpen: 0,
    dropped: 0,
    ...message,
  };
}

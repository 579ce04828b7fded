import type { Message } from "../../notice.ts";
import { oneLine } from "../message_text.ts";

/**
 * For Prometheus' Alertmanager, `POST /api/v2/alerts`. An alert ends by itself unless it is told
 * again, so it is given until after the next repeat.
 */
export function alertmanagerBody(
  { cluster, host, notices, test }: Message,
  { repeatMs }: { readonly repeatMs: number },
): unknown {
  return notices.map((notice) => {
    const at = Date.parse(notice.at);
    const end = notice.event === "resolved" ? at : at + 2 * repeatMs;
    return {
      labels: {
        alertname: `backupctl_${notice.rule}`,
        cluster,
        subject: notice.subject,
        severity: test ? "none" : notice.severity,
      },
      annotations: {
        summary: oneLine(notice.title),
        ...(notice.detail !== null && { description: oneLine(notice.detail) }),
        ...(notice.hint !== null && { hint: oneLine(notice.hint) }),
        ...(host !== null && { host }),
      },
      startsAt: notice.since,
      endsAt: new Date(end).toISOString(),
    };
  });
}

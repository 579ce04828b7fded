import type { Message } from "../../notice.ts";
import { headline } from "../message_text.ts";

/** The message as it is, with the names of this program's other JSON documents. */
export function genericBody(message: Message): unknown {
  const { id, cluster, host, createdAt, test, notices, stillOpen, dropped } = message;
  return {
    schema: "backupctl.alert/1",
    id,
    cluster,
    host,
    created_at: createdAt,
    test,
    headline: headline(message),
    alerts: notices.map((notice) => ({ ...notice })),
    still_open: stillOpen,
    dropped,
  };
}

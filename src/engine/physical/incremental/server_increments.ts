import type { IncrementalSource } from "../../parts.ts";
import type { PostgresServer } from "../../../postgres/postgres.ts";
import { takePhysicalBackup } from "../take_physical_backup.ts";
import { PAGE_BYTES, SEGMENT_PAGES } from "./incremental_header.ts";

/** The first version with summaries of the WAL. */
const SUMMARIES_SINCE = 170_000;

/**
 * The server itself tells what changed, from summaries of its WAL, and sends only that. PostgreSQL
 * docs, "Making an Incremental Backup".
 */
export const serverIncrements: IncrementalSource = {
  source: "stream",
  async whyNot({ server }, { identity: { version } }) {
    if (version < SUMMARIES_SINCE) {
      return `PostgreSQL ${Math.floor(version / 10_000)} keeps no summaries of its WAL`;
    }
    return await whyNoSummaries(server);
  },
  take: takePhysicalBackup,
};

async function whyNoSummaries(server: PostgresServer): Promise<string | undefined> {
  const settings = await server.settings(["summarize_wal", "block_size", "segment_size"]);
  if (settings.get("summarize_wal") !== "on") {
    return "summarize_wal is off on the server; with it on, increments are possible from the " +
      "second backup on";
  }
  const pages = Number(settings.get("segment_size"));
  if (Number(settings.get("block_size")) !== PAGE_BYTES || pages !== SEGMENT_PAGES) {
    return `the server was built with other pages than ${PAGE_BYTES} bytes, ${SEGMENT_PAGES} to a file`;
  }
  return undefined;
}

import type { IncrementalSource } from "../../parts.ts";
import { PAGE_BYTES, SEGMENT_PAGES } from "../incremental/incremental_header.ts";
import { takeFilesBackup } from "./take_files_backup.ts";

/**
 * The server's files are read, and of those that the parent knew only the pages stored whose LSN is
 * not older than the parent: for servers that keep no summaries of their WAL.
 */
export const fileIncrements: IncrementalSource = {
  source: "files",
  async whyNot({ fileBackups, server }, { parent }) {
    if (!fileBackups) return "this program cannot read the server's files";
    if (!parent.objects.some(({ role }) => role === "file_list")) {
      return `${parent.id} was not taken by reading the server's files, ` +
        "so that nobody knows which of them are still the same";
    }
    const settings = await server.settings(["block_size", "segment_size"]);
    const pages = Number(settings.get("segment_size"));
    if (Number(settings.get("block_size")) !== PAGE_BYTES || pages !== SEGMENT_PAGES) {
      return `the server was built with other pages than ${PAGE_BYTES} bytes, ${SEGMENT_PAGES} to a file`;
    }
    return await fileBackups.obstacle();
  },
  take: takeFilesBackup,
};

import type { Guard } from "./guard.ts";

const PUSH = "tests/unit/engine/wal_push_test.ts";
const FETCH = "tests/unit/engine/wal_fetch_test.ts";
const HEADER = "tests/unit/engine/wal_header_test.ts";
const DURABLE = "tests/unit/engine/durability_test.ts";

/** Of WAL on its way into the archive and back. */
export const ARCHIVE_GUARDS: readonly Guard[] = [
  {
    name: "wal-push writes only if the name is free",
    file: "src/engine/wal/wal_push.ts",
    text: "await store.put(key, stored, { ifAbsent: conditionalPut, metadata, ...reading });",
    replacement: "await store.put(key, stored, { metadata, ...reading });",
    test: PUSH,
  },
  {
    name: "what the archive has under the name is compared by its hash",
    file: "src/engine/wal/wal_push.ts",
    text: 'if ("sha256" in known) return known.sha256 === encoded.sha256;',
    replacement: 'if ("sha256" in known) return true;',
    test: PUSH,
  },
  {
    name: "wal-push looks at what the store kept",
    file: "src/engine/wal/wal_push.ts",
    text: "if (!stored || held.size === length) return;",
    replacement: "return;",
    test: PUSH,
  },
  {
    name: "an acknowledged segment that is absent is no success",
    file: "src/engine/wal/wal_push.ts",
    text: "    if (attempt === MAX_ATTEMPTS) throw vanished(push, stored);",
    replacement: '    if (stored) return { ...report, outcome: "stored" };',
    test: PUSH,
  },
  {
    name: "a mark is made after the acknowledgement",
    file: "src/engine/wal/push_ahead.ts",
    text: "  const { sha256 } = await pushWal(parts, encoded, signal);\n" +
      "  const { identity, name: { name } } = encoded;\n",
    replacement: "  const { identity, name: { name }, encoded: { sha256 } } = encoded;\n" +
      "  parts.spool.mark({ name, identity, sha256 });\n" +
      "  await pushWal(parts, encoded, signal);\n",
    test: "tests/unit/engine/push_ahead_test.ts",
  },
  {
    name: "a mark holds for that very file only",
    file: "src/engine/wal/wal_spool.ts",
    text: "return isSameFile(mark.identity, identity) ? mark as WalMark : undefined;",
    replacement: "return mark as WalMark;",
    test: "tests/unit/engine/push_ahead_test.ts",
  },
  {
    name: "a mark is durable before it is believed",
    file: "src/engine/wal/wal_spool.ts",
    text: "  if (durable) file.syncSync();\n",
    replacement: "",
    test: DURABLE,
  },
  {
    name: "one system's WAL is archived under a cluster's name",
    file: "src/engine/wal/system_binding.ts",
    text: '  throw refused(place, other?.systemIdentifier ?? "unknown");\n',
    replacement: "",
    test: "tests/e2e/wal_commands_test.ts",
    filter: "one system",
  },
  {
    name: "a segment is of this system",
    file: "src/engine/wal/wal_header.ts",
    text: "systemIdentifier !== undefined && systemIdentifier !== header.systemIdentifier",
    replacement: 'systemIdentifier === ""',
    test: HEADER,
  },
  {
    name: "a segment is of no later timeline than its name",
    file: "src/engine/wal/wal_header.ts",
    text: "if (header.timeline < 1 || header.timeline > name.timeline) {",
    replacement: "if (header.timeline < 1) {",
    test: HEADER,
  },
  {
    name: "a segment begins where its name says",
    file: "src/engine/wal/wal_header.ts",
    text:
      "if (number === undefined || segmentStart(number, header.segmentBytes) !== header.pageAddress) {",
    replacement: "if (number === undefined) {",
    test: HEADER,
  },
  {
    name: "wal-fetch compares the stored SHA-256",
    file: "src/engine/wal/wal_object.ts",
    text: "  if (sha256 === expected.sha256) return;\n",
    replacement: "  if (sha256) return;\n",
    test: FETCH,
  },
  {
    name: "a fetched segment holds no more than its length",
    file: "src/engine/wal/wal_object.ts",
    text: "      if (length > (most ?? BLOCK_BYTES)) {\n",
    replacement: "      if (length < 0) {\n",
    test: "tests/unit/engine/hostile_wal_test.ts",
  },
  {
    name: "a gap is not taken for the end of the log",
    file: "src/engine/wal/wal_fetch.ts",
    text: "        await refuseGap(parts, name, signal);\n",
    replacement: "",
    test: FETCH,
  },
  {
    name: "a fetched segment is synced before it gets its name",
    file: "src/engine/wal/deliver_wal.ts",
    text: "      await this.#file!.sync(); // not",
    replacement: "      // not",
    test: DURABLE,
  },
  {
    name: "the name of a fetched segment is synced",
    file: "src/engine/wal/deliver_wal.ts",
    text: "      await syncFolderOf(this.#destination);\n",
    replacement: "",
    test: DURABLE,
  },
  {
    name: "a fetched segment gets its name when it is whole",
    file: "src/engine/wal/deliver_wal.ts",
    text: "this.#temporary = `${destination}.backupctl-${Deno.pid}`;",
    replacement: "this.#temporary = destination;",
    test: DURABLE,
  },
];

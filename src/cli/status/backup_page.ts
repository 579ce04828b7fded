import type { BackupManifest } from "../../catalog/catalog.ts";
import { counted } from "../../domain/counted.ts";
import { formatBytes, formatSeconds } from "../../domain/bytes.ts";
import { escapeControl } from "../../log/format_record.ts";
import { annotationsOf, backupDocument, formatTime, ratio } from "../backup_document.ts";
import { type Column, formatTable, type TableOptions } from "../table.ts";
import { wrap } from "../wrap.ts";
import type { BackupFacts } from "./backup_facts.ts";
import { keptText } from "./status_text.ts";

/** Everything about one backup. */
export interface BackupPage {
  readonly backup: BackupManifest;
  readonly facts: BackupFacts;
  /** What it is built on, the full one first, itself last. */
  readonly chain: readonly BackupManifest[];
}

/** The page as `backupctl.status/1` with one backup. */
export function backupPageDocument({ backup, facts, chain }: BackupPage): unknown {
  return {
    schema: "backupctl.status/1",
    cluster: {
      name: backup.cluster,
      system_identifier: backup.systemIdentifier,
      postgres_version: backup.postgresVersion,
    },
    backups: [{
      ...backupDocument(backup, facts),
      chain: chain.map(({ id }) => id),
      host: backup.host,
      tool_version: backup.tool.version,
      tablespaces: backup.tablespaces,
      codec: `${backup.codec.algorithm}:${backup.codec.level}`,
      damaged_pages: backup.damagedPages ?? null,
      objects: backup.objects,
    }],
  };
}

const OBJECT_COLUMNS: readonly Column[] = [
  { title: "OBJECT", shortenTo: 30 },
  { title: "ROLE", dropAt: 1 },
  { title: "SIZE", align: "right" },
  { title: "STORED", align: "right" },
];

/** Width of the names in front. */
const NAME = 12;

/** The page for people. */
export function backupPageText(page: BackupPage, look: TableOptions): string {
  const width = look.width && Math.max(look.width - NAME, 20);
  const lines = factsOfPage(page).flatMap(([name, text]) =>
    wrap(escapeControl(text), width).map((line, at) =>
      `${(at === 0 ? name : "").padEnd(NAME)}${line}\n`
    )
  );
  const objects = page.backup.objects.map((object) => [
    object.key,
    object.role,
    formatBytes(object.rawBytes),
    formatBytes(object.storedBytes),
  ]);
  return `${lines.join("")}\n${formatTable(OBJECT_COLUMNS, objects, look)}`;
}

function factsOfPage({ backup, facts, chain }: BackupPage): readonly (readonly [string, string])[] {
  const { id, method, kind, codec } = backup;
  const document = backupDocument(backup, facts);
  const known: readonly (readonly [string, string | null | false])[] = [
    ["backup", `${id} (${method} ${kind})`],
    ["state", document.state],
    ["built on", chain.length > 1 && chain.slice(0, -1).map((parent) => parent.id).join(", ")],
    ["label", backup.label],
    ["cluster", `${backup.cluster}, system ${backup.systemIdentifier}`],
    ["PostgreSQL", String(Math.floor(backup.postgresVersion / 10_000))],
    ["started", formatTime(backup.startedAt)],
    ["ended", `${formatTime(backup.stoppedAt)}, after ${formatSeconds(document.duration_seconds)}`],
    ["WAL", backup.startLsn && `${backup.startLsn} to ${backup.stopLsn}`],
    ["timeline", backup.timeline === null ? null : String(backup.timeline)],
    ["size", formatBytes(backup.rawBytes)],
    [
      "stored",
      `${formatBytes(backup.storedBytes)}, ${ratio(backup)} by ${codec.algorithm}:${codec.level}`,
    ],
    ["databases", backup.databases.map(({ name }) => name).join(", ") || null],
    ...backup.tablespaces.map(({ oid, location }) =>
      ["tablespace", `${oid} at ${location}`] as const
    ),
    ["pages", pagesText(backup, document.page_checksum_errors)],
    ["verified", checkText(facts.checks?.verifiedAt, facts.checks?.damagedAt, "found damaged")],
    ["drilled", checkText(facts.checks?.drilledAt, facts.checks?.drillFailedAt, "failed")],
    [
      "kept",
      document.keep_until && `until ${keptText(document.keep_until)}`.replace("until for", "for"),
    ],
    ...Object.entries(annotationsOf(backup, facts)).map((pair) =>
      ["annotation", pair.join("=")] as const
    ),
    ["taken on", backup.host],
    ["taken by", `${backup.tool.name} ${backup.tool.version}`],
  ];
  return known.filter((pair): pair is [string, string] =>
    pair[1] !== null && pair[1] !== false && pair[1] !== ""
  );
}

function pagesText({ damagedPages }: BackupManifest, errors: number | null): string | null {
  if (errors === null) return null;
  if (errors === 0 || !damagedPages) return "no wrong checksum";
  const named = damagedPages.files.slice(0, 5).map(({ path, blocks }) => {
    const shown = blocks.slice(0, 10).join(", ");
    return `${path} block ${shown}${blocks.length > 10 ? ", …" : ""}`;
  });
  const more = damagedPages.files.length > 5
    ? `; and ${counted(damagedPages.files.length - 5, "file")}`
    : "";
  return `${errors} with a wrong checksum: ${named.join("; ")}${more}`;
}

function checkText(
  good: Date | null | undefined,
  bad: Date | null | undefined,
  what: string,
): string | null {
  if (bad) return `${what} ${formatTime(bad.toISOString())}`;
  return good ? formatTime(good.toISOString()) : null;
}

import { counted } from "../../../domain/counted.ts";
import { parseWalName } from "../../../domain/wal.ts";
import type { Finding } from "../notice.ts";
import type { RepositorySnapshot, ServerSnapshot } from "../../snapshot.ts";
import { type AlertSnapshot, atMost, type Rule, spanText } from "./rule.ts";

/** Segments are missing between others: moments behind them cannot be restored. */
export const walGap: Rule = ({ repository }) => {
  if (!repository) return undefined;
  return atMost(repository.gaps.map(({ fromWal, toWal, timeline }) => ({
    rule: "wal_gap",
    subject: `${fromWal}-${toWal}`,
    severity: "critical",
    title: fromWal === toWal
      ? `WAL segment ${fromWal} is missing in the archive`
      : `WAL segments ${fromWal} to ${toWal} are missing in the archive`,
    detail: `No moment of timeline ${timeline} behind them can be restored from a backup ` +
      "that ended before.",
    hint: "does the server still have them in pg_wal? If not, take a backup now",
  })));
};

/** WAL waits on the server for too long, or goes somewhere else. */
export const walLag: Rule = (snapshot, { walLag: most }) => {
  if (most === undefined || !isArchived(snapshot)) return most === undefined ? [] : undefined;
  const { server, repository, takenAt } = snapshot;
  if (!server) return undefined;
  const waiting = waitingSince(server);
  if (waiting) {
    const age = takenAt.getTime() - waiting.since.getTime();
    return age > most ? [waitingFinding(server, { age, files: waiting.files })] : [];
  }
  return repository ? strayed(server, { repository, takenAt, most }) : undefined;
};

/** Whether this server's WAL is meant to come here. */
function isArchived({ server, repository }: AlertSnapshot): boolean {
  const { mode, byBackupctl } = server?.archiving ?? {};
  const on = mode === "on" || mode === "always";
  return on && (byBackupctl === true || (repository?.walSegments ?? 0) > 0);
}

/** Since when the oldest file waits; undefined when nothing does, as far as can be seen. */
function waitingSince(
  { archiving, backlog }: ServerSnapshot,
): { readonly since: Date; readonly files: number | undefined } | undefined {
  if (backlog) {
    return backlog.files > 0 && backlog.oldestAt
      ? { since: backlog.oldestAt, files: backlog.files }
      : undefined;
  }
  const { lastFailedAt, lastArchivedAt } = archiving;
  if (!lastFailedAt || (lastArchivedAt && lastArchivedAt >= lastFailedAt)) return undefined;
  return { since: lastArchivedAt ?? lastFailedAt, files: undefined };
}

function waitingFinding(
  { archiving, backlog }: ServerSnapshot,
  { age, files }: { readonly age: number; readonly files: number | undefined },
): Finding {
  const what = files === undefined ? "WAL" : files === 1 ? "1 WAL file" : `${files} WAL files`;
  const verb = files === 1 || files === undefined ? "waits" : "wait";
  const failed = archiving.lastFailed !== undefined && archiving.failedCount > 0
    ? `archive_command failed ${
      counted(archiving.failedCount, "time")
    }, last with ${archiving.lastFailed}. `
    : "";
  return {
    rule: "wal_lag",
    subject: "archive",
    severity: "critical",
    title: `${what} ${verb} to be archived, the oldest for ${spanText(age)}`,
    detail: `${failed}Until then the last ${spanText(age)} cannot be restored` +
      `${backlog ? ", and pg_wal grows" : ""}.`,
    hint: "the server's log says why its archive_command fails",
  };
}

/** The server got rid of a segment long ago, and the archive has none so new. */
function strayed(
  { archiving }: ServerSnapshot,
  { repository, takenAt, most }: {
    readonly repository: RepositorySnapshot;
    readonly takenAt: Date;
    readonly most: number;
  },
): readonly Finding[] {
  const { lastArchived, lastArchivedAt } = archiving;
  if (!lastArchived || !lastArchivedAt) return [];
  const age = takenAt.getTime() - lastArchivedAt.getTime();
  if (age <= most || !isNewer(lastArchived, repository.lastArchived)) return [];
  return [{
    rule: "wal_lag",
    subject: "archive",
    severity: "critical",
    title: `the server archived ${lastArchived} ${spanText(age)} ago, and it is not here`,
    detail: `The newest segment in ${repository.location} is ${repository.lastArchived ?? "none"}.`,
    hint: "does its archive_command name this repository and this cluster?",
  }];
}

/** Whether a file is a segment behind the archive's newest, on its timeline or a later one. */
function isNewer(name: string, newest: string | undefined): boolean {
  const parsed = parseWalName(name);
  if (parsed?.kind !== "segment") return false;
  return newest === undefined || name > newest;
}

/**
 * The archiver is stuck with a segment that the archive has had for long, and has newer ones than:
 * another server's, or a restored copy's, of the same name.
 */
export const walConflict: Rule = ({ server, repository }) => {
  if (!server || !repository) return undefined;
  const { lastFailed, lastFailedAt, lastArchivedAt } = server.archiving;
  if (!lastFailed || !lastFailedAt || (lastArchivedAt && lastArchivedAt >= lastFailedAt)) return [];
  if (parseWalName(lastFailed)?.kind !== "segment" || !repository.lastArchived) return [];
  const sameTimeline = lastFailed.slice(0, 8) === repository.lastArchived.slice(0, 8);
  if (!sameTimeline || lastFailed > repository.lastArchived) return [];
  const missing = repository.gaps.some(({ fromWal, toWal }) =>
    lastFailed >= fromWal && lastFailed <= toWal
  );
  if (missing) return [];
  return [{
    rule: "wal_conflict",
    subject: lastFailed,
    severity: "critical",
    title: `WAL segment ${lastFailed} cannot be archived: the archive has one of that name`,
    detail: `The newest segment in ${repository.location} is ${repository.lastArchived}.`,
    hint: "does a restored copy, or another cluster, archive under the same cluster name?",
  }];
};

import { counted } from "../../domain/counted.ts";
import { formatBytes } from "../../domain/bytes.ts";
import { IntegrityError } from "../../domain/errors.ts";
import type { NamedGap } from "../../engine/engine.ts";
import { restorableWindows } from "../../engine/recovery/restorable_windows.ts";
import { verifyWal, type VerifyWalReport } from "../../engine/verify_wal.ts";
import { escapeControl } from "../../log/format_record.ts";
import { type Command, type Context, printResult } from "../context.ts";
import type { CommandOf } from "../grammar/grammar.ts";
import { gapDocument } from "../wal_windows_view.ts";
import { withArchive } from "../with_archive.ts";

type Line = CommandOf<"wal verify">;

/** Reads the archived WAL back. Exit status 8 when anything is damaged or missing. */
export const walVerify: Command<Line> = async (line, context) => {
  return await withArchive(context, async ({ config, store, view }) => {
    const { timeline, from, to } = line;
    const opener = config.encryption && (await import("../seals.ts")).sealsOf(config).opener;
    const report = await verifyWal(store, {
      place: view.place,
      ...(timeline !== undefined && { timeline }),
      ...(from !== undefined && { from }),
      ...(to !== undefined && { to }),
      ...(opener && { unseal: (key: string) => opener.stream(key) }),
      signal: context.signal,
    });
    const gaps = restorableWindows(view).gaps.filter((gap) => isAskedFor(gap, line));
    print({ ...report, gaps }, context);
    return report.damaged.length + gaps.length === 0 ? 0 : new IntegrityError("").exitCode;
  });
};

function isAskedFor({ timeline, fromWal, toWal }: NamedGap, line: Line): boolean {
  if (line.timeline !== undefined && timeline !== line.timeline) return false;
  if (line.from !== undefined && toWal.slice(8) < line.from.slice(8)) return false;
  return line.to === undefined || fromWal.slice(8) <= line.to.slice(8);
}

type Found = VerifyWalReport & { readonly gaps: readonly NamedGap[] };

function print(found: Found, context: Context): void {
  printResult(context, { json: () => document(found), text: () => text(found) });
}

function document(found: Found): unknown {
  return {
    schema: "backupctl.wal_verify/1",
    objects: found.objects,
    stored_bytes: found.storedBytes,
    raw_bytes: found.rawBytes,
    without_digest: found.withoutDigest,
    damaged: found.damaged,
    gaps: found.gaps.map(gapDocument),
    ok: found.damaged.length + found.gaps.length === 0,
  };
}

function text({ objects, storedBytes, rawBytes, withoutDigest, damaged, gaps }: Found): string {
  const faults = [
    ...damaged.map(({ key, reason }) => `damaged: ${key}: ${reason}`),
    ...gaps.map(({ fromWal, toWal }) =>
      `missing: ${fromWal === toWal ? fromWal : `${fromWal} to ${toWal}`}`
    ),
  ];
  const unsure = withoutDigest === 0
    ? ""
    : `, ${withoutDigest} of them without a recorded SHA-256, so only their form was checked`;
  const verdict = faults.length === 0
    ? "nothing is damaged or missing"
    : counted(faults.length, "fault");
  return `${counted(objects, "object")} read, ${formatBytes(storedBytes)} stored, ` +
    `${formatBytes(rawBytes)} of WAL${unsure}: ${verdict}\n` +
    faults.map((fault) => `${escapeControl(fault)}\n`).join("");
}

/**
 * Where a timeline came from: the file `0000000N.history`. PostgreSQL docs, "Timelines";
 * src/backend/access/transam/timeline.c reads it the same way.
 *
 * @module
 */
import { IntegrityError } from "./errors.ts";
import type { Lsn } from "./lsn.ts";
import { parseLsn } from "./lsn.ts";

/** One of the timelines that another one grew out of. */
export interface TimelineAncestor {
  readonly timeline: number;
  /** Its child took over here: what lies before belongs to it, this position no longer. */
  readonly switchLsn: Lsn;
  /** Why, in PostgreSQL's words. */
  readonly reason: string;
}

/** A timeline and what it grew out of. */
export interface TimelineHistory {
  readonly timeline: number;
  /** The oldest first; empty for timeline 1. */
  readonly ancestors: readonly TimelineAncestor[];
}

const LINE = /^\s*(\d{1,10})\s+([0-9A-Fa-f]{1,8}\/[0-9A-Fa-f]{1,8})(?:\s+(.*))?$/;

/** The history of a timeline that has no file. */
export function rootHistory(timeline: number): TimelineHistory {
  return { timeline, ancestors: [] };
}

/**
 * Reads a history file.
 *
 * @param timeline the one that the file is named for.
 * @throws {IntegrityError} naming the line that cannot be.
 */
export function parseTimelineHistory(timeline: number, text: string): TimelineHistory {
  const ancestors: TimelineAncestor[] = [];
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (/^\s*(#|$)/.test(line)) continue;
    const ancestor = parseLine(line);
    if (!ancestor || !follows(ancestor, ancestors.at(-1))) throw damaged(timeline, index, line);
    ancestors.push(ancestor);
  }
  const parent = ancestors.at(-1);
  if (parent && parent.timeline >= timeline) {
    throw new IntegrityError(
      `the history of timeline ${timeline} names timeline ${parent.timeline} as its parent`,
    );
  }
  return { timeline, ancestors };
}

function parseLine(line: string): TimelineAncestor | undefined {
  const match = LINE.exec(line);
  const timeline = Number(match?.[1]);
  if (!match || timeline < 1 || timeline > 0xffffffff) return undefined;
  return { timeline, switchLsn: parseLsn(match[2]!), reason: match[3]?.trim() ?? "" };
}

function follows(next: TimelineAncestor, previous: TimelineAncestor | undefined): boolean {
  if (!previous) return true;
  return next.timeline > previous.timeline && next.switchLsn >= previous.switchLsn;
}

function damaged(timeline: number, index: number, line: string): IntegrityError {
  const shown = line.length > 60 ? `${line.slice(0, 57)}...` : line;
  return new IntegrityError(
    `line ${index + 1} of the history of timeline ${timeline} makes no sense: ${
      JSON.stringify(shown)
    }`,
  );
}

/** Where `timeline` of the history begins to own the log; 0 for the oldest. */
export function timelineStart(history: TimelineHistory, timeline: number): Lsn | undefined {
  const all = [...history.ancestors.map((ancestor) => ancestor.timeline), history.timeline];
  const index = all.indexOf(timeline);
  if (index === -1) return undefined;
  return index === 0 ? 0n : history.ancestors[index - 1]!.switchLsn;
}

import * as v from "valibot";

/** An alert that holds, as it is remembered from one look to the next. */
export interface OpenAlert {
  readonly key: string;
  readonly rule: string;
  readonly subject: string;
  readonly severity: "critical" | "warning";
  readonly title: string;
  readonly detail: string | null;
  readonly hint: string | null;
  /** Milliseconds of the epoch. */
  readonly since: number;
  /** How many looks in a row have found it, up to what its rule wants. */
  readonly seen: number;
  /** When people last heard of it; null: not yet. Milliseconds of the epoch. */
  readonly announcedAt: number | null;
  /** Since when it is not found any more; null while it is. Milliseconds of the epoch. */
  readonly clearedAt: number | null;
}

/** What is remembered between two looks. */
export interface AlertState {
  readonly alerts: readonly OpenAlert[];
  /** Messages given up and not yet owned up to. */
  readonly dropped: number;
}

/** Before anything was found. */
export const NO_ALERTS: AlertState = { alerts: [], dropped: 0 };

const time = v.nullable(v.number());

const schema = v.object({
  version: v.literal(1),
  dropped: v.optional(v.number(), 0),
  alerts: v.array(v.object({
    key: v.string(),
    rule: v.string(),
    subject: v.string(),
    severity: v.picklist(["critical", "warning"]),
    title: v.string(),
    detail: v.nullable(v.string()),
    hint: v.nullable(v.string()),
    since: v.number(),
    seen: v.number(),
    announcedAt: time,
    clearedAt: time,
  })),
});

/** The state as its file holds it. */
export function formatState({ alerts, dropped }: AlertState): string {
  return `${JSON.stringify({ version: 1, dropped, alerts })}\n`;
}

/** Begins anew when the file is absent or cannot be read: alerts are told once more. */
export function parseState(text: string | undefined): AlertState {
  try {
    const { alerts, dropped } = v.parse(schema, JSON.parse(text ?? ""));
    return { alerts, dropped };
  } catch {
    return NO_ALERTS;
  }
}

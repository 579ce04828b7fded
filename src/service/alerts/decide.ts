import type { AlertState, OpenAlert } from "./alert_state.ts";
import { alertKey, type Finding, type Notice, type NoticeEvent } from "./notice.ts";

/** What one look has found. */
export interface Look {
  readonly findings: readonly Finding[];
  /** Whether this look could tell if an alert still holds; those that it cannot stay as they are. */
  readonly covers: (alert: OpenAlert) => boolean;
  /** What it does not find is over at once: it is the end of a run, not a reading that may vary. */
  readonly definite?: boolean;
  readonly now: Date;
}

/** How people want to hear of it. */
export interface TellingRules {
  /** Milliseconds after which an alert that still holds is told again. */
  readonly repeatMs: number;
  /** Milliseconds that a finding must be gone before the alert is over: it may come and go. */
  readonly resolveAfterMs: number;
  /** Whether people do not want to hear of what is not critical. */
  readonly isQuiet: (now: Date) => boolean;
  /** How many looks in a row must find it before it is told; by rule. */
  readonly confirmLooks: (rule: string) => number;
}

/** What follows from a look. */
export interface Decision {
  readonly state: AlertState;
  /** Critical ones first. */
  readonly notices: readonly Notice[];
}

/** Compares a look with what is remembered. Changes nothing. */
export function decide(state: AlertState, look: Look, rules: TellingRules): Decision {
  const found = new Map(look.findings.map((finding) => [alertKey(finding), finding]));
  const known = new Set(state.alerts.map(({ key }) => key));
  const alerts = [
    ...state.alerts.map((alert) =>
      seenAgain(alert, { finding: found.get(alert.key), look, rules })
    ),
    ...look.findings.filter((finding) => !known.has(alertKey(finding)))
      .map((finding) => begun(finding, look.now)),
  ];
  const told = alerts.map((alert) => tell(alert, { now: look.now, rules }));
  const notices = told.flatMap(({ notice }) => notice ?? []);
  return {
    state: { ...state, alerts: told.flatMap(({ alert }) => alert ?? []) },
    notices: notices.sort((a, b) => rank(a) - rank(b)),
  };
}

function rank({ severity, event }: Notice): number {
  return (event === "resolved" ? 2 : 0) + (severity === "critical" ? 0 : 1);
}

function begun(finding: Finding, now: Date): OpenAlert {
  return {
    key: alertKey(finding),
    ...contentOf(finding),
    since: now.getTime(),
    seen: 1,
    announcedAt: null,
    clearedAt: null,
  };
}

function contentOf({ rule, subject, severity, title, detail, hint }: Finding) {
  return { rule, subject, severity, title, detail: detail ?? null, hint: hint ?? null };
}

function seenAgain(
  alert: OpenAlert,
  { finding, look, rules }: {
    readonly finding: Finding | undefined;
    readonly look: Look;
    readonly rules: TellingRules;
  },
): OpenAlert {
  if (finding) {
    // What was bad and is worse now is told at once.
    const worse = alert.severity === "warning" && finding.severity === "critical";
    return {
      ...alert,
      ...contentOf(finding),
      seen: alert.seen + 1,
      announcedAt: worse ? null : alert.announcedAt,
      clearedAt: null,
    };
  }
  if ((alert.clearedAt !== null && !look.definite) || !look.covers(alert)) return alert;
  const already = look.definite ? rules.resolveAfterMs : 0;
  return { ...alert, clearedAt: look.now.getTime() - already };
}

/** What becomes of an alert: it is kept or over, with a notice or without. */
function tell(
  alert: OpenAlert,
  { now, rules }: { readonly now: Date; readonly rules: TellingRules },
): { readonly alert?: OpenAlert; readonly notice?: Notice } {
  const time = now.getTime();
  const held = alert.severity !== "critical" && rules.isQuiet(now);
  if (alert.clearedAt !== null) {
    // Nobody has heard of it, so nobody needs to hear that it is over.
    if (alert.announcedAt === null) return {};
    const gone = time - alert.clearedAt;
    if ((gone >= 0 && gone < rules.resolveAfterMs) || held) return { alert };
    return { notice: noticeOf(alert, { event: "resolved", now }) };
  }
  if (held) return { alert };
  if (alert.announcedAt === null) {
    if (alert.seen < rules.confirmLooks(alert.rule)) return { alert };
    return announced(alert, { event: "firing", now });
  }
  const silent = time - alert.announcedAt;
  // Negative when the clock was set back: better once too often than never again.
  if (silent >= 0 && silent < rules.repeatMs) return { alert };
  return announced(alert, { event: "repeat", now });
}

function announced(
  alert: OpenAlert,
  { event, now }: { readonly event: NoticeEvent; readonly now: Date },
): { readonly alert: OpenAlert; readonly notice: Notice } {
  return {
    alert: { ...alert, announcedAt: now.getTime() },
    notice: noticeOf(alert, { event, now }),
  };
}

function noticeOf(
  { key, rule, subject, severity, title, detail, hint, since }: OpenAlert,
  { event, now }: { readonly event: NoticeEvent; readonly now: Date },
): Notice {
  return {
    ...{ event, key, rule, subject, severity, title, detail, hint },
    since: new Date(since).toISOString(),
    at: now.toISOString(),
  };
}

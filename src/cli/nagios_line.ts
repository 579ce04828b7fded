import { escapeControl } from "../log/format_record.ts";
import type { Check, CheckFigure } from "./checks.ts";

/** What a monitoring plugin says. */
export interface NagiosReport {
  /** One line without its line feed. */
  readonly text: string;
  /** 0 ok, 1 warning, 2 critical, 3 unknown. */
  readonly status: 0 | 1 | 2 | 3;
}

const WORDS = ["OK", "WARNING", "CRITICAL", "UNKNOWN"] as const;
/** Characters of the text at most: some systems cut at 1,024. */
const LONGEST = 700;

/**
 * The checks as one line of a monitoring plugin: state, the worst findings, and behind a bar the
 * figures. nagios-plugins.org, "Plugin Development Guidelines", "Plugin Output".
 */
export function nagiosReport(checks: readonly Check[]): NagiosReport {
  const failed = checks.filter(({ state, stale }) => state === "failed" || stale);
  const warned = checks.filter((check) => check.state === "warning" && !failed.includes(check));
  const unknown = failed.length > 0 && failed.every(({ status }) => status === 4);
  const status = unknown ? 3 : failed.length > 0 ? 2 : warned.length > 0 ? 1 : 0;
  const worst = failed.length > 0 ? failed : warned;
  const said = worst.length === 0
    ? `${checks.length} checks passed`
    : worst.map(({ name, message }) => `${name}: ${message}`).join("; ");
  const figures = checks.flatMap((check) => check.figures ?? []).map(figureText).join(" ");
  // The bar divides text and figures, so the text may not have one.
  const text = escapeControl(said.replaceAll("\n", "; ")).replaceAll("|", "/").slice(0, LONGEST);
  return {
    text: `BACKUPCTL ${WORDS[status]} - ${text}${figures === "" ? "" : ` | ${figures}`}`,
    status,
  };
}

function figureText({ label, value, unit, warn }: CheckFigure): string {
  return `${label}=${value}${unit}${warn === undefined ? "" : `;${warn}`}`;
}

import type { Rule } from "./rule.ts";
import { spanText } from "./rule.ts";

/** Milliseconds before its end at which an expiry becomes critical. */
const LAST_DAYS = 2 * 86_400_000;

/** A certificate or credential ends soon. */
export const expiresSoon: Rule = ({ expiries, takenAt }, { expiryWarning }) => {
  if (!expiries) return undefined;
  if (expiryWarning === undefined) return [];
  return expiries.flatMap(({ what, at }) => {
    const left = at.getTime() - takenAt.getTime();
    if (left > expiryWarning) return [];
    return [{
      rule: "expires_soon",
      subject: what,
      severity: left < LAST_DAYS ? "critical" as const : "warning" as const,
      title: left <= 0
        ? `${what} expired ${spanText(-left)} ago`
        : `${what} expires in ${spanText(left)}`,
      detail: `The moment is ${at.toISOString()}.`,
      hint: "renew it: backups fail without it",
    }];
  });
};

const PARTS = { repository: "the repository", server: "PostgreSQL", runs: "the index of runs" };

/** A part could not be asked. */
export const unreachable: Rule = ({ problems }) =>
  problems.map(({ part, message }) => ({
    rule: "unreachable",
    subject: part,
    severity: part === "repository" ? "critical" : "warning",
    title: `${PARTS[part]} cannot be asked: ${message}`,
    ...(part !== "runs" && { hint: "no backup can be taken meanwhile" }),
  }));

/** The configuration on the disk is not the one that applies. */
export const configRefused: Rule = ({ configFault }) =>
  configFault === undefined ? [] : [{
    rule: "config_refused",
    subject: "configuration",
    severity: "warning",
    title: "the changed configuration has faults; the one before it applies",
    detail: configFault,
    hint: '"backupctl config check" names every fault',
  }];

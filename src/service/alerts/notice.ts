/** How much a finding matters: a critical one is told at any hour. */
export type Severity = "critical" | "warning";

/** What a rule found to be wrong. */
export interface Finding {
  /** The rule's name, such as `full_too_old`. */
  readonly rule: string;
  /** What it is about, so that two findings of one rule are two alerts: an operation, a gap. */
  readonly subject: string;
  /** How much it matters. */
  readonly severity: Severity;
  /** One line: what is wrong, with the figure. */
  readonly title: string;
  /** More of it, for whoever opens the message. */
  readonly detail?: string;
  /** The likely cause or the remedy. */
  readonly hint?: string;
}

/** Why people hear of an alert: it began, it still holds, or it is over. */
export type NoticeEvent = "firing" | "repeat" | "resolved";

/** One alert in a message. */
export interface Notice {
  readonly event: NoticeEvent;
  /** The same for every notice of one alert: what receivers join them by. */
  readonly key: string;
  /** See {@link Finding}. */
  readonly rule: string;
  /** See {@link Finding}. */
  readonly subject: string;
  /** See {@link Finding}. */
  readonly severity: Severity;
  /** See {@link Finding}. */
  readonly title: string;
  /** See {@link Finding}. */
  readonly detail: string | null;
  /** See {@link Finding}. */
  readonly hint: string | null;
  /** When the alert began; RFC 3339 UTC. */
  readonly since: string;
  /** When this notice was made; RFC 3339 UTC. */
  readonly at: string;
}

/** What goes through a channel in one piece. */
export interface Message {
  /** The same when it is sent again, so that a receiver can drop the second one. */
  readonly id: string;
  /** The name of the cluster. */
  readonly cluster: string;
  /** The machine that speaks. */
  readonly host: string | null;
  /** RFC 3339 UTC. */
  readonly createdAt: string;
  /** Nothing is wrong: somebody wants to see whether messages arrive. */
  readonly test: boolean;
  /** Critical ones first. */
  readonly notices: readonly Notice[];
  /** Alerts that hold besides those of this message. */
  readonly stillOpen: number;
  /** Messages that were given up since the last one, for lack of room or after days of trying. */
  readonly dropped: number;
}

/** Joins the notices of one alert. */
export function alertKey({ rule, subject }: Pick<Finding, "rule" | "subject">): string {
  return `${rule}/${subject}`;
}

/** Findings without doubles, critical ones first. */
export function orderFindings(findings: readonly Finding[]): readonly Finding[] {
  const unique = [...new Map(findings.map((finding) => [alertKey(finding), finding])).values()];
  return unique.sort((a, b) =>
    Number(b.severity === "critical") - Number(a.severity === "critical")
  );
}

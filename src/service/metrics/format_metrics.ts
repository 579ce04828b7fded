/** One value of a family. */
export interface Sample {
  readonly labels?: Readonly<Record<string, string>>;
  readonly value: number;
}

/** Values of one name. */
export interface MetricFamily {
  /** With its unit at the end, and without the `_total` of counters. */
  readonly name: string;
  readonly help: string;
  readonly type: "gauge" | "counter";
  readonly samples: readonly Sample[];
}

/** Which of the two forms a page has. */
export type MetricsForm = "text" | "openmetrics";

/** The media types of the forms. */
export const METRICS_TYPES = {
  text: "text/plain; version=0.0.4; charset=utf-8",
  openmetrics: "application/openmetrics-text; version=1.0.0; charset=utf-8",
} as const satisfies Record<MetricsForm, string>;

/** OpenMetrics only for those who name it: Prometheus does, browsers and curl do not. */
export function metricsForm(accept: string | null): MetricsForm {
  return /\bapplication\/openmetrics-text\b/.test(accept ?? "") ? "openmetrics" : "text";
}

/**
 * A page in Prometheus' text form, or in OpenMetrics 1.0. Families without values are left out.
 * prometheus.io/docs/instrumenting/exposition_formats, and the OpenMetrics specification.
 */
export function formatMetrics(families: readonly MetricFamily[], form: MetricsForm): string {
  const lines = families.filter(({ samples }) => samples.length > 0).flatMap((family) => {
    const { name, help, type, samples } = family;
    const sampleName = type === "counter" ? `${name}_total` : name;
    const title = form === "openmetrics" ? name : sampleName;
    return [
      `# HELP ${title} ${escapeHelp(help, form)}`,
      `# TYPE ${title} ${type}`,
      ...samples.map(({ labels, value }) => `${sampleName}${labelText(labels)} ${numeral(value)}`),
    ];
  });
  if (form === "openmetrics") lines.push("# EOF");
  return lines.map((line) => `${line}\n`).join("");
}

function labelText(labels: Sample["labels"]): string {
  const pairs = Object.entries(labels ?? {}).map(([name, value]) => `${name}="${escape(value)}"`);
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}

function escape(value: string): string {
  return value.replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll('"', '\\"');
}

function escapeHelp(value: string, form: MetricsForm): string {
  const text = value.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
  return form === "openmetrics" ? text.replaceAll('"', '\\"') : text;
}

function numeral(value: number): string {
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "+Inf" : "-Inf";
  return String(value);
}

import type { Routes } from "../listener.ts";
import type { ServiceSnapshot } from "../snapshot.ts";
import { formatMetrics, METRICS_TYPES, metricsForm } from "./format_metrics.ts";
import type { MetricFamily } from "./format_metrics.ts";
import { metricFamilies } from "./metric_families.ts";

/** What the pages show. */
export interface MetricsSource {
  /** The newest; undefined until there is one. */
  readonly snapshot: () => ServiceSnapshot | undefined;
  /** Why the daemon is not well; undefined when it is. */
  readonly fault: () => string | undefined;
  /** Further families: counters, and the process's own figures. */
  readonly more?: () => readonly MetricFamily[];
}

/** `/metrics`, and `/healthz`, which tells nothing but whether the daemon is alive. */
export function metricsRoutes({ snapshot, fault, more = () => [] }: MetricsSource): Routes {
  return new Map([
    ["/metrics", {
      handle: (request: Request) => {
        const latest = snapshot();
        if (!latest) return plain(503, "nothing was gathered yet\n");
        const form = metricsForm(request.headers.get("accept"));
        const text = formatMetrics([...metricFamilies(latest), ...more()], form);
        return new Response(text, {
          headers: { "content-type": METRICS_TYPES[form], "vary": "accept" },
        });
      },
    }],
    ["/healthz", {
      open: true,
      handle: () => {
        const reason = fault();
        return reason === undefined ? plain(200, "ok\n") : plain(503, `${reason}\n`);
      },
    }],
  ]);
}

function plain(status: number, text: string): Response {
  return new Response(text, { status, headers: { "content-type": "text/plain; charset=utf-8" } });
}

import type { RunRecord } from "../../catalog/catalog.ts";
import type { ServiceSnapshot } from "../snapshot.ts";
import type { MetricFamily } from "./format_metrics.ts";

/**
 * Counts the runs that appear in the catalogue while the daemon lives, by operation and outcome:
 * the catalogue forgets old ones, and a counter must never go back.
 */
export class RunCounter {
  readonly #counts = new Map<string, { readonly run: RunRecord; count: number }>();
  #known: ReadonlySet<string> | undefined;

  /** Takes a new snapshot in. Those of the first one are the past. */
  observe({ runs, problems }: Pick<ServiceSnapshot, "runs" | "problems">): void {
    if (problems.some(({ part }) => part === "runs")) return;
    for (const run of runs) {
      const key = `${run.operation} ${run.outcome}`;
      const entry = this.#counts.get(key) ?? { run, count: 0 };
      this.#counts.set(key, entry);
      if (this.#known && !this.#known.has(run.runId)) entry.count++;
    }
    this.#known = new Set(runs.map(({ runId }) => runId));
  }

  /** As a metric. */
  family(): MetricFamily {
    const samples = [...this.#counts.values()].map(({ run: { operation, outcome }, count }) => ({
      labels: { operation, outcome },
      value: count,
    }));
    const help = "Runs since the daemon began, by what they did and how they ended.";
    return { name: "backupctl_runs", help, type: "counter", samples };
  }
}

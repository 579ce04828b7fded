import type { MetricFamily } from "../../service/service.ts";

/** What every exporter tells of its own process. prometheus.io, "Writing client libraries". */
export function processFamilies(): readonly MetricFamily[] {
  const { rss } = Deno.memoryUsage();
  const descriptors = openDescriptors();
  return [
    {
      name: "process_resident_memory_bytes",
      help: "Resident memory of the daemon.",
      type: "gauge",
      samples: [{ value: rss }],
    },
    {
      name: "process_open_fds",
      help: "Open descriptors of the daemon.",
      type: "gauge",
      samples: descriptors === undefined ? [] : [{ value: descriptors }],
    },
  ];
}

/** Undefined where there is no /proc. */
function openDescriptors(): number | undefined {
  try {
    return Array.from(Deno.readDirSync("/proc/self/fd")).length;
  } catch {
    return undefined;
  }
}

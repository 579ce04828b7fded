/**
 * A strict reader of metrics pages, written from the formats' own grammar: what it takes, Prometheus
 * takes. prometheus.io/docs/instrumenting/exposition_formats; OpenMetrics 1.0.
 *
 * @module
 */

/** What a page says of one name. */
export interface ReadFamily {
  readonly type: string;
  readonly help: string;
  readonly samples: readonly {
    readonly labels: ReadonlyMap<string, string>;
    readonly value: number;
  }[];
}

const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const SAMPLE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/s;
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(,|$)/y;
const VALUE = /^([+-]?(\d+(\.\d+)?([eE][+-]?\d+)?|Inf)|NaN)$/;

/** Reads a page. @throws {Error} naming the line that is wrong. */
export function readMetrics(
  page: string,
  form: "text" | "openmetrics",
): ReadonlyMap<string, ReadFamily> {
  const families = new Map<string, ReadFamily & { samples: ReadFamily["samples"][number][] }>();
  const seen = new Set<string>();
  const lines = page.split("\n");
  if (lines.pop() !== "") throw new Error("the page does not end with a line feed");
  if (form === "openmetrics" && lines.pop() !== "# EOF") throw new Error("no # EOF at the end");
  let current = "";
  let help: string | undefined;
  for (const line of lines) {
    const fail = (why: string): never => {
      throw new Error(`${why}: ${line}`);
    };
    const [, keyword, name = "", rest = ""] = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line) ?? [];
    if (keyword === "HELP") {
      if (!NAME.test(name) || families.has(name)) fail("bad or repeated name");
      [current, help] = [name, rest];
      continue;
    }
    if (keyword === "TYPE") {
      if (name !== current || help === undefined) fail("a type without its help in front");
      if (rest !== "gauge" && rest !== "counter") fail("unknown type");
      if (form === "text" && (rest === "counter") !== name.endsWith("_total")) fail("bad suffix");
      if (form === "openmetrics" && name.endsWith("_total")) fail("a family ends in _total");
      families.set(name, { type: rest, help: help!, samples: [] });
      continue;
    }
    const [, sampleName = "", labelText = "", value = ""] = SAMPLE.exec(line) ?? fail("no sample");
    const family = families.get(current) ?? fail("a sample without a family");
    const suffix = form === "openmetrics" && family.type === "counter" ? "_total" : "";
    if (sampleName !== current + suffix) fail("a sample of another family");
    if (!VALUE.test(value)) fail("bad value");
    const labels = readLabels(labelText, fail);
    const key = `${sampleName}${JSON.stringify([...labels].sort())}`;
    if (seen.has(key)) fail("the same labels twice");
    seen.add(key);
    family.samples.push({ labels, value: Number(value.replace("Inf", "Infinity")) });
    if (family.type === "counter" && Number(value) < 0) fail("a negative counter");
  }
  return families;
}

function readLabels(text: string, fail: (why: string) => never): ReadonlyMap<string, string> {
  const labels = new Map<string, string>();
  LABEL.lastIndex = 0;
  while (LABEL.lastIndex < text.length) {
    const [, name, value] = LABEL.exec(text) ?? fail("bad labels");
    if (labels.has(name!)) fail("a label twice");
    const plain = value!.replace(/\\(.)/g, (_, char) => char === "n" ? "\n" : char);
    labels.set(name!, plain);
  }
  return labels;
}

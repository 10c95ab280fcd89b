// Metrics in the Prometheus text format 0.0.4, which is what etcd's handler gives whatever is asked for.
// Families come sorted by name, as the Go client library writes them. prom-client was left: it takes 60 ms
// to load, keeps a second copy of every counter, and its registry is what our collecting families replace.

import { Histogram, type MetricFamily } from "@etcd-ts/server";

export function metricsText(families: readonly MetricFamily[]): string {
  const sorted = [...families].sort((a, b) => (a.name < b.name ? -1 : 1));
  let text = "";
  for (const family of sorted) text += familyText(family);
  return text;
}

/** Without series a family is not mentioned. */
function familyText(family: MetricFamily): string {
  let series = "";
  family.collect((labelValues, value) => {
    series +=
      value instanceof Histogram
        ? histogramText(family, labelValues, value)
        : `${family.name}${labelText(family.labelNames, labelValues)} ${numberText(value)}\n`;
  });
  if (series === "") return "";
  const help = family.help.replace(/\\/g, "\\\\").replace(/\n/g, "\\n");
  return `# HELP ${family.name} ${help}\n# TYPE ${family.name} ${family.type}\n${series}`;
}

function histogramText(
  family: MetricFamily,
  labelValues: readonly string[],
  histogram: Histogram,
): string {
  const names = [...family.labelNames, "le"];
  let text = "";
  let below = 0;
  for (let i = 0; i < histogram.counts.length; i++) {
    below += histogram.counts[i] as number;
    const bound = histogram.bounds[i];
    const values = [...labelValues, bound === undefined ? "+Inf" : numberText(bound)];
    text += `${family.name}_bucket${labelText(names, values)} ${numberText(below)}\n`;
  }
  const labels = labelText(family.labelNames, labelValues);
  text += `${family.name}_sum${labels} ${numberText(histogram.sum)}\n`;
  return `${text}${family.name}_count${labels} ${numberText(histogram.count)}\n`;
}

function labelText(names: readonly string[], values: readonly string[]): string {
  if (names.length === 0) return "";
  const pairs = names.map((name, i) => {
    const value = (values[i] ?? "")
      .replace(/\\/g, "\\\\")
      .replace(/"/g, '\\"')
      .replace(/\n/g, "\\n");
    return `${name}="${value}"`;
  });
  return `{${pairs.join(",")}}`;
}

/** As Go writes floats ('g', shortest): with an exponent of two digits from 1e6 on and below 1e-4. */
export function numberText(value: number): string {
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "+Inf" : "-Inf";
  if (value === 0) return "0";
  const [digits = "", exponent = "0"] = value.toExponential().split("e");
  const power = Number(exponent);
  if (power >= -4 && power < 6) return String(value);
  return `${digits}e${power < 0 ? "-" : "+"}${String(Math.abs(power)).padStart(2, "0")}`;
}

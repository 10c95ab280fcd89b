// Metrics in the Prometheus text format 0.0.4, which is what etcd's handler gives whatever is asked for.
// Families come sorted by name, series by the values of their labels, and labels by name, as the Go client library
// writes them: whoever looks for a series as text finds it. prom-client was left: it takes 60 ms
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
  const { name, labelNames } = family;
  // Where in the values of a series each label stands, in the order of their names.
  const order = labelNames
    .map((_, i) => i)
    .sort((a, b) => (labelNames[a]! < labelNames[b]! ? -1 : 1));
  const lines: [labels: string, text: string][] = [];
  family.collect((labelValues, value) => {
    const pairs = order.map((i) => pairText(labelNames[i]!, labelValues[i] ?? ""));
    const text =
      value instanceof Histogram
        ? histogramText(name, pairs, value)
        : `${name}${labelText(pairs)} ${numberText(value)}\n`;
    lines.push([pairs.join(), text]);
  });
  if (lines.length === 0) return "";
  lines.sort((a, b) => (a[0] < b[0] ? -1 : 1));
  const series = lines.map(([, text]) => text).join("");
  const help = family.help.replace(/\\/g, "\\\\").replace(/\n/g, "\\n");
  return `# HELP ${name} ${help}\n# TYPE ${name} ${family.type}\n${series}`;
}

function histogramText(name: string, pairs: readonly string[], histogram: Histogram): string {
  let text = "";
  let below = 0;
  for (let i = 0; i < histogram.counts.length; i++) {
    below += histogram.counts[i] as number;
    const bound = histogram.bounds[i];
    const le = pairText("le", bound === undefined ? "+Inf" : numberText(bound));
    text += `${name}_bucket${labelText([...pairs, le])} ${numberText(below)}\n`;
  }
  const labels = labelText(pairs);
  text += `${name}_sum${labels} ${numberText(histogram.sum)}\n`;
  return `${text}${name}_count${labels} ${numberText(histogram.count)}\n`;
}

function labelText(pairs: readonly string[]): string {
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}

function pairText(name: string, value: string): string {
  const escaped = value.replace(/\\/g, "\\\\").replace(/"/g, '\\"').replace(/\n/g, "\\n");
  return `${name}="${escaped}"`;
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

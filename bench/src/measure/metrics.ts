// Figures that a server tells of itself under `/metrics`.

import { get } from "node:http";

export type MetricValues = ReadonlyMap<string, number>;

/** All values of `http://ENDPOINT/metrics`; the names carry their labels: `name{le="1"}`. */
export function readMetrics(endpoint: string): Promise<MetricValues> {
  return new Promise((resolve, reject) => {
    get(`http://${endpoint}/metrics`, { agent: false }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (part: string) => {
        text += part;
      });
      response.on("end", () => resolve(parseMetrics(text)));
      response.on("error", reject);
    }).on("error", reject);
  });
}

export function parseMetrics(text: string): MetricValues {
  const values = new Map<string, number>();
  for (const line of text.split("\n")) {
    if (line === "" || line.startsWith("#")) continue;
    const space = line.lastIndexOf(" ");
    values.set(line.slice(0, space), Number(line.slice(space + 1)));
  }
  return values;
}

const stallMax = "etcd_ts_event_loop_stall_max_seconds";
const stallBucket = /^etcd_ts_event_loop_stall_seconds_bucket\{le="([^"]+)"\}$/;

/**
 * The longest stall of the event loop between two readings, in milliseconds. The server keeps the longest since its start: when
 * that has grown, it is the answer. If not, the histogram bounds it from above. Undefined for a server that does not tell.
 */
export function stallBetween(before: MetricValues, after: MetricValues): number | undefined {
  const longest = after.get(stallMax);
  if (longest === undefined) return undefined;
  if (longest > (before.get(stallMax) ?? 0)) return longest * 1000;
  let below = 0;
  let boundMs = 0;
  for (const [name, value] of after) {
    const bound = stallBucket.exec(name)?.[1];
    if (bound === undefined) continue;
    const grown = value - (before.get(name) ?? 0);
    // Cumulative counts: the last bound at which they still grow holds the longest stall.
    if (grown > below) boundMs = bound === "+Inf" ? Number.POSITIVE_INFINITY : Number(bound) * 1000;
    below = Math.max(below, grown);
  }
  return Math.min(boundMs, longest * 1000);
}

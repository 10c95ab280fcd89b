// Short ways to write metric families down.

import type { EmitMetric, Histogram, MetricFamily, MetricType } from "../metric-types.ts";

export type Single = () => number | Histogram;

export function single(name: string, type: MetricType, help: string, read: Single): MetricFamily {
  return { name, help, type, labelNames: [], collect: (emit) => emit([], read()) };
}

export function labelled(
  name: string,
  type: MetricType,
  help: string,
  labelNames: readonly string[],
  collect: (emit: EmitMetric) => void,
): MetricFamily {
  return { name, help, type, labelNames, collect };
}

export function counter(name: string, help: string, read: Single): MetricFamily {
  return single(name, "counter", help, read);
}

export function gauge(name: string, help: string, read: Single): MetricFamily {
  return single(name, "gauge", help, read);
}

export function histogram(name: string, help: string, read: Single): MetricFamily {
  return single(name, "histogram", help, read);
}

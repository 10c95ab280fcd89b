// Times, summed up as one line.

export function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? 0;
}

/** `n 50, min 1012, median 1390, p90 1800, max 2104 ms`. */
export function describeTimes(values: readonly number[]): string {
  if (values.length === 0) return "none";
  const at = (q: number): string => quantile(values, q).toFixed(0);
  return `n ${values.length}, min ${at(0)}, median ${at(0.5)}, p90 ${at(0.9)}, max ${at(1)} ms`;
}

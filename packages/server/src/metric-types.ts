// Counters are plain numbers on the objects they count; a family says how they are called outside and
// reads them when somebody asks. Nothing is registered globally and nothing is computed between scrapes.

/** A histogram with fixed upper bounds; the last bucket is +Inf. */
export class Histogram {
  readonly bounds: readonly number[];
  /** Observations per bucket, not cumulated; one more than `bounds`. */
  readonly counts: number[];
  sum = 0;
  count = 0;

  constructor(bounds: readonly number[]) {
    this.bounds = bounds;
    this.counts = new Array<number>(bounds.length + 1).fill(0);
  }

  observe(value: number): void {
    const bounds = this.bounds;
    let i = 0;
    while (i < bounds.length && value > bounds[i]!) i++;
    this.counts[i]! += 1;
    this.sum += value;
    this.count += 1;
  }
}

/** `count` bounds from `start`, each twice the one before. */
export function doublingBounds(start: number, count: number): readonly number[] {
  const bounds: number[] = [];
  for (let i = 0, bound = start; i < count; i++, bound *= 2) bounds.push(bound);
  return bounds;
}

export type MetricType = "counter" | "gauge" | "histogram";

/** Receives one series: the values of the family's labels, in their order, and what it stands at. */
export type EmitMetric = (labelValues: readonly string[], value: number | Histogram) => void;

export interface MetricFamily {
  readonly name: string;
  readonly help: string;
  readonly type: MetricType;
  readonly labelNames: readonly string[];
  collect(emit: EmitMetric): void;
}

/** Counters by label values, bounded: beyond `seriesMax` everything counts under "other". */
export class LabelledCounts {
  readonly #seriesMax: number;
  readonly #labelCount: number;
  readonly #counts: Map<string, { readonly labels: readonly string[]; value: number }> = new Map();

  constructor(labelCount: number, seriesMax = 200) {
    this.#labelCount = labelCount;
    this.#seriesMax = seriesMax;
  }

  add(amount: number, ...labels: readonly string[]): void {
    const key = labels.length === 1 ? labels[0]! : labels.join("\0");
    let cell = this.#counts.get(key);
    if (cell === undefined) {
      if (this.#counts.size >= this.#seriesMax) {
        const others = new Array<string>(this.#labelCount).fill("other");
        if (key !== others.join("\0")) this.add(amount, ...others);
        else this.#counts.set(key, { labels: others, value: amount });
        return;
      }
      cell = { labels, value: 0 };
      this.#counts.set(key, cell);
    }
    cell.value += amount;
  }

  set(value: number, ...labels: readonly string[]): void {
    this.add(0, ...labels);
    const cell = this.#counts.get(labels.join("\0"));
    if (cell !== undefined) cell.value = value;
  }

  collect(emit: EmitMetric): void {
    for (const cell of this.#counts.values()) emit(cell.labels, cell.value);
  }
}

/** Histograms by label values that are known in advance or few. */
export class LabelledHistograms {
  readonly #bounds: readonly number[];
  readonly #cells: Map<string, { readonly labels: readonly string[]; histogram: Histogram }> =
    new Map();

  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
  }

  /** The histogram of these labels; keep it where it is used often. */
  of(...labels: readonly string[]): Histogram {
    const key = labels.join("\0");
    let cell = this.#cells.get(key);
    if (cell === undefined) {
      cell = { labels, histogram: new Histogram(this.#bounds) };
      this.#cells.set(key, cell);
    }
    return cell.histogram;
  }

  /** Only histograms with observations are series. */
  collect(emit: EmitMetric): void {
    for (const cell of this.#cells.values()) {
      if (cell.histogram.count > 0) emit(cell.labels, cell.histogram);
    }
  }
}

// A micro-benchmark: one hot primitive, the plain version of it where there is one, and how they are timed.

import { median } from "../report/report.ts";

export interface Variant {
  /** Does the work `count` times; what it gives back, or a promise of it, keeps the engine from leaving the work out. */
  run(count: number): unknown;
}

export interface Prepared {
  /** What counts as one operation. */
  readonly unit: string;
  readonly fast: Variant;
  /** The plain version, which the fast one has to agree with. */
  readonly plain?: Variant & { readonly what: string };
  /** Throws when the fast version gives something else than the plain one, or than what is known to be right. */
  check(): void | Promise<void>;
  close?(): void | Promise<void>;
}

export interface MicroBenchmark {
  readonly name: string;
  readonly title: string;
  prepare(): Prepared | Promise<Prepared>;
}

export interface MicroFigure {
  readonly name: string;
  readonly unit: string;
  readonly nanoseconds: number;
  readonly fastest: number;
  readonly slowest: number;
  readonly plain: { readonly what: string; readonly nanoseconds: number } | undefined;
}

const passes = 7;

/** Several passes of about `passMs` each, the two versions in turn; medians. */
export async function measureMicro(
  benchmark: MicroBenchmark,
  passMs: number,
): Promise<MicroFigure> {
  const prepared = await benchmark.prepare();
  try {
    await prepared.check();
    const { fast, plain } = prepared;
    const fastCount = await calibrate(fast, passMs);
    const plainCount = plain === undefined ? 0 : await calibrate(plain, passMs);
    const fastTimes: number[] = [];
    const plainTimes: number[] = [];
    for (let pass = 0; pass < passes; pass++) {
      fastTimes.push(await timed(fast, fastCount));
      if (plain !== undefined) plainTimes.push(await timed(plain, plainCount));
    }
    return {
      name: benchmark.name,
      unit: prepared.unit,
      nanoseconds: median(fastTimes),
      fastest: Math.min(...fastTimes),
      slowest: Math.max(...fastTimes),
      plain:
        plain === undefined ? undefined : { what: plain.what, nanoseconds: median(plainTimes) },
    };
  } finally {
    await prepared.close?.();
  }
}

/** How many fit into a pass; found by doubling, which also warms the code up. */
async function calibrate(variant: Variant, passMs: number): Promise<number> {
  for (let count = 1; ; count *= 2) {
    const tookMs = ((await timed(variant, count)) * count) / 1e6;
    if (tookMs >= passMs / 2) return Math.max(1, Math.round((count * passMs) / tookMs));
  }
}

/** What comes out goes here, so that nothing is optimised away. */
let sink: unknown;

/** Nanoseconds of one operation. */
async function timed(variant: Variant, count: number): Promise<number> {
  const startMs = performance.now();
  const result = variant.run(count);
  sink = result instanceof Promise ? await result : result;
  const tookMs = performance.now() - startMs;
  if (sink === undefined) throw new Error("a micro-benchmark has to give something back");
  return Math.max((tookMs * 1e6) / count, 1e-3);
}

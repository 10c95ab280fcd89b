// The results of a run, as they are kept in `results.json`.

import type { Figure, Goal, Sample } from "../scenario.ts";

export interface Report {
  readonly version: string;
  readonly machine: string;
  readonly quick: boolean;
  readonly results: readonly ScenarioResult[];
}

export interface ScenarioResult {
  readonly name: string;
  readonly title: string;
  readonly note?: string | undefined;
  readonly figures: readonly Figure[];
  readonly goals: readonly Goal[];
  /** The stock server that it was measured against. */
  readonly against: string | undefined;
  readonly rounds: number;
  readonly measureMs: number;
  /** When it was measured. */
  readonly at: string;
  readonly ours: readonly Sample[];
  readonly stock: readonly Sample[];
  readonly remarks: readonly string[];
  /** Why it ended without all its figures. */
  readonly failure?: string | undefined;
  /** The time of a quick run was over before it. */
  readonly leftOut?: boolean;
}

export interface Verdict {
  readonly goal: Goal;
  /** Undefined when it could not be measured. */
  readonly value: number | undefined;
  readonly reached: boolean | undefined;
}

/** Of one figure, what each round found. */
export function samplesOf(samples: readonly Sample[], key: string): number[] {
  return samples.flatMap((sample) => sample[key] ?? []);
}

/** NaN without samples. */
export function median(samples: readonly number[]): number {
  const sorted = [...samples].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  if (sorted.length % 2 === 1) return sorted[middle] as number;
  return ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2;
}

/** Ours as a multiple of stock's, from the medians. */
export function ratioOf(result: ScenarioResult, key: string): number | undefined {
  const ours = samplesOf(result.ours, key);
  const stock = samplesOf(result.stock, key);
  if (ours.length === 0 || stock.length === 0) return undefined;
  const denominator = median(stock);
  return denominator === 0 ? undefined : median(ours) / denominator;
}

export function verdictsOf(result: ScenarioResult): Verdict[] {
  return result.goals.map((goal) => {
    const value = goal.of === "times" ? ratioOf(result, goal.figure) : ownValue(result, goal);
    const reached =
      value === undefined
        ? undefined
        : goal.sense === "atLeast"
          ? value >= goal.limit
          : value <= goal.limit;
    return { goal, value, reached };
  });
}

function ownValue(result: ScenarioResult, goal: Goal): number | undefined {
  const ours = samplesOf(result.ours, goal.figure);
  return ours.length === 0 ? undefined : median(ours);
}

/** The scenarios of `before` that `now` did not measure, then those of `now`, in the order of `names`. */
export function mergeReports(
  before: Report | undefined,
  now: Report,
  names: readonly string[],
): Report {
  const measured = new Set(now.results.map((it) => it.name));
  const kept = (before?.results ?? []).filter((it) => !measured.has(it.name));
  const order = (name: string): number => {
    const place = names.indexOf(name);
    return place === -1 ? names.length : place;
  };
  const results = [...kept, ...now.results].sort((a, b) => order(a.name) - order(b.name));
  return { ...now, quick: now.quick || (before?.quick ?? false), results };
}

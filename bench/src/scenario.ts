// What a scenario is, and what it is given to run with.

import type { Contender } from "./contenders.ts";
import type { Target } from "./load/connections.ts";
import type { Cluster, ClusterOptions } from "./servers/cluster.ts";

export interface Figure {
  readonly key: string;
  readonly label: string;
  readonly unit: string;
  /** In the JSON and in plots, not in the table. */
  readonly hidden?: boolean;
}

/** One round's figures by key. A figure that a server does not tell, or that was not taken, is absent. */
export type Sample = Readonly<Record<string, number>>;

/** What has to hold: a figure as a multiple of stock's (`times`), or in its own unit (`value`). */
export interface Goal {
  readonly figure: string;
  readonly of: "times" | "value";
  readonly sense: "atLeast" | "atMost";
  readonly limit: number;
}

export interface Scenario {
  readonly name: string;
  /** With the sizes of a full run. */
  readonly title: string;
  /** With the sizes of this plan, for scenarios that have others in other plans. */
  titleOf?(plan: Plan): string;
  readonly figures: readonly Figure[];
  readonly goals: readonly Goal[];
  /** There is nothing to compare: only ours is measured. */
  readonly oursOnly?: boolean;
  /** Rounds of a full run, when they differ from those of the plan. */
  readonly rounds?: number;
  /** What a reader of the figures has to know. */
  readonly note?: string;
  run(context: Context): Promise<Sample>;
}

export interface Plan {
  readonly quick: boolean;
  readonly rounds: number;
  readonly warmupMs: number;
  /** The warm-up goes on until so many answers have come, but not beyond three times its time. */
  readonly warmupAnswers: number;
  readonly measureMs: number;
  /** Keys of the large store. */
  readonly largeKeyCount: number;
  /** A round that takes longer has failed. */
  readonly roundTimeoutMs: number;
}

export interface Context {
  readonly contender: Contender;
  readonly plan: Plan;
  /** From 1; the seed of what is random. */
  readonly round: number;
  /** An empty folder of this round's own, on the measured disk. */
  readonly folder: string;
  /** Starts servers below `folder`; whatever happens they are gone after the round. */
  start(options?: Omit<ClusterOptions, "folder">): Promise<Cluster>;
  progress(text: string): void;
  note(text: string): void;
}

export function targetOf(cluster: Cluster, trustedCaPem?: string): Target {
  return { endpoints: cluster.endpoints, trustedCaPem };
}

export const atLeast = (figure: string, limit: number, of: Goal["of"] = "times"): Goal => {
  return { figure, of, sense: "atLeast", limit };
};

export const atMost = (figure: string, limit: number, of: Goal["of"] = "times"): Goal => {
  return { figure, of, sense: "atMost", limit };
};

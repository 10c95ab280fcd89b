// A cluster that grows and shrinks under load: one member, three, five, three again. New members come as
// learners and are promoted when they have caught up; of those that go, one follows and one leads.
// No write may fail but with an error that etcd has for this (and clients try again after), and none may
// take longer than the limit.

import type { Programs } from "../programs.ts";
import { Cluster } from "./cluster.ts";
import { describeTimes, quantile } from "./distribution.ts";
import { Ledger } from "./ledger.ts";
import { type Failure, Load } from "./load.ts";
import { messageOf } from "./waiting.ts";

export interface ReconfigureOptions {
  /** The first member's, and those of all others. */
  readonly programs: Programs;
  readonly seed: number;
  readonly writesPerSecond: number;
  /** How many members there are at the end of each phase. */
  readonly sizes: readonly number[];
  readonly writeMsMax: number;
  readonly args?: readonly string[];
  readonly progress?: (line: string) => void;
}

export interface ReconfigureReport {
  readonly acknowledged: number;
  readonly latenciesMs: readonly number[];
  readonly failures: readonly Failure[];
  readonly durationMs: number;
}

const steadyMs = 60_000;

export async function reconfigure(options: ReconfigureOptions): Promise<ReconfigureReport> {
  const startMs = performance.now();
  const latenciesMs: number[] = [];
  const failures: Failure[] = [];
  try {
    return await Cluster.use(
      { programs: [options.programs], ...(options.args ? { args: options.args } : {}) },
      async (cluster) => {
        const ledger = new Ledger((await cluster.settled()).revision);
        const load = new Load({
          ...{ endpoints: cluster.endpoints, ledger, seed: options.seed },
          writesPerSecond: options.writesPerSecond,
          // So that one that takes too long is told with its time.
          writeTimeoutMs: Math.max(4_000, options.writeMsMax + 1_000),
        });
        /** Sums up a step and holds it against the limits. */
        const took = (what: string): void => {
          const latencies = load.takeLatencies();
          const failed = load.takeFailures();
          latenciesMs.push(...latencies);
          failures.push(...failed);
          options.progress?.(
            `${what}: writes ${describeTimes(latencies)}; ${failed.length} failed${describeFailures(failed)}`,
          );
          const wrong = failed.find((it) => !it.retryable);
          if (wrong !== undefined) throw new Error(`${what}: a write failed with ${wrong.error}`);
          const slowest = Math.max(quantile(latencies, 1), ...failed.map((it) => it.afterMs));
          if (slowest > options.writeMsMax) {
            throw new Error(`${what}: a write took ${slowest.toFixed(0)} ms`);
          }
        };
        try {
          load.start();
          await load.acknowledge(options.writesPerSecond, steadyMs);
          took("one member");
          for (const size of options.sizes) {
            while (cluster.members.length < size) {
              const member = await cluster.add(options.programs, "learner");
              took(`${member.name} joined as a learner`);
              await cluster.promote(member);
              await cluster.untilServing([member]);
              await load.redirect(cluster.endpoints);
              await load.acknowledge(options.writesPerSecond / 2, steadyMs);
              took(`${member.name} was promoted`);
            }
            let removesLeader = false;
            while (cluster.members.length > size) {
              const leader = await cluster.leader();
              const member = removesLeader ? leader : cluster.members.find((it) => it !== leader);
              if (member === undefined) throw new Error("no member to remove");
              // As an operator does it: first its clients go elsewhere.
              await load.redirect(
                cluster.members.filter((it) => it !== member).map((it) => it.endpoint),
              );
              if (removesLeader) {
                const next = cluster.members.find((it) => it !== member);
                if (next !== undefined) await cluster.moveLeader(next);
                took(`the lead went from ${member.name} to ${next?.name}`);
              }
              await cluster.remove(member);
              await member.ended(60_000);
              await load.acknowledge(options.writesPerSecond / 2, steadyMs);
              took(`${member.name} was removed${removesLeader ? ", the former leader" : ""}`);
              removesLeader = !removesLeader;
            }
          }
          await load.stop();
          const { revision } = await cluster.settled();
          for (const member of cluster.members.slice(0, 1)) {
            await ledger.verify(member.client, revision);
          }
          await cluster.restartEach();
          await cluster.settled();
        } finally {
          load.close();
        }
        return {
          ...{ acknowledged: ledger.acknowledgedCount, latenciesMs, failures },
          durationMs: performance.now() - startMs,
        };
      },
    );
  } catch (error) {
    throw new Error(
      `${messageOf(error)}\nrepeat: npm run conformance -- reconfigure --seed ${options.seed}`,
      { cause: error },
    );
  }
}

export function describeFailures(failures: readonly Failure[]): string {
  const counts = new Map<string, number>();
  for (const it of failures) counts.set(it.error, (counts.get(it.error) ?? 0) + 1);
  return [...counts].map(([text, count]) => `, ${count} × ${text}`).join("");
}

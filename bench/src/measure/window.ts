// What a stretch of time cost: the servers' CPU time, the generator's, and what was left to others.

import { machineBusyMs, sumOfStats } from "./process-stats.ts";

export interface WindowCost {
  readonly elapsedMs: number;
  readonly serverCpuMs: number;
  /** Of this process, which makes the load. */
  readonly generatorCpuMs: number;
  /** What neither the servers nor the generator used: other processes, and the kernel's own work. */
  readonly otherCpuMs: number;
  readonly peakResidentBytes: number;
}

export class Window {
  readonly #pids: readonly number[];
  readonly #begin: Snapshot;

  constructor(pids: readonly number[]) {
    this.#pids = pids;
    this.#begin = snapshot(pids);
  }

  /** The cost up to now. */
  read(): WindowCost {
    const end = snapshot(this.#pids);
    return windowCost(this.#begin, end);
  }
}

export interface Snapshot {
  readonly atMs: number;
  readonly serverCpuMs: number;
  readonly generatorCpuMs: number;
  readonly machineBusyMs: number;
  readonly peakResidentBytes: number;
}

export function windowCost(begin: Snapshot, end: Snapshot): WindowCost {
  const serverCpuMs = end.serverCpuMs - begin.serverCpuMs;
  const generatorCpuMs = end.generatorCpuMs - begin.generatorCpuMs;
  const busyMs = end.machineBusyMs - begin.machineBusyMs;
  return {
    elapsedMs: end.atMs - begin.atMs,
    serverCpuMs,
    generatorCpuMs,
    otherCpuMs: Math.max(0, busyMs - serverCpuMs - generatorCpuMs),
    peakResidentBytes: end.peakResidentBytes,
  };
}

function snapshot(pids: readonly number[]): Snapshot {
  const own = process.cpuUsage();
  const servers = sumOfStats(pids);
  return {
    atMs: performance.now(),
    serverCpuMs: servers.cpuMs,
    generatorCpuMs: (own.user + own.system) / 1000,
    machineBusyMs: machineBusyMs(),
    peakResidentBytes: servers.peakResidentBytes,
  };
}

/** Above this share of a core the generator may be what limits the throughput. */
const generatorLimit = 0.9;
/** Above this share of a core somebody else's work may have changed the figures. */
const othersLimit = 0.15;

/** What a reader should know about how far a figure can be trusted. */
export function notesOn(cost: WindowCost): string[] {
  const notes: string[] = [];
  const generator = cost.generatorCpuMs / cost.elapsedMs;
  if (generator > generatorLimit) {
    notes.push("the load generator used a whole core: it may be the limit");
  }
  const others = cost.otherCpuMs / cost.elapsedMs;
  if (others > othersLimit) notes.push("other work used the machine at the same time");
  return notes;
}

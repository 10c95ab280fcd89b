// The load generator: closed-loop clients (each sends its next request when the answer to the last one is
// there) over a number of connections, with a warm-up that is not counted.

import type { Bytes } from "@etcd-ts/base";
import { RawClient } from "@etcd-ts/conformance";
import { Histogram } from "./histogram.ts";
import { type ProcessStats, processStats } from "./process-stats.ts";

export interface Load {
  readonly endpoint: string;
  readonly pid: number;
  readonly clientCount: number;
  readonly connectionCount: number;
  readonly warmupMs: number;
  readonly measureMs: number;
  /** The next request of a client. */
  readonly next: (client: number) => { readonly path: string; readonly message: Bytes };
}

export interface LoadResult {
  readonly operations: number;
  readonly perSecond: number;
  /** Server's user and system time per operation. */
  readonly serverCpuUs: number;
  /** Our own, to see when the generator is the limit. */
  readonly generatorCpuUs: number;
  readonly generatorCpuShare: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
  readonly maxMs: number;
  readonly peakResidentBytes: number;
}

export async function runLoad(load: Load): Promise<LoadResult> {
  const connections = Array.from(
    { length: load.connectionCount },
    () => new RawClient(load.endpoint),
  );
  const histogram = new Histogram();
  let phase: "warmup" | "measure" | "end" = "warmup";
  const clients = Array.from({ length: load.clientCount }, async (_, client) => {
    const connection = connections[client % connections.length] as RawClient;
    while (phase !== "end") {
      const { path, message } = load.next(client);
      const startMs = performance.now();
      await connection.unary(path, message);
      if (phase === "measure") histogram.add(performance.now() - startMs);
    }
  });
  const failed = new Promise<never>((_, reject) => {
    for (const client of clients) client.catch(reject);
  });
  try {
    await Promise.race([pause(load.warmupMs), failed]);
    phase = "measure";
    const begin = observe(load.pid);
    await Promise.race([pause(load.measureMs), failed]);
    const end = observe(load.pid);
    const operations = histogram.count;
    phase = "end";
    await Promise.all(clients);
    const elapsedMs = end.atMs - begin.atMs;
    const generatorMs = end.ownCpuMs - begin.ownCpuMs;
    return {
      operations,
      perSecond: (operations / elapsedMs) * 1000,
      serverCpuUs: ((end.server.cpuMs - begin.server.cpuMs) / operations) * 1000,
      generatorCpuUs: (generatorMs / operations) * 1000,
      generatorCpuShare: generatorMs / elapsedMs,
      p50Ms: histogram.quantileMs(0.5),
      p99Ms: histogram.quantileMs(0.99),
      p999Ms: histogram.quantileMs(0.999),
      maxMs: histogram.maxMs,
      peakResidentBytes: end.server.peakResidentBytes,
    };
  } finally {
    phase = "end";
    for (const connection of connections) connection.close();
  }
}

function observe(pid: number): { atMs: number; ownCpuMs: number; server: ProcessStats } {
  const own = process.cpuUsage();
  return {
    atMs: performance.now(),
    ownCpuMs: (own.user + own.system) / 1000,
    server: processStats(pid),
  };
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

// A store of a million keys: memory, restart, and questions that should not depend on its size.

import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { decodeRangeResponse, encodeRangeRequest, RangeRequest } from "@etcd-ts/api";
import type { Channel } from "@etcd-ts/rpc";
import { openChannel, pause } from "../load/connections.ts";
import { preload } from "../load/preload.ts";
import { paths } from "../load/requests.ts";
import { processStats } from "../measure/process-stats.ts";
import { median } from "../report/report.ts";
import { atMost, type Context, type Sample, type Scenario, targetOf } from "../scenario.ts";
import { Stalls } from "./load-scenario.ts";

const repeats = 41;

export const largeStoreScenario: Scenario = {
  name: "large-store",
  title: "1,000,000 keys of 32 B with 256 B",
  titleOf: ({ largeKeyCount }) => `${largeKeyCount.toLocaleString("en")} keys of 32 B with 256 B`,
  figures: [
    { key: "loadedMb", label: "memory, loaded", unit: "MB" },
    { key: "loadedAnonymousMb", label: "of it not mapped from files", unit: "MB" },
    { key: "restartedMb", label: "memory, after restart", unit: "MB" },
    { key: "restartedAnonymousMb", label: "of it not mapped from files", unit: "MB" },
    { key: "restartMs", label: "start to first linearizable answer", unit: "ms" },
    { key: "countMs", label: "count_only of everything", unit: "ms" },
    { key: "limitOneMs", label: "everything with limit 1", unit: "ms" },
    { key: "stallMs", label: "longest stall of the event loop while loading", unit: "ms" },
    { key: "restartStallMs", label: "and while restarting", unit: "ms" },
    { key: "directoryMb", label: "data directory", unit: "MB" },
  ],
  goals: [
    atMost("loadedMb", 0.8),
    atMost("restartedMb", 0.8),
    atMost("restartMs", 0.2),
    atMost("countMs", 2, "value"),
    atMost("limitOneMs", 2, "value"),
  ],
  rounds: 1,
  note: "100 keys to a transaction, 16 transactions at a time; times of answers are the client's, median of 41",
  run: measureLargeStore,
};

async function measureLargeStore(context: Context): Promise<Sample> {
  const keyCount = context.plan.largeKeyCount;
  let cluster = await context.start();
  const stalls = new Stalls(cluster.endpoints);
  await stalls.begin();
  await preload(targetOf(cluster), keyCount, { progress: everyQuarter(context, keyCount) });
  await pause(context.plan.quick ? 200 : 2_000);
  const loaded = processStats(cluster.pids[0] as number);
  const loadStall = await stalls.end();
  const { ports } = cluster;
  await cluster.stop();
  const startMs = performance.now();
  cluster = await context.start({ ports });
  const channel = openChannel(cluster.endpoint);
  try {
    const count = await ask(channel, 1n, false);
    const restartMs = performance.now() - startMs;
    if (count !== keyCount) throw new Error(`${count} keys came back of ${keyCount}`);
    const limitOneMs = await medianMs(() => ask(channel, 1n, false));
    const countMs = await medianMs(() => ask(channel, 0n, true));
    await pause(context.plan.quick ? 200 : 1_000);
    const restarted = processStats(cluster.pids[0] as number);
    // Nothing happened before the restart, so the longest since the start is what is wanted.
    const restartStalls = new Stalls(cluster.endpoints);
    const { stallMs: restartStallMs } = await restartStalls.sinceStart();
    return {
      loadedMb: loaded.residentBytes / 1e6,
      loadedAnonymousMb: loaded.anonymousBytes / 1e6,
      restartedMb: restarted.residentBytes / 1e6,
      restartedAnonymousMb: restarted.anonymousBytes / 1e6,
      restartMs,
      countMs,
      limitOneMs,
      ...loadStall,
      ...(restartStallMs === undefined ? {} : { restartStallMs }),
      directoryMb: folderBytes(cluster.dataDir(0)) / 1e6,
    };
  } finally {
    channel.close();
  }
}

function everyQuarter(context: Context, keyCount: number): (done: number) => void {
  let shown = 0;
  return (done) => {
    if (done < shown + keyCount / 4) return;
    shown = done;
    context.progress(`  ${done.toLocaleString("en")} of ${keyCount.toLocaleString("en")} keys`);
  };
}

async function ask(channel: Channel, limit: bigint, countOnly: boolean): Promise<number> {
  const range = new RangeRequest();
  range.key = new Uint8Array([0]);
  range.rangeEnd = new Uint8Array([0]);
  range.limit = limit;
  range.countOnly = countOnly;
  const message = encodeRangeRequest(range);
  const answer = await channel.unary(paths.range, message, {
    waitForReady: true,
    timeoutMs: 60_000,
  });
  return Number(decodeRangeResponse(answer).count);
}

async function medianMs(run: () => Promise<unknown>): Promise<number> {
  const samples: number[] = [];
  for (let n = 0; n < repeats; n++) {
    const startMs = performance.now();
    await run();
    samples.push(performance.now() - startMs);
  }
  return median(samples);
}

/** What the files of a folder take on the disk. */
export function folderBytes(folder: string): number {
  let bytes = 0;
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) {
      bytes += folderBytes(path);
      continue;
    }
    // A server removes segments of its log while we look.
    const stats = statSync(path, { throwIfNoEntry: false });
    // Blocks, not lengths: preallocated and mapped files are sparse.
    bytes += (stats?.blocks ?? 0) * 512;
  }
  return bytes;
}

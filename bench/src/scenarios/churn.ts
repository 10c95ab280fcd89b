// Much data written through a small live set, with compaction: does the store keep its size and its pace without defragmentation?
//
// The quiet figures come from a server of their own, which is not compacted: what it keeps would enlarge the other's data directory. The other one
// gets the live set, then the same load with compaction from its first put on, until the volume is reached.

import {
  CompactionRequest,
  decodeRangeResponse,
  encodeCompactionRequest,
  encodeRangeRequest,
  RangeRequest,
} from "@etcd-ts/api";
import { SeededRandom } from "@etcd-ts/base";
import { ClosedLoop } from "../load/closed-loop.ts";
import { callOnce, pause } from "../load/connections.ts";
import { preload } from "../load/preload.ts";
import { keyOf, paths, puts } from "../load/requests.ts";
import { notesOn, Window } from "../measure/window.ts";
import {
  atMost,
  type Context,
  type Plan,
  type Sample,
  type Scenario,
  targetOf,
} from "../scenario.ts";
import type { Cluster } from "../servers/cluster.ts";
import { folderBytes } from "./large-store.ts";
import { costFigures, Stalls } from "./load-scenario.ts";

const valueBytes = 4096;
const clientCount = 20;
const timeLimitMs = 20 * 60_000;

export const churnScenario: Scenario = {
  name: "churn",
  title: "10 GB written through a live set of 256 MB, with compaction",
  titleOf: (plan) => {
    const { liveBytes, volumeBytes } = sizesOf(plan);
    const [volume, live] = [`${volumeBytes / 1e9} GB`, `${liveBytes / 1e6} MB`];
    return `${volume} written through a live set of ${live}, with compaction`;
  },
  figures: [
    { key: "perSecond", label: "puts of 4 KiB", unit: "/s" },
    { key: "cpuUs", label: "server CPU per operation", unit: "µs" },
    { key: "writtenGb", label: "written", unit: "GB" },
    { key: "quietP99Ms", label: "put p99 without compaction", unit: "ms" },
    { key: "p99Ms", label: "put p99 with compaction", unit: "ms" },
    { key: "p99Times", label: "put p99, times its quiet value", unit: "" },
    { key: "pauseMs", label: "longest time without an answer", unit: "ms" },
    { key: "maxMs", label: "slowest put", unit: "ms" },
    { key: "stallMs", label: "longest stall of the event loop", unit: "ms" },
    { key: "directoryMb", label: "data directory at its largest", unit: "MB" },
    { key: "directoryTimes", label: "data directory, times the live set", unit: "" },
    { key: "endMb", label: "data directory at the end", unit: "MB" },
    { key: "peakMb", label: "peak memory", unit: "MB" },
    { key: "generator", label: "load generator's CPU", unit: "of a core" },
  ],
  goals: [
    atMost("pauseMs", 100, "value"),
    atMost("stallMs", 100, "value"),
    atMost("directoryTimes", 4, "value"),
    atMost("p99Times", 2, "value"),
  ],
  rounds: 1,
  note: "20 clients; both servers with --quota-backend-bytes of 8 GiB, compacted every 5 s to the revision of that moment; the data directory includes the log",
  run: measureChurn,
};

function sizesOf({ quick }: Plan): { readonly liveBytes: number; readonly volumeBytes: number } {
  return quick ? { liveBytes: 16e6, volumeBytes: 100e6 } : { liveBytes: 256e6, volumeBytes: 10e9 };
}

async function measureChurn(context: Context): Promise<Sample> {
  const { quick } = context.plan;
  const { liveBytes, volumeBytes } = sizesOf(context.plan);
  const quietP99Ms = await measureQuiet(context);
  const { cluster, loop } = await startLoad(context);
  const compactEveryMs = quick ? 700 : 5_000;
  const stalls = new Stalls(cluster.endpoints);
  let compactedMs = performance.now();
  let directoryBytes = 0;
  const goOn = async (): Promise<void> => {
    await Promise.race([pause(quick ? 100 : 1000), loop.failed]);
    directoryBytes = Math.max(directoryBytes, folderBytes(cluster.dataDir(0)));
    if (performance.now() - compactedMs < compactEveryMs) return;
    compactedMs = performance.now();
    await compact(cluster);
  };
  try {
    const warmedMs = performance.now() + context.plan.warmupMs;
    while (performance.now() < warmedMs) await goOn();
    await stalls.begin();
    const busy = loop.record();
    const window = new Window(cluster.pids);
    const volume = Math.ceil(volumeBytes / valueBytes);
    const endMs = performance.now() + timeLimitMs;
    while (busy.count < volume && performance.now() < endMs) await goOn();
    const cost = window.read();
    for (const note of notesOn(cost)) context.note(note);
    const operations = busy.count;
    const pauseMs = loop.longestGapMs;
    if (operations < volume) {
      context.note(`${context.contender.name} had not written the volume after 20 minutes`);
    }
    const stall = await stalls.end();
    await Promise.race([loop.finish(), loop.failed]);
    return {
      ...costFigures(cost, operations),
      writtenGb: (operations * valueBytes) / 1e9,
      quietP99Ms,
      p99Ms: busy.quantileMs(0.99),
      p99Times: busy.quantileMs(0.99) / quietP99Ms,
      maxMs: busy.maxMs,
      pauseMs,
      ...stall,
      directoryMb: directoryBytes / 1e6,
      directoryTimes: directoryBytes / liveBytes,
      endMb: folderBytes(cluster.dataDir(0)) / 1e6,
    };
  } finally {
    loop.close();
  }
}

/** p99 of the same load without compaction, in ms. */
async function measureQuiet(context: Context): Promise<number> {
  const { cluster, loop } = await startLoad(context);
  try {
    await Promise.race([pause(context.plan.warmupMs), loop.failed]);
    const quiet = loop.record();
    await Promise.race([pause(context.plan.quick ? 1_000 : 15_000), loop.failed]);
    const p99Ms = quiet.quantileMs(0.99);
    await Promise.race([loop.finish(), loop.failed]);
    return p99Ms;
  } finally {
    loop.close();
    await cluster.stop();
  }
}

/** A server with the live set, under the load. */
async function startLoad(context: Context): Promise<{ cluster: Cluster; loop: ClosedLoop }> {
  const keyCount = Math.floor(sizesOf(context.plan).liveBytes / valueBytes);
  const cluster = await context.start({ args: ["--quota-backend-bytes", String(8 * 2 ** 30)] });
  const target = targetOf(cluster);
  const value = new SeededRandom(11).bytes(valueBytes);
  await preload(target, keyCount, { value });
  const next = puts(keyCount, context.round, value);
  const loop = new ClosedLoop(target, clientCount, clientCount, next);
  loop.start();
  return { cluster, loop };
}

/** Compacts to the revision of this moment. */
async function compact(cluster: Cluster): Promise<void> {
  const range = new RangeRequest();
  range.key = keyOf(0);
  range.countOnly = true;
  const answer = await callOnce(targetOf(cluster), paths.range, encodeRangeRequest(range));
  const request = new CompactionRequest();
  request.revision = BigInt(decodeRangeResponse(answer).header?.revision ?? 0);
  await callOnce(targetOf(cluster), paths.compact, encodeCompactionRequest(request));
}

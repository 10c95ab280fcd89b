// Watch: one key with many watchers, and many keys with a watcher each.

import { SeededRandom } from "@etcd-ts/base";
import { ClosedLoop, warmUp } from "../load/closed-loop.ts";
import { pause } from "../load/connections.ts";
import { OpenLoop } from "../load/open-loop.ts";
import { numberedPut, Watchers } from "../load/watchers.ts";
import { notesOn, Window } from "../measure/window.ts";
import {
  atLeast,
  atMost,
  type Context,
  type Figure,
  type Sample,
  type Scenario,
  targetOf,
} from "../scenario.ts";
import { costFigures, latencyFigures, Stalls } from "./load-scenario.ts";

const watchConnections = 10;
/** A server that delivers nothing for so long has lost the rest. */
const patienceMs = 10_000;

const eventFigures: readonly Figure[] = [
  { key: "perSecond", label: "events delivered", unit: "/s" },
  { key: "cpuUs", label: "server CPU per event", unit: "µs" },
  { key: "p50Ms", label: "put to delivery, p50", unit: "ms" },
  { key: "p99Ms", label: "put to delivery, p99", unit: "ms" },
  { key: "p999Ms", label: "put to delivery, p99.9", unit: "ms" },
  { key: "missing", label: "events that never came", unit: "" },
  { key: "peakMb", label: "peak memory", unit: "MB" },
  { key: "stallMs", label: "longest stall of the event loop", unit: "ms" },
  { key: "generator", label: "load generator's CPU", unit: "of a core" },
  { key: "others", label: "CPU of other processes", unit: "of a core", hidden: true },
];

export const watchOneScenario: Scenario = {
  name: "watch-one",
  title: "1,000 watchers of one key on 10 connections, 1,000 puts/s",
  figures: eventFigures,
  goals: [atMost("missing", 0, "value"), atMost("cpuUs", 0.3), atMost("p99Ms", 0.5)],
  note: "time runs until the last event has come; a server that falls behind shows it in the latencies and in events/s",
  run: watchOne,
};

async function watchOne(context: Context): Promise<Sample> {
  const watcherCount = 1000;
  const putsPerSecond = 1000;
  const cluster = await context.start();
  const target = targetOf(cluster);
  const stalls = new Stalls(cluster.endpoints);
  const { warmupMs, measureMs } = context.plan;
  const sequenceMax = Math.ceil(((warmupMs + measureMs) / 1000) * putsPerSecond) + 10_000;
  const watchers = new Watchers(target, watchConnections, sequenceMax);
  let sequence = 0;
  const next = () => {
    watchers.sent(sequence);
    return numberedPut(0, sequence++);
  };
  const phase = async (ms: number): Promise<boolean> => {
    const loop = new OpenLoop({ target, perSecond: putsPerSecond, connectionCount: 1, next });
    try {
      loop.start();
      await Promise.race([pause(ms), loop.failed, watchers.failed]);
      await Promise.race([loop.finish(), loop.failed]);
      return await watchers.until(sequence * watcherCount, patienceMs);
    } finally {
      loop.close();
    }
  };
  try {
    await watchers.create(watcherCount, 1);
    await phase(warmupMs);
    await stalls.begin();
    const before = watchers.delivered;
    const expected = sequence * watcherCount;
    const latency = watchers.record();
    const window = new Window(cluster.pids);
    const complete = await phase(measureMs);
    const cost = window.read();
    for (const note of notesOn(cost)) context.note(note);
    if (!complete) context.note(`gave up waiting after ${patienceMs / 1000} s without an event`);
    const events = watchers.delivered - before;
    return {
      ...costFigures(cost, Math.max(1, events)),
      ...latencyFigures(latency),
      missing: sequence * watcherCount - expected - events,
      ...(await stalls.end()),
    };
  } finally {
    watchers.close();
  }
}

export const watchManyScenario: Scenario = {
  name: "watch-many",
  title: "10,000 watchers of different keys on 10 connections, puts of 100 clients",
  figures: eventFigures,
  goals: [atLeast("perSecond", 2), atMost("cpuUs", 0.4), atMost("missing", 0, "value")],
  note: "each put is one event; CPU per event is that of the put and of its delivery",
  run: watchMany,
};

async function watchMany(context: Context): Promise<Sample> {
  const keyCount = 10_000;
  const sequenceMax = 4_000_000;
  const cluster = await context.start();
  const target = targetOf(cluster);
  const stalls = new Stalls(cluster.endpoints);
  const watchers = new Watchers(target, watchConnections, sequenceMax);
  const random = new SeededRandom(context.round);
  let sequence = 0;
  const loop = new ClosedLoop(target, 100, 100, () => {
    const put = numberedPut(random.below(keyCount), sequence % sequenceMax);
    watchers.sent(sequence++ % sequenceMax);
    return put;
  });
  const failed = Promise.race([loop.failed, watchers.failed]);
  failed.catch(() => undefined);
  try {
    await watchers.create(keyCount, keyCount);
    loop.start();
    await Promise.race([
      warmUp(loop, context.plan.warmupMs, context.plan.warmupAnswers),
      watchers.failed,
    ]);
    await stalls.begin();
    const before = watchers.delivered;
    const latency = watchers.record();
    const window = new Window(cluster.pids);
    await Promise.race([pause(context.plan.measureMs), failed]);
    const cost = window.read();
    const events = watchers.delivered - before;
    for (const note of notesOn(cost)) context.note(note);
    await Promise.race([loop.finish(), failed]);
    await watchers.until(sequence, patienceMs);
    return {
      ...costFigures(cost, Math.max(1, events)),
      ...latencyFigures(latency),
      missing: sequence - watchers.delivered,
      ...(await stalls.end()),
    };
  } finally {
    loop.close();
    watchers.close();
  }
}

// Fifty thousand leases, each with a key, that end within five seconds, under a steady load of puts. A watcher sees the keys go.
//
// A lease may not end before its time, counted from when its grant was asked for; it has to be gone two seconds after its time, counted
// from when the grant was answered. Both times are the client's.

import {
  decodeWatchResponse,
  EventType,
  encodeTxnRequest,
  encodeWatchRequest,
  PutRequest,
  RequestOp,
  TxnRequest,
  WatchCreateRequest,
  WatchRequest,
} from "@etcd-ts/api";
import { bytesToUtf8, utf8ToBytes } from "@etcd-ts/base";
import type { Channel } from "@etcd-ts/rpc";
import { openChannels, pause } from "../load/connections.ts";
import { OpenLoop } from "../load/open-loop.ts";
import { paths, puts } from "../load/requests.ts";
import { notesOn, Window } from "../measure/window.ts";
import {
  atMost,
  type Context,
  type Plan,
  type Sample,
  type Scenario,
  targetOf,
} from "../scenario.ts";
import { grant } from "./lease-keepalive.ts";
import { costFigures, Stalls } from "./load-scenario.ts";

const prefix = "lease/";
const graceMs = 2000;
const putsPerSecond = 1000;

export const leaseExpiryScenario: Scenario = {
  name: "lease-expiry",
  title: "50,000 leases that end within 5 s, under 1,000 puts/s",
  titleOf: (plan) => {
    const { count, spreadMs } = sizesOf(plan);
    const within = `${spreadMs / 1000} s`;
    return `${count.toLocaleString("en")} leases that end within ${within}, under 1,000 puts/s`;
  },
  figures: [
    { key: "early", label: "ended early", unit: "" },
    { key: "left", label: "still there 2 s after their time", unit: "" },
    { key: "latestMs", label: "the latest came after its time by", unit: "ms" },
    { key: "putP50Ms", label: "put p50", unit: "ms" },
    { key: "putP99Ms", label: "put p99", unit: "ms" },
    { key: "putMaxMs", label: "slowest put", unit: "ms" },
    { key: "cpuMsPerSecond", label: "server CPU", unit: "ms/s" },
    { key: "stallMs", label: "longest stall of the event loop", unit: "ms" },
    { key: "generator", label: "load generator's CPU", unit: "of a core" },
  ],
  goals: [
    atMost("early", 0, "value"),
    atMost("left", 0, "value"),
    atMost("putP99Ms", 100, "value"),
  ],
  rounds: 1,
  note: "stock revokes at most 1,000 leases a second",
  run: measureExpiry,
};

interface Sizes {
  readonly count: number;
  /** The leases end within this time. */
  readonly spreadMs: number;
  /** Beside the time that granting takes. */
  readonly reserveMs: number;
  /** How long one that is too late is waited for, to say how late it is. */
  readonly patienceMs: number;
}

function sizesOf({ quick }: Plan): Sizes {
  return quick
    ? { count: 2_000, spreadMs: 1_000, reserveMs: 1_000, patienceMs: graceMs }
    : { count: 50_000, spreadMs: 5_000, reserveMs: 3_000, patienceMs: 15_000 };
}

interface Lease {
  readonly id: bigint;
  /** Not before. */
  readonly earliestMs: number;
  readonly dueMs: number;
  goneMs: number;
}

async function measureExpiry(context: Context): Promise<Sample> {
  const { count, spreadMs, reserveMs, patienceMs } = sizesOf(context.plan);
  const cluster = await context.start();
  const target = targetOf(cluster);
  const channels = openChannels(target, 10);
  const leases: Lease[] = new Array<Lease>(count);
  const gone = watchDeletes(channels[0] as Channel, leases);
  const loop = new OpenLoop({
    target,
    perSecond: putsPerSecond,
    connectionCount: 10,
    next: puts(10_000, context.round),
  });
  const stalls = new Stalls(cluster.endpoints);
  try {
    const leadMs = await grantingTime(channels, count, reserveMs);
    const startMs = performance.now();
    await grantAll(channels, leases, (index) => startMs + leadMs + (index / count) * spreadMs);
    await attachKeys(channels[1] as Channel, leases);
    const firstMs = leases.reduce((least, it) => Math.min(least, it.dueMs), Infinity);
    const lastMs = leases.reduce((most, it) => Math.max(most, it.dueMs), 0);
    if (performance.now() > firstMs) {
      throw new Error("granting took so long that the first leases ended before the last began");
    }
    loop.start();
    await pause(Math.max(0, firstMs - 500 - performance.now()));
    await stalls.begin();
    const latency = loop.record();
    const window = new Window(cluster.pids);
    const until = async (endMs: number): Promise<void> => {
      while (gone.count < count && performance.now() < endMs) {
        await Promise.race([pause(20), loop.failed, gone.failed]);
      }
    };
    await until(lastMs + graceMs);
    const cost = window.read();
    const figures = {
      putP50Ms: latency.quantileMs(0.5),
      putP99Ms: latency.quantileMs(0.99),
      putMaxMs: latency.maxMs,
      cpuMsPerSecond: (cost.serverCpuMs / cost.elapsedMs) * 1000,
      generator: costFigures(cost, 1)["generator"] as number,
      ...(await stalls.end()),
    };
    for (const note of notesOn(cost)) context.note(note);
    await until(lastMs + patienceMs);
    if (gone.count < count) {
      context.note(
        `${count - gone.count} leases of ${context.contender.name} were still there after ${patienceMs / 1000} s`,
      );
    }
    await loop.finish();
    return { ...figures, ...judge(leases) };
  } finally {
    loop.close();
    for (const channel of channels) channel.close();
  }
}

function judge(leases: readonly Lease[]): Sample {
  let early = 0;
  let left = 0;
  let latestMs = 0;
  for (const lease of leases) {
    if (lease.goneMs < lease.earliestMs) early += 1;
    if (lease.goneMs > lease.dueMs + graceMs) left += 1;
    latestMs = Math.max(latestMs, lease.goneMs - lease.dueMs);
  }
  return { early, left, ...(Number.isFinite(latestMs) ? { latestMs } : {}) };
}

/** How long granting so many, with their keys, takes at most: they must all be there before the first one ends. */
async function grantingTime(
  channels: readonly Channel[],
  count: number,
  reserveMs: number,
): Promise<number> {
  const probes = new Array<Lease>(Math.ceil(count / 50));
  const startMs = performance.now();
  await grantAll(channels, probes, () => performance.now() + 3_600_000);
  return reserveMs + 2 * 50 * (performance.now() - startMs);
}

/** Grants all, each with the time to live that ends it closest to when it is wanted. */
async function grantAll(
  channels: readonly Channel[],
  leases: Lease[],
  endMsOf: (index: number) => number,
): Promise<void> {
  let next = 0;
  const worker = async (_: unknown, worker: number): Promise<void> => {
    while (next < leases.length) {
      const index = next++;
      const sentMs = performance.now();
      const ttl = Math.max(2, Math.round((endMsOf(index) - sentMs) / 1000));
      const id = await grant(channels[worker % channels.length] as Channel, BigInt(ttl));
      leases[index] = {
        id,
        earliestMs: sentMs + ttl * 1000,
        dueMs: performance.now() + ttl * 1000,
        goneMs: Number.POSITIVE_INFINITY,
      };
    }
  };
  await Promise.all(Array.from({ length: 100 }, worker));
}

async function attachKeys(channel: Channel, leases: readonly Lease[]): Promise<void> {
  const perTxn = 100;
  const calls: Promise<unknown>[] = [];
  for (let from = 0; from < leases.length; from += perTxn) {
    const txn = new TxnRequest();
    leases.slice(from, from + perTxn).forEach((lease, offset) => {
      const put = new PutRequest();
      put.key = utf8ToBytes(`${prefix}${from + offset}`);
      put.value = utf8ToBytes("x");
      put.lease = lease.id;
      const op = new RequestOp();
      op.requestPut = put;
      txn.success.push(op);
    });
    calls.push(channel.unary(paths.txn, encodeTxnRequest(txn)));
    if (calls.length % 16 === 0) await Promise.all(calls);
  }
  await Promise.all(calls);
}

function watchDeletes(
  channel: Channel,
  leases: readonly Lease[],
): { count: number; failed: Promise<never> } {
  let fail: (error: Error) => void = () => undefined;
  const failed = new Promise<never>((_, reject) => {
    fail = reject;
  });
  failed.catch(() => undefined);
  const gone = { count: 0, failed };
  const stream = channel.stream(
    paths.watch,
    { waitForReady: true },
    {
      onMessage(message) {
        const nowMs = performance.now();
        const response = decodeWatchResponse(message);
        if (response.canceled) fail(new Error(`cancelled: ${response.cancelReason}`));
        for (const event of response.events) {
          if (event.type !== EventType.DELETE || event.kv === undefined) continue;
          const index = Number(bytesToUtf8(event.kv.key).slice(prefix.length));
          const lease = leases[index];
          if (lease === undefined || lease.goneMs !== Number.POSITIVE_INFINITY) {
            fail(new Error(`a key was deleted twice, or never existed: ${index}`));
            continue;
          }
          lease.goneMs = nowMs;
          gone.count += 1;
        }
      },
      onEnd(error) {
        fail(error ?? new Error("the server ended the watch"));
      },
    },
  );
  const create = new WatchCreateRequest();
  create.key = utf8ToBytes(prefix);
  create.rangeEnd = utf8ToBytes("lease0");
  const request = new WatchRequest();
  request.createRequest = create;
  stream.send(encodeWatchRequest(request));
  return gone;
}

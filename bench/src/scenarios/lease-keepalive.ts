// Keep-alives: a hundred leases with a stream for each, which ask again when they have been answered. Where each stream has a
// connection of its own, every answer is a system call of its own; where ten share one, it need not be.

import {
  decodeLeaseGrantResponse,
  decodeLeaseKeepAliveResponse,
  encodeLeaseGrantRequest,
  encodeLeaseKeepAliveRequest,
  LeaseGrantRequest,
  LeaseKeepAliveRequest,
} from "@etcd-ts/api";
import type { Bytes } from "@etcd-ts/base";
import type { Channel, ClientStream } from "@etcd-ts/rpc";
import { firstAnswer } from "../load/closed-loop.ts";
import { openChannels, pause } from "../load/connections.ts";
import { paths } from "../load/requests.ts";
import { Histogram } from "../measure/histogram.ts";
import { notesOn, Window } from "../measure/window.ts";
import {
  atLeast,
  atMost,
  type Context,
  type Sample,
  type Scenario,
  targetOf,
} from "../scenario.ts";
import { costFigures, latencyFigures, loadFigures, Stalls } from "./load-scenario.ts";

const streamCount = 100;
const ttlSeconds = 600n;

export const keepAliveScenarios: readonly Scenario[] = [
  keepAlive("lease-keepalive", 10, "on 10 connections"),
  keepAlive("lease-keepalive-100", 100, "each on a connection of its own"),
];

function keepAlive(name: string, connectionCount: number, where: string): Scenario {
  return {
    name,
    title: `lease keep-alive, ${streamCount} streams, ${where}`,
    figures: loadFigures,
    goals: [atLeast("perSecond", 3), atMost("cpuUs", 0.3)],
    run: (context) => measureKeepAlive(context, connectionCount),
  };
}

async function measureKeepAlive(context: Context, connectionCount: number): Promise<Sample> {
  const cluster = await context.start();
  const stalls = new Stalls(cluster.endpoints);
  const channels = openChannels(targetOf(cluster), connectionCount);
  const channelOf = (index: number): Channel => channels[index % connectionCount] as Channel;
  let latency = new Histogram();
  let ending = false;
  let fail: (error: Error) => void = () => undefined;
  const failed = new Promise<never>((_, reject) => {
    fail = reject;
  });
  failed.catch(() => undefined);
  try {
    const leases = await Promise.all(
      Array.from({ length: streamCount }, (_, index) => grant(channelOf(index), ttlSeconds)),
    );
    leases.forEach((lease, index) => {
      const message = keepAliveOf(lease);
      let sentMs = performance.now();
      const stream: ClientStream = channelOf(index).stream(
        paths.keepAlive,
        {},
        {
          onMessage: (answer) => {
            const nowMs = performance.now();
            latency.add(nowMs - sentMs);
            if (decodeLeaseKeepAliveResponse(answer).ttl <= 0) fail(new Error("a lease is gone"));
            if (ending) return;
            sentMs = nowMs;
            stream.send(message);
          },
          onEnd: (error) => {
            if (!ending) fail(error ?? new Error("the server ended a keep-alive stream"));
          },
        },
      );
      stream.send(message);
    });
    const { warmupMs, warmupAnswers } = context.plan;
    await Promise.race([pause(warmupMs), failed]);
    const warmEndMs = performance.now() + 2 * warmupMs;
    while (latency.count < warmupAnswers && performance.now() < warmEndMs) {
      await Promise.race([pause(10), failed]);
    }
    await stalls.begin();
    latency = new Histogram();
    const window = new Window(cluster.pids);
    await Promise.race([pause(context.plan.measureMs), failed]);
    await firstAnswer(latency, failed);
    const cost = window.read();
    for (const note of notesOn(cost)) context.note(note);
    const figures = { ...costFigures(cost, latency.count), ...latencyFigures(latency) };
    return { ...figures, ...(await stalls.end()) };
  } finally {
    ending = true;
    for (const channel of channels) channel.close();
  }
}

export async function grant(channel: Channel, ttl: bigint): Promise<bigint> {
  const request = new LeaseGrantRequest();
  request.ttl = ttl;
  const answer = await channel.unary(paths.grant, encodeLeaseGrantRequest(request), {
    waitForReady: true,
  });
  return decodeLeaseGrantResponse(answer).id;
}

function keepAliveOf(lease: bigint): Bytes {
  const request = new LeaseKeepAliveRequest();
  request.id = lease;
  return encodeLeaseKeepAliveRequest(request);
}

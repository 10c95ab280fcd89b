// Three members under writes; the leader is killed with `kill -9`. How long until a write that was sent afterwards is acknowledged?
// Then the killed one comes back, and again.
//
// Writes go to both survivors every 10 ms, each with a short deadline: a request that a member accepted while it knew no leader
// would otherwise hide that the next one is answered.

import {
  decodeStatusResponse,
  encodePutRequest,
  encodeStatusRequest,
  StatusRequest,
} from "@etcd-ts/api";
import type { Channel } from "@etcd-ts/rpc";
import { openChannel, pause } from "../load/connections.ts";
import { paths, putOf } from "../load/requests.ts";
import { median } from "../report/report.ts";
import { atMost, type Context, type Sample, type Scenario } from "../scenario.ts";
import type { Cluster } from "../servers/cluster.ts";

const probeEveryMs = 10;
const probeTimeoutMs = 1000;
const settleMs = 500;
const giveUpMs = 60_000;

export const failoverScenario: Scenario = {
  name: "failover",
  title: "three members, kill -9 of the leader to the first acknowledged write",
  figures: [
    { key: "medianMs", label: "median", unit: "ms" },
    { key: "fastestMs", label: "fastest", unit: "ms" },
    { key: "slowestMs", label: "slowest", unit: "ms" },
    { key: "kills", label: "leaders killed", unit: "" },
  ],
  // Elections begin after a random time: the medians of fifteen kills differ by some per cent between equals.
  goals: [atMost("medianMs", 1.1), atMost("slowestMs", 3000, "value")],
  rounds: 1,
  note: "no worse than stock, where a tenth is chance (an election begins after a random time); never more than 3 s",
  run: measureFailover,
};

async function measureFailover(context: Context): Promise<Sample> {
  const kills = context.plan.quick ? 1 : 15;
  const cluster = await context.start({ members: 3 });
  const channels = cluster.endpoints.map((it) => openChannel(it));
  const took: number[] = [];
  try {
    for (let kill = 1; kill <= kills; kill++) {
      await untilWritable(channels);
      const leader = await findLeader(cluster, channels);
      await pause(settleMs);
      const startMs = performance.now();
      const gone = cluster.killMember(leader);
      took.push(
        await firstWrite(
          channels.filter((_, index) => index !== leader),
          startMs,
        ),
      );
      await gone;
      context.progress(`  kill ${kill} of ${kills}: ${Math.round(took.at(-1) as number)} ms`);
      await cluster.restartMember(leader);
    }
  } finally {
    for (const channel of channels) channel.close();
  }
  return {
    medianMs: median(took),
    fastestMs: Math.min(...took),
    slowestMs: Math.max(...took),
    kills,
  };
}

/** Milliseconds from `startMs` until one of them acknowledges a put. */
async function firstWrite(channels: readonly Channel[], startMs: number): Promise<number> {
  return await new Promise((resolve, reject) => {
    const message = encodePutRequest(putOf(0));
    const options = { timeoutMs: probeTimeoutMs };
    const probe = (): void => {
      for (const channel of channels) {
        channel.unary(paths.put, message, options).then(
          () => {
            clearInterval(timer);
            resolve(performance.now() - startMs);
          },
          // Refused or late, as long as there is no leader.
          () => undefined,
        );
      }
      if (performance.now() - startMs > giveUpMs) {
        clearInterval(timer);
        reject(new Error(`no write was acknowledged within ${giveUpMs / 1000} s`));
      }
    };
    const timer = setInterval(probe, probeEveryMs);
    probe();
  });
}

/** Every member takes writes: the one that was started again has caught up and is connected. */
async function untilWritable(channels: readonly Channel[]): Promise<void> {
  await Promise.all(channels.map((channel) => firstWrite([channel], performance.now())));
}

async function findLeader(cluster: Cluster, channels: readonly Channel[]): Promise<number> {
  const message = encodeStatusRequest(new StatusRequest());
  const endMs = performance.now() + giveUpMs;
  while (performance.now() < endMs) {
    for (let index = 0; index < cluster.size; index++) {
      const status = decodeStatusResponse(
        await (channels[index] as Channel).unary(paths.status, message, { timeoutMs: 5000 }),
      );
      if (status.leader !== 0n && status.leader === status.header?.memberId) return index;
    }
    await pause(50);
  }
  throw new Error(`no member has led for ${giveUpMs / 1000} s`);
}

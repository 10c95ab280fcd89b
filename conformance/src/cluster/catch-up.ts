// Members that have to catch up.
//
// `comeBack`: a member is away while many writes happen, and comes back: with a long log by entries, with a
// short one by a snapshot; which of the two it was is read from its metrics.
//
// `largeSnapshot`: a fresh member joins a cluster with a large store, under load. The leader goes on: it
// stays the leader, sends its heartbeats in time, and writes are answered; neither side may need much memory
// beside what it has anyway (a snapshot is a stream, not a thing in memory).

import type { Client } from "@etcd-ts/client";
import type { Programs } from "../programs.ts";
import { Cluster } from "./cluster.ts";
import type { ClusterMember } from "./cluster-member.ts";
import { describeTimes, quantile } from "./distribution.ts";
import { type Memory, MemoryWatch, megabytes, memoryOf } from "./figures.ts";
import { Ledger } from "./ledger.ts";
import { Load } from "./load.ts";
import { eventually, messageOf, pause } from "./waiting.ts";

const caughtUpMs = 300_000;
const receivedMetric = "etcd_network_snapshot_receive_success";
const lateHeartbeatsMetric = "etcd_server_heartbeat_send_failures_total";

export interface ComeBackOptions {
  readonly programs: readonly Programs[];
  readonly seed: number;
  readonly writeCount: number;
  readonly by: "log" | "snapshot";
  readonly progress?: (line: string) => void;
}

export interface ComeBackReport {
  readonly writeCount: number;
  readonly writeMs: number;
  readonly catchUpMs: number;
  readonly snapshotCount: number;
}

export async function comeBack(options: ComeBackOptions): Promise<ComeBackReport> {
  const { by, writeCount, seed } = options;
  // Entries that stay behind a snapshot of the log are 5,000 in etcd.
  const entries = by === "log" ? writeCount * 10 : Math.max(100, Math.floor(writeCount / 20));
  try {
    return await Cluster.use(
      { programs: options.programs, args: ["--snapshot-count", String(entries)] },
      async (cluster) => {
        const ledger = new Ledger((await cluster.settled()).revision);
        const leader = await cluster.leader();
        const away = cluster.members.find((it) => it !== leader) as ClusterMember;
        await away.kill();
        const startMs = performance.now();
        const load = new Load({
          endpoints: cluster.running.map((it) => it.endpoint),
          ...{ ledger, seed, writesPerSecond: Number.POSITIVE_INFINITY, slotCount: 512 },
          ...{ readersPerMember: 0, writeCountMax: writeCount },
        });
        let writeMs: number;
        let backMs: number;
        try {
          load.start();
          await load.acknowledge(writeCount, caughtUpMs);
          writeMs = performance.now() - startMs;
          options.progress?.(`${writeCount} writes in ${(writeMs / 1000).toFixed(1)} s`);
          backMs = performance.now();
          await away.start();
          await load.stop();
        } finally {
          load.close();
        }
        await caughtUp(cluster, away);
        const catchUpMs = performance.now() - backMs;
        const snapshotCount = await away.metricSum(receivedMetric);
        options.progress?.(
          `${away.name} caught up in ${catchUpMs.toFixed(0)} ms, with ${snapshotCount} snapshots`,
        );
        if (by === "log" ? snapshotCount !== 0 : snapshotCount === 0) {
          throw new Error(`${away.name} came back with ${snapshotCount} snapshots, not by ${by}`);
        }
        const { revision } = await cluster.settled();
        await ledger.verify(leader.client, revision);
        await away.stop();
        await away.start();
        await cluster.untilServing([away]);
        await cluster.settled();
        return { writeCount, writeMs, catchUpMs, snapshotCount };
      },
    );
  } catch (error) {
    throw new Error(
      `coming back by ${by}: ${messageOf(error)}\nrepeat: npm run conformance -- catch-up --by ${by} --writes ${writeCount} --seed ${seed}`,
      { cause: error },
    );
  }
}

export interface LargeSnapshotOptions {
  readonly programs: Programs;
  readonly joiner: Programs;
  readonly seed: number;
  readonly bytes: number;
  readonly writesPerSecond: number;
  readonly extraBytesMax: number;
  /** Fewer than the entries that fill the store, or the joiner gets the log instead of a snapshot. */
  readonly snapshotCount?: number;
  /** As it is called since 3.6: not for older stock members. */
  readonly catchupEntries?: number;
  readonly progress?: (line: string) => void;
}

export interface LargeSnapshotReport {
  readonly transferMs: number;
  /** Anonymous memory at the peak, beyond what the sender held before, and an empty member of its kind. */
  readonly senderExtraBytes: number;
  readonly receiverExtraBytes: number;
  readonly senderPeak: Memory;
  readonly receiverPeak: Memory;
  readonly lateHeartbeats: number;
  readonly latenciesMs: readonly number[];
}

const pieceBytes = 64 * 1024;

export async function largeSnapshot(options: LargeSnapshotOptions): Promise<LargeSnapshotReport> {
  const { seed, bytes } = options;
  const args = ["--quota-backend-bytes", String(8 * 2 ** 30)];
  args.push("--snapshot-count", String(options.snapshotCount ?? 2000));
  if (options.catchupEntries !== undefined) {
    args.push("--snapshot-catchup-entries", String(options.catchupEntries));
  }
  const programs = [options.programs, options.programs, options.programs];
  try {
    const emptyBytes = await emptyMemberBytes(options.joiner);
    return await Cluster.use({ programs, args }, async (cluster) => {
      await fill(cluster, bytes, options.progress);
      const leader = await cluster.leader();
      const ledger = new Ledger((await cluster.settled()).revision);
      const load = new Load({
        ...{ endpoints: cluster.endpoints, ledger, seed },
        writesPerSecond: options.writesPerSecond,
      });
      try {
        load.start();
        await load.acknowledge(options.writesPerSecond * 2, 60_000);
        load.takeLatencies();
        const term = (await leader.status()).raftTerm;
        const lateBefore = await leader.metricSum(lateHeartbeatsMetric);
        const senderBefore = memoryOf(leader.pid);
        const sender = new MemoryWatch(leader.pid);
        const startMs = performance.now();
        const joined = await cluster.add(options.joiner, "learner");
        const receiver = new MemoryWatch(joined.pid);
        await caughtUp(cluster, joined);
        const transferMs = performance.now() - startMs;
        const senderPeak = sender.stop();
        const receiverPeak = receiver.stop();
        const latenciesMs = load.takeLatencies();
        const lateHeartbeats = (await leader.metricSum(lateHeartbeatsMetric)) - lateBefore;
        const after = await leader.status();
        await load.stop();
        const report: LargeSnapshotReport = {
          ...{ transferMs, senderPeak, receiverPeak, lateHeartbeats, latenciesMs },
          senderExtraBytes: senderPeak.anonymousBytes - senderBefore.anonymousBytes,
          receiverExtraBytes: receiverPeak.anonymousBytes - emptyBytes,
        };
        options.progress?.(
          [
            `received in ${(transferMs / 1000).toFixed(1)} s`,
            `sender ${megabytes(senderBefore.anonymousBytes)} + ${megabytes(report.senderExtraBytes)} (and ${megabytes(senderPeak.fileBytes)} of mapped files)`,
            `receiver ${megabytes(emptyBytes)} + ${megabytes(report.receiverExtraBytes)} (and ${megabytes(receiverPeak.fileBytes)} of mapped files)`,
            `late heartbeats ${lateHeartbeats}`,
            `writes meanwhile ${describeTimes(latenciesMs)}, p99 ${quantile(latenciesMs, 0.99).toFixed(0)}`,
          ].join("; "),
        );
        if ((await joined.metricSum(receivedMetric)) === 0) {
          throw new Error(`${joined.name} received no snapshot`);
        }
        if (after.raftTerm !== term || after.leader !== after.header?.memberId) {
          throw new Error("the lead changed while the snapshot was sent");
        }
        for (const [what, extra] of [
          ["sender", report.senderExtraBytes],
          ["receiver", report.receiverExtraBytes],
        ] as const) {
          if (extra > options.extraBytesMax) {
            throw new Error(
              `the ${what} needed ${megabytes(extra)} more; ${megabytes(options.extraBytesMax)} are allowed`,
            );
          }
        }
        await cluster.promote(joined);
        const { revision } = await cluster.settled();
        await ledger.verify(leader.client, revision);
        await joined.stop();
        await joined.start();
        await cluster.untilServing([joined]);
        await cluster.settled();
        return report;
      } finally {
        load.close();
      }
    });
  } catch (error) {
    throw new Error(
      `large snapshot: ${messageOf(error)}\nrepeat: npm run conformance -- catch-up --by large --bytes ${bytes} --seed ${seed}`,
      { cause: error },
    );
  }
}

/** What a member without data holds, a second after it began to serve. */
async function emptyMemberBytes(programs: Programs): Promise<number> {
  return await Cluster.use({ programs: [programs] }, async (cluster) => {
    await pause(1_000);
    return memoryOf((cluster.members[0] as ClusterMember).pid).anonymousBytes;
  });
}

/** Waits until a member has applied what the leader had when asked last. */
async function caughtUp(cluster: Cluster, member: ClusterMember): Promise<void> {
  const leader = await cluster.leader(member);
  const goal = (await leader.status(5_000)).raftAppliedIndex;
  await eventually(`${member.name} catches up with index ${goal}`, caughtUpMs, async () => {
    cluster.assertNoPanic();
    return (await member.status(5_000)).raftAppliedIndex >= goal ? true : undefined;
  });
}

/** Writes so many bytes of values, sixteen at a time. */
async function fill(
  cluster: Cluster,
  bytes: number,
  progress: ((line: string) => void) | undefined,
): Promise<void> {
  const startMs = performance.now();
  const client: Client = cluster.client();
  const value = new Uint8Array(pieceBytes).map((_, i) => (i * 131) & 0xff);
  const count = Math.ceil(bytes / pieceBytes);
  let next = 0;
  try {
    const writer = async (): Promise<void> => {
      while (next < count) {
        const key = `fill/${next++}`;
        await client.put(key, value, { timeoutMs: 60_000 });
      }
    };
    await Promise.all(Array.from({ length: 16 }, writer));
  } finally {
    client.close();
  }
  progress?.(`${count} values of 64 KiB in ${((performance.now() - startMs) / 1000).toFixed(1)} s`);
  await pause(1_000);
}

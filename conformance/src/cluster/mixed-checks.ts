// What must be right in any cluster, whoever its members are: requests through each of them, leases, what
// they say about the cluster, and the version that it has.

import type { Member } from "@etcd-ts/api";
import { SeededRandom, utf8ToBytes } from "@etcd-ts/base";
import { Generator } from "../differential/generator.ts";
import { encode, revisionOf } from "../differential/run.ts";
import { RawClient, RawError } from "../raw-client.ts";
import type { Cluster } from "./cluster.ts";
import type { ClusterMember } from "./cluster-member.ts";
import { eventually, messageOf, pause } from "./waiting.ts";

const leaseSeconds = 2;
const leaseAttempts = 10;
const hashEvery = 250;

/** What members may owe. On a machine that gives a leader no time for longer than an election takes, that is more. */
export interface MixedLimits {
  /** Writes must succeed again within this after a leader was killed. */
  readonly failoverMsMax: number;
  /** A member that was removed must end within this. */
  readonly leaveMsMax: number;
  /** A lease must be gone within this. */
  readonly expiryMsMax: number;
  /** Of the random operations, for want of a leader. */
  readonly outagesMax: number;
  /** How often a member may have to be given the lead until it keeps it. */
  readonly leadsMax: number;
}

/** Where nothing else uses the machine. */
export const strictLimits: MixedLimits = {
  failoverMsMax: 10_000,
  leaveMsMax: 20_000,
  expiryMsMax: 10_000,
  outagesMax: 0,
  leadsMax: 1,
};

/** Beside other tests, on whatever runs them. */
export const patientLimits: MixedLimits = {
  failoverMsMax: 60_000,
  leaveMsMax: 60_000,
  expiryMsMax: 60_000,
  outagesMax: 5,
  leadsMax: 5,
};

/**
 * Random operations (puts, ranges, deletes, transactions, compactions, leases, nonsense), each through a
 * member of its own; the hashes of all members are compared again and again.
 */
export async function operationsAgree(
  cluster: Cluster,
  seed: number,
  count: number,
  outagesMax: number,
): Promise<{ refused: number }> {
  const random = new SeededRandom(seed);
  // What old releases do differently is left out, so that all members may be of any release.
  const generator = new Generator({
    ...{
      seed,
      hugeBytes: 100_000,
      compactOnlyAtPuts: true,
      unknownSorts: false,
      txnsReadPresent: true,
    },
  });
  const clients = cluster.running.map((it) => new RawClient(it.endpoint));
  let refused = 0;
  let outages = 0;
  try {
    for (let n = 1; n <= count; n++) {
      const operation = generator.next();
      if (operation.kind !== "watch" && operation.kind !== "unwatch") {
        const call = encode(operation);
        try {
          const bytes = await random.pick(clients).unary(call.path, call.message);
          generator.learn(operation, revisionOf(call.decode(bytes)), true);
        } catch (error) {
          if (!(error instanceof RawError)) throw error;
          if (/unavailable|timed out|leader|connection/i.test(error.message)) {
            outages += 1;
            if (outages > outagesMax) throw error;
            await cluster.untilServing();
          }
          generator.learn(operation, 0, false);
          refused += 1;
        }
      }
      if (n % hashEvery === 0) await cluster.settled();
    }
  } catch (error) {
    throw new Error(`operations of seed ${seed}: ${messageOf(error)}`, { cause: error });
  } finally {
    for (const client of clients) client.close();
  }
  return { refused };
}

/**
 * Leases through every member: one that is kept alive through the next member lives, and ends when nobody
 * does so any more, not before its time and not long after; a long one is the same seen from everywhere.
 */
export async function leasesWork(cluster: Cluster, expiryMsMax: number): Promise<void> {
  const members = cluster.running;
  await Promise.all(
    members.map((member, i) =>
      oneLease(member, members[(i + 1) % members.length] as ClusterMember, cluster, expiryMsMax),
    ),
  );
  const [first] = members as [ClusterMember];
  const { id } = await eventually("a long lease is granted", 60_000, async () => {
    const granted = await first.client.lease.grant({ ttl: 1_000n }, { timeoutMs: 10_000 });
    await first.client.put(`lease/long/${granted.id}`, "x", { lease: granted.id });
    return granted;
  });
  for (const member of members) {
    const seen = await eventually(`the lease through ${member.name}`, 60_000, async () => {
      const answer = await member.client.lease.timeToLive({ id, keys: true }, { timeoutMs: 3_000 });
      return answer.keys.length > 0 ? answer : undefined;
    });
    if (seen.ttl > 1_000 || seen.ttl < 900 || seen.grantedTtl !== 1_000 || seen.keys.length !== 1) {
      throw new Error(
        `${member.name} says of a new lease of 1000 s: ${seen.ttl} of ${seen.grantedTtl} s left, ${seen.keys.length} keys`,
      );
    }
  }
  await first.client.lease.revoke({ id });
  for (const member of members) {
    if ((await member.client.get(`lease/long/${id}`)) !== undefined) {
      throw new Error(`${member.name} still has the key of a lease that was revoked`);
    }
  }
}

async function oneLease(
  through: ClusterMember,
  next: ClusterMember,
  cluster: Cluster,
  expiryMsMax: number,
): Promise<void> {
  const { key, renewedMs } = await renewedLease(through, next);
  const goneMs = await eventually(`a lease of ${through.name} expires`, expiryMsMax, async () => {
    const kv = await through.client.get(key, { timeoutMs: 5_000 });
    return kv === undefined ? performance.now() : undefined;
  });
  if (goneMs < renewedMs + leaseSeconds * 1_000) {
    throw new Error(
      `a lease of ${leaseSeconds} s, renewed through ${next.name}, was gone after ${(goneMs - renewedMs).toFixed(0)} ms`,
    );
  }
  // Every member must have applied the revocation that the leader proposed.
  for (const member of cluster.running) {
    const kv = await member.client.get(key, { timeoutMs: 5_000 });
    if (kv !== undefined) throw new Error(`${member.name} still has the key of an expired lease`);
  }
}

/** A lease through one member, with a key, that was renewed through the next one for longer than it lives. */
async function renewedLease(
  through: ClusterMember,
  next: ClusterMember,
): Promise<{ key: string; renewedMs: number }> {
  for (let attempt = 1; ; attempt++) {
    let renewedMs = performance.now();
    try {
      const { id } = await through.client.lease.grant(
        { ttl: BigInt(leaseSeconds) },
        { timeoutMs: 10_000 },
      );
      const key = `lease/${through.name}/${id}`;
      await through.client.put(key, "x", { lease: id });
      for (let n = 0; n < 3; n++) {
        await pause(900);
        const startMs = performance.now();
        const { ttl } = await next.client.keepAliveOnce(id, { timeoutMs: 10_000 });
        if (ttl !== leaseSeconds) throw new Error(`${next.name} renewed a lease to ${ttl} s`);
        renewedMs = startMs;
      }
      return { key, renewedMs };
    } catch (error) {
      // We came too late on a busy machine: the lease was free to end.
      const isLate = performance.now() - renewedMs >= leaseSeconds * 1_000;
      if (!isLate || attempt === leaseAttempts) throw error;
    }
  }
}

/** All members tell the same about all members, names and client URLs included. */
export async function membersAgree(cluster: Cluster): Promise<void> {
  await eventually("all members tell the same of the cluster", 60_000, async () => {
    const lists = await Promise.all(
      cluster.running.map(async (it) => {
        const { members } = await it.client.cluster.memberList(undefined, { timeoutMs: 5_000 });
        return members.map(describe).sort().join("\n");
      }),
    );
    const expected = cluster.members
      .map((it) => `${it.name} ${it.spec.peerUrl} http://${it.endpoint} false`)
      .sort()
      .join("\n");
    const wrong = lists.find((it) => it !== expected);
    if (wrong !== undefined) throw new Error(`expected\n${expected}\nfound\n${wrong}`);
    return true;
  });
}

function describe(member: Member): string {
  return `${member.name} ${member.peerUrls} ${member.clientUrls} ${member.isLearner}`;
}

/** All members say that the cluster has this version (`3.5.0`). */
export async function clusterVersionIs(cluster: Cluster, version: string): Promise<void> {
  await eventually(`the cluster version is ${version}`, 60_000, async () => {
    for (const member of cluster.running) {
      const response = await fetch(`http://${member.endpoint}/version`);
      const { etcdcluster } = (await response.json()) as { etcdcluster: string };
      if (etcdcluster !== version) throw new Error(`${member.name} says ${etcdcluster}`);
    }
    return true;
  });
}

/** The versions of its members make it so. */
export function clusterVersionOf(version: string): string {
  return `${version.split(".").slice(0, 2).join(".")}.0`;
}

/** A key and value that nothing else uses, written and read through every member. */
export async function requestsWork(cluster: Cluster): Promise<void> {
  for (const member of cluster.running) {
    const key = `request/${member.name}`;
    await eventually(`${member.name} takes a write`, 60_000, () =>
      member.client.put(key, "1", { timeoutMs: 10_000 }),
    );
    for (const other of cluster.running) {
      const kv = await other.client.get(key, { timeoutMs: 10_000 });
      if (kv === undefined) throw new Error(`${other.name} does not have ${key}`);
    }
    await eventually(`${member.name} takes a deletion`, 60_000, () =>
      member.client.delete(utf8ToBytes(key), { timeoutMs: 10_000 }),
    );
  }
}

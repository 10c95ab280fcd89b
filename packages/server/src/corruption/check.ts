// Whether all members hold the same: their hashes over the keys (HASHKV) are compared at the peer URLs.
//
//     before this member takes part (`initialCorruptCheck`)     a difference: it does not start
//     every `corruptCheckMs`, by the leader                     a difference: alarm CORRUPT for who differs
//
// Two hashes can be compared when they are of the same revision and over the same compact revision; who
// cannot be reached or cannot answer is left out.

import { AlarmAction, AlarmRequest, AlarmType, encodeAlarmRequest } from "@etcd-ts/api";
import { background, type Host, type Timer } from "@etcd-ts/base";
import type { ApplyOutcome, Machine, Member } from "@etcd-ts/machine";
import { StartError } from "../bootstrap.ts";
import { Operation } from "../envelope.ts";
import { hexId } from "../ids.ts";
import { PeerRequestError, type PeerRequests, type RemoteHash } from "../peers/index.ts";
import { Proposal } from "../proposals.ts";
import { Reader } from "../reads.ts";
import type { Refusal } from "../refusals.ts";
import type { MemberContext } from "../seams.ts";
import { hashJobOf } from "./hashes.ts";

const answerMs = 5000;

interface OwnHash {
  readonly hash: number;
  readonly revision: number;
  readonly compactRevision: number;
}

/** Of all that answer, at the revision. */
async function hashesOf(
  requests: PeerRequests,
  clusterId: bigint,
  members: readonly Member[],
  revision: number,
): Promise<ReadonlyMap<bigint, RemoteHash>> {
  const found = new Map<bigint, RemoteHash>();
  await Promise.all(
    members.map(async ({ id, peerUrls }) => {
      try {
        found.set(id, await requests.hashKv(peerUrls, clusterId, BigInt(revision), answerMs));
      } catch (error) {
        if (!(error instanceof PeerRequestError)) throw error;
      }
    }),
  );
  return found;
}

export interface InitialCheckParts {
  readonly host: Host;
  readonly machine: Machine;
  readonly requests: PeerRequests | undefined;
  readonly memberId: bigint;
  readonly clusterId: bigint;
}

/** Throws `StartError` when this member's keys are not what the others hold at the same revision. */
export async function checkInitialHash(parts: InitialCheckParts): Promise<void> {
  const { host, machine, requests, memberId, clusterId } = parts;
  const others = machine.members.list().filter((member) => member.id !== memberId);
  if (requests === undefined || others.length === 0) return;
  host.log.info("starting initial corruption check", {
    "local-member-id": hexId(memberId),
    timeout: `${answerMs / 1000}s`,
  });
  const job = machine.hashKv(0n);
  while (job.error === undefined && !job.step(1024)) {
    await new Promise<void>((resolve) => host.timers.soon(resolve));
  }
  const { hash, hashRevision, compactRevision } = job;
  let mismatchCount = 0;
  for (const [id, theirs] of await hashesOf(requests, clusterId, others, hashRevision)) {
    const fields = {
      "local-member-id": hexId(memberId),
      "local-member-revision": hashRevision,
      "local-member-compact-revision": compactRevision,
      "local-member-hash": hash,
      "remote-peer-id": hexId(id),
      "remote-peer-revision": theirs.revision,
      "remote-peer-compact-revision": theirs.compactRevision,
      "remote-peer-hash": theirs.hash,
    };
    if (theirs.hash === hash) continue;
    if (Number(theirs.compactRevision) === compactRevision) {
      host.log.warn("found different hash values from remote peer", fields);
      mismatchCount++;
    } else {
      host.log.warn("found different compact revision values from remote peer", fields);
    }
  }
  if (mismatchCount > 0) {
    throw new StartError(
      `${hexId(memberId)} found data inconsistency with peers: the keys of this member differ from ` +
        `those of ${mismatchCount} others at revision ${hashRevision}; remove this member from the ` +
        "cluster and add it again with an empty data directory",
    );
  }
  host.log.info("initial corruption checking passed; no corruption", {
    "local-member-id": hexId(memberId),
  });
}

export class CorruptionCheck {
  readonly #context: MemberContext;
  readonly #requests: PeerRequests | undefined;
  #timer: Timer | undefined;
  #stopped = false;

  constructor(context: MemberContext, requests: PeerRequests | undefined) {
    this.#context = context;
    this.#requests = requests;
  }

  start(): void {
    const { corruptCheckMs } = this.#context.config;
    if (corruptCheckMs <= 0 || this.#requests === undefined) return;
    this.#arm(corruptCheckMs);
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #arm(intervalMs: number): void {
    const { host, fatal } = this.#context;
    this.#timer = host.timers.after(intervalMs, () => {
      background(
        this.#check().then(() => {
          if (!this.#stopped) this.#arm(intervalMs);
        }),
        fatal,
      );
    });
  }

  /**
   * Our own hash before and after, with a linearizable read in between: what the others answered at our
   * first revision lies between the two.
   */
  async #check(): Promise<void> {
    const context = this.#context;
    const requests = this.#requests;
    if (!context.isLeader || requests === undefined) return;
    const before = await this.#ownHash();
    if (before === undefined) return;
    const others = context.machine.members.list().filter(({ id }) => id !== context.memberId);
    const theirs = await hashesOf(requests, context.clusterId, others, before.revision);
    if (!(await this.#linearized()) || this.#stopped || !context.isLeader) return;
    const after = await this.#ownHash();
    if (after === undefined || this.#stopped) return;
    const now = context.machine;
    if (
      after.hash !== before.hash &&
      after.revision === before.revision &&
      after.compactRevision === before.compactRevision
    ) {
      this.#alarm(context.memberId, "found hash mismatch");
      return;
    }
    for (const [id, hash] of theirs) {
      if (Number(hash.revision) > now.revision) {
        this.#alarm(id, "revision from follower must be less than or equal to leader's");
      } else if (Number(hash.compactRevision) > now.compactRevision) {
        this.#alarm(id, "compact revision from follower must be less than or equal to leader's");
      } else if (
        Number(hash.compactRevision) === before.compactRevision &&
        hash.hash !== before.hash
      ) {
        this.#alarm(id, "same compact revision then hashes must match");
      } else continue;
      return;
    }
  }

  async #ownHash(): Promise<OwnHash | undefined> {
    const outcome = await hashJobOf(this.#context, 0n);
    if ("failure" in outcome) return undefined;
    const { hash, hashRevision, compactRevision } = outcome;
    return { hash, revision: hashRevision, compactRevision };
  }

  #linearized(): Promise<boolean> {
    return new Promise((resolve) => this.#context.linearize(new Fence(resolve)));
  }

  #alarm(memberId: bigint, why: string): void {
    const { host, machine } = this.#context;
    host.log.error(why, { "corrupted-member-id": hexId(memberId) });
    const alarms = machine.alarms.list(AlarmType.CORRUPT);
    if (alarms.some((alarm) => alarm.memberId === memberId)) return;
    const request = new AlarmRequest();
    request.action = AlarmAction.ACTIVATE;
    request.memberId = memberId;
    request.alarm = AlarmType.CORRUPT;
    this.#context.propose(Operation.alarm, encodeAlarmRequest(request), new Ignored());
  }
}

/** One that got lost is raised again by the next round. */
class Ignored extends Proposal {
  override applied(_outcome: ApplyOutcome): void {}
  override refused(_refusal: Refusal): void {}
}

class Fence extends Reader {
  readonly #resolve: (passed: boolean) => void;

  constructor(resolve: (passed: boolean) => void) {
    super();
    this.#resolve = resolve;
  }

  override ready(): void {
    this.#resolve(true);
  }

  override refused(_refusal: Refusal): void {
    this.#resolve(false);
  }
}

// Answers about the time of leases, which only the member that counts it can give, and only while it is
// sure to lead: a deposed leader that renewed a lease would promise what the new one does not keep.
//
//     renew ──► do we count? ──no──► ask the leader, again and again, until it answers or time is up
//                 │ proved lately, or else now, by a ReadIndex round
//                 ▼
//               is the lease known? ──no──► has this member applied all that was committed? ──yes──► TTL 0
//                 │                                     └─ wait, at most 1 s
//                 ▼
//               has it expired? ──yes──► wait until the revocation is applied (TTL 0) or leadership is lost
//                 │
//                 ▼
//               is there a checkpoint? ──yes──► take it back through the log first
//                 │
//                 ▼
//               now + TTL

import {
  type LeaseTimeToLiveRequest,
  LeaseTimeToLiveResponse,
  type ResponseHeader,
} from "@etcd-ts/api";
import { background, keyToBytes } from "@etcd-ts/base";
import { AppliedWaiters } from "../applied-waiters.ts";
import { catalogue } from "../errors.ts";
import { responseHeader } from "../header.ts";
import type { LeaseFailure } from "../peers/index.ts";
import { Reader } from "../reads.ts";
import type { Refusal } from "../refusals.ts";
import type { MemberContext } from "../seams.ts";
import type { LeaseTimer } from "./deadlines.ts";
import type { LeaseKeeper } from "./keeper.ts";

/**
 * A proof of leadership holds for this part of an election timeout, counted from when the proof was begun. Whoever
 * leads next does so after that moment, and gives every lease its whole time and an election timeout on top, so what is
 * promised meanwhile is kept. (That the loop ticks proves nothing: a leader that was frozen ticks before it hears that
 * it was replaced.)
 */
const provenShare = 1 / 2;
/** Of a lease that is not there, in LeaseTimeToLive. */
const missingTtl = -1;

export interface Renewed {
  /** The granted TTL; 0: there is no such lease. */
  readonly ttlSeconds: number;
  /** Store revision before the renewal. */
  readonly revision: number;
}

type Answer = (result: Renewed | Refusal) => void;

export class LeaseAuthority {
  readonly #context: MemberContext;
  readonly #keeper: LeaseKeeper;
  readonly #applied: AppliedWaiters;
  /** When the newest proof that this member leads was begun. */
  #provenMs = Number.NEGATIVE_INFINITY;
  /** Renewals of expired leases, by lease: they end with the revocation or with our leadership. */
  readonly #expiredWaiters = new Map<bigint, Answer[]>();

  constructor(context: MemberContext, keeper: LeaseKeeper) {
    this.#context = context;
    this.#keeper = keeper;
    this.#applied = new AppliedWaiters(context.host);
  }

  header(revision: number): ResponseHeader {
    return responseHeader(this.#context.header, revision);
  }

  // --- renewing ---------------------------------------------------------------------------------------

  /** The usual case, answered at once; undefined when it takes longer: then call `renewLater`. */
  renewNow(id: bigint): Renewed | undefined {
    if (!this.#leadsForSure()) return undefined;
    const timer = this.#keeper.timer(id);
    if (timer === undefined || this.#keeper.hasExpired(timer)) return undefined;
    if (this.#keeper.hasCheckpoint(timer)) return undefined;
    return this.#renewed(timer);
  }

  /** Answers once, from the event loop. `isGone`: nobody waits for it any more. */
  renewLater(id: bigint, answer: Answer, isGone: () => boolean = () => false): void {
    this.#renewHere(id, (result) => {
      if (result === catalogue.noLeader) this.#renewThere(id, answer, isGone);
      else answer(result);
    });
  }

  /** By whoever leads, which may be this member after all. */
  #renewThere(id: bigint, answer: Answer, isGone: () => boolean): void {
    const { machine, leaderCalls, fatal } = this.#context;
    const { revision } = machine;
    const asked = leaderCalls.ask<Renewed>({
      here: async () => {
        const result = await new Promise<Renewed | Refusal>((resolve) =>
          this.#renewHere(id, resolve),
        );
        return result === catalogue.noLeader ? undefined : result;
      },
      there: async (requests, urls, timeoutMs) => {
        const ttl = await requests.renewLease(urls, id, timeoutMs);
        if (typeof ttl === "bigint") return { ttlSeconds: Number(ttl), revision };
        return ttl.failure === "not-found" ? { ttlSeconds: 0, revision } : undefined;
      },
      isGone,
    });
    background(asked.then(answer), fatal);
  }

  /** For another member that asks because this one leads. */
  async renewForPeer(id: bigint): Promise<bigint | LeaseFailure> {
    const result = await new Promise<Renewed | Refusal>((resolve) => this.#renewHere(id, resolve));
    if ("code" in result) return leaseFailure(result);
    return result.ttlSeconds === 0 ? { failure: "not-found" } : BigInt(result.ttlSeconds);
  }

  /** No leader: this member does not count leases, or no longer. */
  #renewHere(id: bigint, answer: Answer): void {
    this.whenLeading((refusal) => {
      if (refusal !== undefined) answer(refusal);
      else if (this.#keeper.timer(id) !== undefined) this.#renewKnown(id, answer);
      else {
        this.whenApplied((late) => {
          if (late !== undefined) answer(late);
          else this.#renewKnown(id, answer);
        });
      }
    });
  }

  #renewKnown(id: bigint, answer: Answer): void {
    const timer = this.#keeper.timer(id);
    const revision = this.#context.machine.revision;
    if (timer === undefined) {
      answer(this.#keeper.isPrimary ? { ttlSeconds: 0, revision } : catalogue.noLeader);
    } else if (this.#keeper.hasExpired(timer)) {
      const waiting = this.#expiredWaiters.get(id);
      if (waiting === undefined) this.#expiredWaiters.set(id, [answer]);
      else waiting.push(answer);
    } else if (this.#keeper.hasCheckpoint(timer)) {
      this.#keeper.clearCheckpoint(timer, (applied) => {
        // Refused because the lease has gone meanwhile is an answer, too.
        if (applied || this.#keeper.timer(id) === undefined) this.#renewKnown(id, answer);
        else answer(catalogue.timeout);
      });
    } else {
      answer(this.#renewed(timer));
    }
  }

  #renewed(timer: LeaseTimer): Renewed {
    const { revision } = this.#context.machine;
    this.#keeper.renew(timer);
    return { ttlSeconds: timer.ttlSeconds, revision };
  }

  // --- time to live -----------------------------------------------------------------------------------

  /** What is left of a lease; asks the leader if that is somebody else. The header is ours. */
  timeToLive(
    request: LeaseTimeToLiveRequest,
    answer: (result: LeaseTimeToLiveResponse | Refusal) => void,
    isGone: () => boolean,
  ): void {
    const { leaderCalls, fatal, machine } = this.#context;
    const asked = leaderCalls.ask<LeaseTimeToLiveResponse>({
      here: async () => {
        const result = await this.#timeToLiveHere(request);
        return result === catalogue.noLeader ? undefined : result;
      },
      there: async (requests, urls, timeoutMs) => {
        const result = await requests.leaseTimeToLive(urls, request, timeoutMs);
        if (!("failure" in result)) return result;
        if (result.failure !== "not-found") return undefined;
        const response = new LeaseTimeToLiveResponse();
        response.id = request.id;
        response.ttl = missingTtl;
        return response;
      },
      isGone,
    });
    background(
      asked.then((result) => {
        if (!("code" in result)) result.header = this.header(machine.revision);
        answer(result);
      }),
      fatal,
    );
  }

  /** For another member that asks because this one leads; without a header. */
  async timeToLiveForPeer(
    request: LeaseTimeToLiveRequest,
  ): Promise<LeaseTimeToLiveResponse | LeaseFailure> {
    const result = await this.#timeToLiveHere(request);
    if ("code" in result) return leaseFailure(result);
    return result.ttl === missingTtl ? { failure: "not-found" } : result;
  }

  #timeToLiveHere(request: LeaseTimeToLiveRequest): Promise<LeaseTimeToLiveResponse | Refusal> {
    return new Promise((resolve) => {
      this.whenLeading((refusal) => {
        if (refusal !== undefined) {
          resolve(refusal);
          return;
        }
        this.whenApplied((late) => {
          if (late !== undefined) resolve(late);
          else if (!this.#keeper.isPrimary) resolve(catalogue.leaderChanged);
          else resolve(this.#timeLeft(request));
        });
      });
    });
  }

  #timeLeft(request: LeaseTimeToLiveRequest): LeaseTimeToLiveResponse {
    const response = new LeaseTimeToLiveResponse();
    response.id = request.id;
    const lease = this.#context.machine.leases.get(request.id);
    const timer = this.#keeper.timer(request.id);
    if (lease === undefined || timer === undefined) {
      response.ttl = missingTtl;
      return response;
    }
    response.ttl = this.#keeper.remainingSeconds(timer);
    response.grantedTtl = lease.ttl;
    if (request.keys) {
      for (const key of lease.keys()) response.keys.push(keyToBytes(key));
    }
    return response;
  }

  // --- who decides ------------------------------------------------------------------------------------

  #leadsForSure(): boolean {
    if (!this.#keeper.isPrimary) return false;
    const { host, config, machine } = this.#context;
    const { confState } = machine;
    if (confState?.voters.length === 1 && confState.votersOutgoing.length === 0) return true;
    return host.clock.monotonicMs() - this.#provenMs < provenShare * config.electionMs;
  }

  /** Calls back with nothing once this member is known to lead, else with why it cannot answer. */
  whenLeading(ready: (refusal: Refusal | undefined) => void): void {
    if (!this.#keeper.isPrimary) {
      ready(catalogue.noLeader);
    } else if (this.#leadsForSure()) {
      ready(undefined);
    } else {
      const startMs = this.#context.host.clock.monotonicMs();
      const proven = (): void => {
        if (!this.#keeper.isPrimary) {
          ready(catalogue.noLeader);
          return;
        }
        this.#provenMs = Math.max(this.#provenMs, startMs);
        ready(undefined);
      };
      this.#context.linearize(new LeadershipProof(proven, ready));
    }
  }

  // --- waiting ----------------------------------------------------------------------------------------

  /** Calls back when everything committed by now is applied here, at once if it is; or too late. */
  whenApplied(ready: (refusal: Refusal | undefined) => void): void {
    const { commitIndex, appliedIndex } = this.#context;
    this.#applied.wait(commitIndex, appliedIndex, ready);
  }

  turnEnded(): void {
    this.#applied.applied(this.#context.appliedIndex);
  }

  /** The lease is gone: who waited for that hears TTL 0. */
  revoked(id: bigint): void {
    const waiting = this.#expiredWaiters.get(id);
    if (waiting === undefined) return;
    this.#expiredWaiters.delete(id);
    const { revision } = this.#context.machine;
    for (const answer of waiting) answer({ ttlSeconds: 0, revision });
  }

  /** Nobody here can decide any more. */
  refuseWaiting(refusal: Refusal): void {
    const waiting = [...this.#expiredWaiters.values()].flat();
    this.#expiredWaiters.clear();
    for (const answer of waiting) answer(refusal);
  }

  stop(): void {
    this.refuseWaiting(catalogue.stopped);
    this.#applied.stop();
  }
}

function leaseFailure(refusal: Refusal): LeaseFailure {
  if (refusal === catalogue.timeoutWaitAppliedIndex) return { failure: "timeout" };
  const { message } = refusal === catalogue.noLeader ? catalogue.notPrimaryLessor : refusal;
  return { failure: "other", message };
}

class LeadershipProof extends Reader {
  readonly #ready: () => void;
  readonly #refused: (refusal: Refusal) => void;

  constructor(ready: () => void, refused: (refusal: Refusal) => void) {
    super();
    this.#ready = ready;
    this.#refused = refused;
  }

  override ready(): void {
    this.#ready();
  }

  override refused(refusal: Refusal): void {
    this.#refused(refusal);
  }
}

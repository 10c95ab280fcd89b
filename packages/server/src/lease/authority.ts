// Answers about the time of leases, which only the member that counts it can give, and only while it is
// sure to lead: a deposed leader that renewed a lease would promise what the new one does not keep.
//
//     renew ──► do we lead? ──no──► no leader
//                 │ ticked lately, or else proved by a ReadIndex round
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

import type { ResponseHeader } from "@etcd-ts/api";
import type { Timer } from "@etcd-ts/base";
import { catalogue } from "../errors.ts";
import { responseHeader } from "../header.ts";
import { Reader } from "../reads.ts";
import type { Refusal } from "../refusals.ts";
import type { MemberContext } from "../seams.ts";
import type { LeaseTimer } from "./deadlines.ts";
import type { LeaseKeeper } from "./keeper.ts";

/** A leader whose loop ticked so lately is trusted without a proof. */
const trustedHeartbeats = 3;
const appliedWaitMs = 1000;

export interface Renewed {
  /** The granted TTL; 0: there is no such lease. */
  readonly ttlSeconds: number;
  /** Store revision before the renewal. */
  readonly revision: number;
}

type Answer = (result: Renewed | Refusal) => void;

/** Somebody who waits until this member has applied what was committed when it asked. */
interface AppliedWaiter {
  readonly index: number;
  readonly ready: () => void;
  readonly timer: Timer;
}

export class LeaseAuthority {
  readonly #context: MemberContext;
  readonly #keeper: LeaseKeeper;
  #appliedWaiters: AppliedWaiter[] = [];
  /** Renewals of expired leases, by lease: they end with the revocation or with our leadership. */
  readonly #expiredWaiters = new Map<bigint, Answer[]>();

  constructor(context: MemberContext, keeper: LeaseKeeper) {
    this.#context = context;
    this.#keeper = keeper;
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

  /** Answers once, from the event loop. */
  renewLater(id: bigint, answer: Answer): void {
    this.whenLeading((refusal) => {
      if (refusal !== undefined) {
        answer(refusal);
        return;
      }
      if (this.#keeper.timer(id) !== undefined) this.#renewKnown(id, answer);
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

  // --- who decides ------------------------------------------------------------------------------------

  #leadsForSure(): boolean {
    if (!this.#keeper.isPrimary) return false;
    const { host, lastTickMs, config } = this.#context;
    return host.clock.monotonicMs() - lastTickMs < trustedHeartbeats * config.heartbeatMs;
  }

  /** Calls back with nothing once this member is known to lead, else with why it cannot answer. */
  whenLeading(ready: (refusal: Refusal | undefined) => void): void {
    if (!this.#keeper.isPrimary) {
      ready(catalogue.noLeader);
    } else if (this.#leadsForSure()) {
      ready(undefined);
    } else {
      this.#context.linearize(
        new LeadershipProof(
          () => ready(this.#keeper.isPrimary ? undefined : catalogue.noLeader),
          ready,
        ),
      );
    }
  }

  // --- waiting ----------------------------------------------------------------------------------------

  /** Calls back when everything committed by now is applied here, at once if it is; or too late. */
  whenApplied(ready: (refusal: Refusal | undefined) => void): void {
    const { commitIndex, appliedIndex, host } = this.#context;
    if (appliedIndex >= commitIndex) {
      ready(undefined);
      return;
    }
    const waiter: AppliedWaiter = {
      index: commitIndex,
      ready: () => ready(undefined),
      timer: host.timers.after(appliedWaitMs, () => {
        this.#appliedWaiters = this.#appliedWaiters.filter((it) => it !== waiter);
        ready(catalogue.timeoutWaitAppliedIndex);
      }),
    };
    this.#appliedWaiters.push(waiter);
  }

  turnEnded(): void {
    if (this.#appliedWaiters.length === 0) return;
    const { appliedIndex } = this.#context;
    const ready = this.#appliedWaiters.filter((it) => it.index <= appliedIndex);
    if (ready.length === 0) return;
    this.#appliedWaiters = this.#appliedWaiters.filter((it) => it.index > appliedIndex);
    for (const waiter of ready) {
      waiter.timer.cancel();
      waiter.ready();
    }
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
    for (const waiter of this.#appliedWaiters) waiter.timer.cancel();
    this.#appliedWaiters = [];
  }
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

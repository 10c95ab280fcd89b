// The lease keeper: the clock of the leases. The machine knows which leases there are and what hangs on
// them; how long each still has is decided here, by the leader alone, and only its decision ("revoke this
// lease", "that much is left of it") goes through the log. Hence the two promises:
//
// - No lease ends early. A new leader, or a member that comes back, gives every lease its full time again
//   (or what a checkpoint says was left) plus an election timeout, because it cannot know what the one
//   before it had granted in its last moments.
// - None lives for ever. The leader looks for expired leases all the time and repeats a revocation that
//   got lost.
//
//                 grant, or leadership                     deadline passed
//     (unknown) ───────────────────────► counting down ──────────────────────► being revoked ──► gone
//                                          ▲        │                                │
//                                          └─ renew ┘          refused or timed out ─┘ (tried again)
//
// Checkpoints carry what is left of a TTL across restarts and changes of leadership: periodically with the
// feature gate, and once when the member stops in good order. A renewal of a lease with a checkpoint, be it
// only on its way, first takes the checkpoint back through the log, or a crash would bring the shorter time
// back.

import {
  encodeLeaseCheckpointRequest,
  encodeLeaseRevokeRequest,
  LeaseCheckpoint,
  LeaseCheckpointRequest,
  LeaseRevokeRequest,
} from "@etcd-ts/api";
import type { Timer } from "@etcd-ts/base";
import type { ApplyOutcome } from "@etcd-ts/machine";
import { Operation } from "../envelope.ts";
import { catalogue } from "../errors.ts";
import { Proposal } from "../proposals.ts";
import type { MemberContext } from "../seams.ts";
import { Deadlines, LeaseTimer } from "./deadlines.ts";

/** How often expired leases are looked for. Stock looks every 500 ms. */
const checkMs = 200;
/** Revocations on their way at once; more follow as these are applied. */
const revokingMax = 500;
/** With so many leases a new leader spreads what would end together. */
const spreadFrom = 1000;
const spreadPerSecond = 750;
const checkpointIntervalMs = 300_000;
const checkpointCountMax = 1000;

export class LeaseKeeper {
  readonly #context: MemberContext;
  readonly #deadlines = new Deadlines();
  #isPrimary = false;
  #checkTimer: Timer | undefined;
  #checkpointTimer: Timer | undefined;
  #revokingCount = 0;
  readonly #revoking: Set<Revocation> = new Set();
  /** The last look found more than may be on their way at once. */
  #moreExpired = false;
  /** For metrics. */
  renewedCount = 0;
  expiredCount = 0;

  constructor(context: MemberContext) {
    this.#context = context;
  }

  /** This member counts the leases down. */
  get isPrimary(): boolean {
    return this.#isPrimary;
  }

  /** Undefined when the lease is unknown, or nobody here counts it down. */
  timer(id: bigint): LeaseTimer | undefined {
    return this.#deadlines.get(id);
  }

  // --- what the machine tells -------------------------------------------------------------------------

  granted(id: bigint, ttlSeconds: number): void {
    if (!this.#isPrimary) return;
    const nowMs = this.#context.host.clock.monotonicMs();
    this.#deadlines.add(new LeaseTimer(id, ttlSeconds, nowMs + ttlSeconds * 1000));
  }

  revoked(id: bigint): void {
    this.#deadlines.remove(id);
  }

  // --- leadership -------------------------------------------------------------------------------------

  /** From now on this member counts: every lease gets its time anew. */
  promote(): void {
    const { host, config, machine } = this.#context;
    this.#isPrimary = true;
    this.#deadlines.clear();
    this.#revokingCount = 0;
    const startMs = host.clock.monotonicMs() + config.electionMs;
    const timers: LeaseTimer[] = [];
    for (const lease of machine.leases.all()) {
      const seconds = lease.remainingTtl > 0 ? lease.remainingTtl : lease.ttl;
      timers.push(new LeaseTimer(lease.id, lease.ttl, startMs + seconds * 1000));
    }
    if (timers.length >= spreadFrom) spread(timers);
    for (const timer of timers) this.#deadlines.add(timer);
    this.#armCheck();
    if (config.leaseCheckpoint) this.#armCheckpoint();
  }

  /** Somebody else counts now. */
  demote(): void {
    this.#isPrimary = false;
    this.#deadlines.clear();
    this.#cancelTimers();
    // One that is not in the log yet must not get there by way of a leader that has given the lease new time.
    for (const revocation of [...this.#revoking]) {
      this.#context.withdraw(revocation, catalogue.leaderChanged);
    }
  }

  stop(): void {
    this.#isPrimary = false;
    this.#cancelTimers();
  }

  // --- time left --------------------------------------------------------------------------------------

  /** Starts the lease's time anew. The caller has made sure that this member leads. */
  renew(timer: LeaseTimer): void {
    this.renewedCount += 1;
    const nowMs = this.#context.host.clock.monotonicMs();
    this.#deadlines.renew(timer, nowMs + timer.ttlSeconds * 1000);
  }

  hasExpired(timer: LeaseTimer): boolean {
    return timer.revoking || timer.deadlineMs <= this.#context.host.clock.monotonicMs();
  }

  /** Whole seconds, truncated; negative while a revocation is overdue. */
  remainingSeconds(timer: LeaseTimer): number {
    return Math.trunc((timer.deadlineMs - this.#context.host.clock.monotonicMs()) / 1000);
  }

  // --- expiry -----------------------------------------------------------------------------------------

  /** More revocations may be on their way, now that some were applied. */
  turnEnded(): void {
    if (this.#moreExpired) this.#revokeExpired();
  }

  #armCheck(): void {
    this.#checkTimer?.cancel();
    this.#checkTimer = this.#context.host.timers.after(checkMs, () => {
      this.#armCheck();
      this.#revokeExpired();
    });
  }

  #revokeExpired(): void {
    this.#moreExpired = false;
    if (!this.#isPrimary) return;
    const nowMs = this.#context.host.clock.monotonicMs();
    // All are taken before the first is proposed: one that is refused at once goes back among the deadlines,
    // where it would be found again and again.
    const expired: LeaseTimer[] = [];
    const room = revokingMax - this.#revokingCount;
    while (expired.length < room) {
      const timer = this.#deadlines.takeExpired(nowMs);
      if (timer === undefined) break;
      expired.push(timer);
    }
    this.#moreExpired = expired.length >= room;
    for (const timer of expired) {
      timer.revoking = true;
      this.#revokingCount += 1;
      const request = new LeaseRevokeRequest();
      request.id = timer.id;
      const proposal = new Revocation(timer, this.#revocationEnded);
      this.#revoking.add(proposal);
      this.#context.propose(Operation.leaseRevoke, encodeLeaseRevokeRequest(request), proposal);
    }
  }

  readonly #revocationEnded = (revocation: Revocation): void => {
    this.#revoking.delete(revocation);
    const { timer } = revocation;
    this.#revokingCount = Math.max(0, this.#revokingCount - 1);
    if (this.#context.machine.leases.get(timer.id) === undefined) {
      this.expiredCount += 1;
      this.#deadlines.remove(timer.id);
      return;
    }
    // Lost on the way, or refused because of an alarm: the next look finds it again.
    timer.revoking = false;
    if (this.#isPrimary) this.#deadlines.putBack(timer);
  };

  // --- checkpoints ------------------------------------------------------------------------------------

  #armCheckpoint(): void {
    this.#checkpointTimer?.cancel();
    this.#checkpointTimer = this.#context.host.timers.after(checkpointIntervalMs, () => {
      this.#armCheckpoint();
      this.checkpoint(checkpointIntervalMs / 1000, ignoreOutcome);
    });
  }

  /**
   * Writes into the log what is left of every lease that has more than `aboveSeconds` left; `ended` is
   * called once for each of the returned number of proposals, later or from inside.
   */
  checkpoint(aboveSeconds: number, ended: () => void): number {
    let request = new LeaseCheckpointRequest();
    let sentCount = 0;
    const send = (): void => {
      if (request.checkpoints.length === 0) return;
      sentCount += 1;
      const bytes = encodeLeaseCheckpointRequest(request);
      this.#context.propose(Operation.leaseCheckpoint, bytes, new CheckpointProposal(ended));
      request = new LeaseCheckpointRequest();
    };
    const nowMs = this.#context.host.clock.monotonicMs();
    for (const timer of this.#deadlines.values()) {
      // Rounded up: what comes back may be longer than what was left, never shorter.
      const seconds = Math.ceil((timer.deadlineMs - nowMs) / 1000);
      if (timer.revoking || seconds <= aboveSeconds || seconds >= timer.ttlSeconds) continue;
      request.checkpoints.push(checkpointOf(timer.id, seconds));
      timer.checkpointCount += 1;
      if (request.checkpoints.length === checkpointCountMax) send();
    }
    send();
    return sentCount;
  }

  /** Whether a restart might bring back less than a renewal promises now. */
  hasCheckpoint(timer: LeaseTimer): boolean {
    const { leases } = this.#context.machine;
    return (
      timer.checkpointCount > timer.clearedCount || (leases.get(timer.id)?.remainingTtl ?? 0) > 0
    );
  }

  /** Takes the checkpoint of one lease back; `ended` is told whether that is in the log. */
  clearCheckpoint(timer: LeaseTimer, ended: (applied: boolean) => void): void {
    const request = new LeaseCheckpointRequest();
    request.checkpoints.push(checkpointOf(timer.id, 0));
    const bytes = encodeLeaseCheckpointRequest(request);
    // One that is written meanwhile stands behind this in the log, and counts.
    const count = timer.checkpointCount;
    const proposal = new CheckpointProposal((applied) => {
      if (applied) timer.clearedCount = Math.max(timer.clearedCount, count);
      ended(applied);
    });
    this.#context.propose(Operation.leaseCheckpoint, bytes, proposal);
  }

  #cancelTimers(): void {
    this.#checkTimer?.cancel();
    this.#checkpointTimer?.cancel();
    this.#checkTimer = undefined;
    this.#checkpointTimer = undefined;
  }
}

class Revocation extends Proposal {
  readonly timer: LeaseTimer;
  readonly #ended: (revocation: Revocation) => void;

  constructor(timer: LeaseTimer, ended: (revocation: Revocation) => void) {
    super();
    this.timer = timer;
    this.#ended = ended;
  }

  override applied(): void {
    this.#ended(this);
  }

  override refused(): void {
    this.#ended(this);
  }
}

class CheckpointProposal extends Proposal {
  readonly #ended: (applied: boolean) => void;

  constructor(ended: (applied: boolean) => void) {
    super();
    this.#ended = ended;
  }

  override applied(outcome: ApplyOutcome): void {
    this.#ended(outcome.error === undefined);
  }

  override refused(): void {
    this.#ended(false);
  }
}

function checkpointOf(id: bigint, seconds: number): LeaseCheckpoint {
  const checkpoint = new LeaseCheckpoint();
  checkpoint.id = id;
  checkpoint.remainingTtl = seconds;
  return checkpoint;
}

/** Periodic checkpoints are a help, not a promise: one that got lost is followed by another. */
function ignoreOutcome(): void {}

/** Moves deadlines to later, so that at most `spreadPerSecond` fall into one second. */
function spread(timers: LeaseTimer[]): void {
  timers.sort((a, b) => a.deadlineMs - b.deadlineMs);
  const firstMs = timers[0]?.deadlineMs ?? 0;
  timers.forEach((timer, i) => {
    const earliestMs = firstMs + Math.floor(i / spreadPerSecond) * 1000;
    if (timer.deadlineMs < earliestMs) {
      timer.deadlineMs = earliestMs;
      timer.placedMs = earliestMs;
    }
  });
}

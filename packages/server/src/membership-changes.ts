// Changes of the membership, from the request to the entry and back.
//
// Before a change is proposed it is checked against what is known here (`--strict-reconfig-check`): enough
// started members must remain for a quorum of the new voters, and they must be reachable. Whether ids and
// URLs fit is decided when the entry is applied, on every member alike. There is no time limit but the
// caller's: without a leader a change waits.
//
// In the formulas: V voters, S voters that have started (their name is known), both before the change.

import { type Bytes, background, emptyBytes } from "@etcd-ts/base";
import {
  type ConfChangeOutcome,
  encodeMemberContext,
  encodePromoteContext,
  type Machine,
  type Member,
} from "@etcd-ts/machine";
import { ConfChange, ConfChangeType } from "@etcd-ts/raft";
import type { ServerCall } from "@etcd-ts/rpc";
import type { ConfWaiter } from "./conf-queue.ts";
import type { MemberConfig } from "./config.ts";
import { catalogue, refusalOf } from "./errors.ts";
import type { RequestIds } from "./ids.ts";
import type { LeaderCalls } from "./leader-calls.ts";
import type { PeerTransport } from "./peer-transport.ts";
import { PeerRequestError } from "./peers/index.ts";
import type { Refusal } from "./refusals.ts";
import type { Replica } from "./replica.ts";

/** A peer counts as healthy when it has been connected this long without a break. */
const healthyAfterMs = 5000;
/** A learner may become a voter when it has this part of the leader's log. */
const readyFraction = 0.9;

export interface ChangeParts {
  readonly config: MemberConfig;
  readonly memberId: bigint;
  readonly machine: Machine;
  readonly replica: Replica;
  readonly transport: PeerTransport;
  readonly requestIds: RequestIds;
  readonly leaderCalls: LeaderCalls;
  readonly nowMs: () => number;
  /** Calls back when everything committed by now is applied, or too late. */
  whenApplied(done: (refusal: Refusal | undefined) => void): void;
  readonly fatal: (error: Error) => void;
}

type Answer = (members: readonly Member[]) => Uint8Array;

/** What metrics say of these is etcd's text from before they are worded for clients. */
const innerReasons: ReadonlyMap<Refusal, string> = new Map([
  [catalogue.memberNotFound, "membership: ID not found"],
  [catalogue.memberNotLearner, "membership: can only promote a learner member"],
]);

export class MembershipChanges {
  readonly #parts: ChangeParts;
  promoteSuccessCount = 0;
  readonly promoteFailures: Map<string, number> = new Map();

  constructor(parts: ChangeParts) {
    this.#parts = parts;
  }

  /** Ascending by id. */
  list(): readonly Member[] {
    return this.#parts.machine.members.list();
  }

  add(call: ServerCall, member: Member, answer: Answer): void {
    const refusal = this.#checkAdd(member.isLearner);
    const type = member.isLearner ? ConfChangeType.AddLearnerNode : ConfChangeType.AddNode;
    this.#propose(call, refusal, type, member.id, encodeMemberContext(member), answer);
  }

  remove(call: ServerCall, id: bigint, answer: Answer): void {
    this.#propose(call, this.#checkRemove(id), ConfChangeType.RemoveNode, id, emptyBytes, answer);
  }

  update(call: ServerCall, id: bigint, peerUrls: readonly string[], answer: Answer): void {
    // Stock members take the role from the request, too: without it a learner would be none in their lists, and they
    // would refuse its promotion.
    const isLearner = this.list().some((m) => m.id === id && m.isLearner);
    const member = { id, peerUrls, isLearner, name: "", clientUrls: [] };
    this.#propose(
      call,
      undefined,
      ConfChangeType.UpdateNode,
      id,
      encodeMemberContext(member),
      answer,
    );
  }

  /** By the leader, wherever that is. */
  promote(call: ServerCall, id: bigint, answer: Answer): void {
    const { leaderCalls, fatal } = this.#parts;
    const asked = leaderCalls.ask<readonly Member[]>({
      here: async () => {
        const outcome = await this.promoteHere(id, call);
        return outcome === catalogue.notLeader ? undefined : outcome;
      },
      there: async (requests, urls, timeoutMs) => {
        try {
          return await requests.promote(urls, id, call.metadata("authorization"), timeoutMs);
        } catch (error) {
          const refusal = error instanceof PeerRequestError ? promoteRefusal(error) : undefined;
          if (refusal === undefined) throw error;
          return refusal;
        }
      },
      isGone: () => call.ended,
    });
    background(
      asked.then((outcome) => {
        if ("code" in outcome) call.fail(outcome.code, outcome.message);
        else call.respond(answer(outcome));
      }),
      fatal,
    );
  }

  /** For a client's call here, or for another member that asks because this one leads. */
  async promoteHere(id: bigint, call?: ServerCall): Promise<readonly Member[] | Refusal> {
    const late = await this.#applied();
    const refusal = late ?? this.#checkPromote(id);
    const outcome =
      refusal ??
      (await new Promise<readonly Member[] | Refusal>((resolve) => {
        const waiter: ConfWaiter = {
          decided: ({ error, members }) =>
            resolve(error === undefined ? members : refusalOf(error)),
          refused: resolve,
        };
        const type = ConfChangeType.AddNode;
        this.#hand(type, id, encodePromoteContext(id), waiter, call);
      }));
    if (!("code" in outcome)) this.promoteSuccessCount++;
    else if (outcome !== catalogue.notLeader) this.#countPromoteFailure(outcome);
    return outcome;
  }

  #propose(
    call: ServerCall,
    refusal: Refusal | undefined,
    type: ConfChangeType,
    id: bigint,
    context: Bytes,
    answer: Answer,
  ): void {
    if (refusal !== undefined) {
      call.fail(refusal.code, refusal.message);
      return;
    }
    this.#hand(type, id, context, new ChangeWaiter(call, answer), call);
  }

  #hand(
    type: ConfChangeType,
    id: bigint,
    context: Bytes,
    waiter: ConfWaiter,
    call: ServerCall | undefined,
  ): void {
    const { requestIds, replica } = this.#parts;
    const change = new ConfChange();
    change.id = requestIds.whole(requestIds.next());
    change.type = type;
    change.nodeId = id;
    change.context = context;
    if (call !== undefined) call.onCancel = () => replica.forgetConfChange(change.id);
    replica.proposeConfChange({ change, waiter });
  }

  /** What was committed before may be about the member in question. */
  #applied(): Promise<Refusal | undefined> {
    return new Promise((resolve) => this.#parts.whenApplied(resolve));
  }

  #checkAdd(isLearner: boolean): Refusal | undefined {
    if (!this.#parts.config.strictReconfigCheck) return undefined;
    const voters = this.#voters();
    const started = voters.filter((m) => m.name !== "").length;
    const quorumAfter = Math.floor((voters.length + 1) / 2) + 1;
    if (!isLearner && !(voters.length === 1 && started === 1) && started < quorumAfter) {
      return catalogue.memberNotEnoughStarted;
    }
    if (voters.length > 1 && this.#healthyCount(voters) < quorumAfter) return catalogue.unhealthy;
    return undefined;
  }

  #checkRemove(id: bigint): Refusal | undefined {
    if (!this.#parts.config.strictReconfigCheck) return undefined;
    const voters = this.#voters();
    if (this.list().some((m) => m.id === id && m.isLearner)) return undefined;
    const remaining = voters.filter((m) => m.id !== id);
    const started = remaining.filter((m) => m.name !== "").length;
    if (started < Math.floor(remaining.length / 2) + 1) return catalogue.memberNotEnoughStarted;
    const isHere = id === this.#parts.memberId;
    if (!isHere && this.#parts.transport.activeSinceMs(id) === undefined) return undefined;
    if (this.#healthyCount(voters) - 1 < Math.floor((voters.length - 1) / 2) + 1) {
      return catalogue.unhealthy;
    }
    return undefined;
  }

  #checkPromote(id: bigint): Refusal | undefined {
    const { replica, config } = this.#parts;
    if (!replica.isLeader) return catalogue.notLeader;
    const member = this.list().find((m) => m.id === id);
    if (member === undefined) return catalogue.memberNotFound;
    const own = replica.matchIndexOf(this.#parts.memberId);
    if (replica.matchIndexOf(id) < own * readyFraction) return catalogue.learnerNotReady;
    if (!config.strictReconfigCheck) return undefined;
    const voters = this.#voters();
    const started = voters.filter((m) => m.name !== "").length;
    if (started + 1 < Math.floor((voters.length + 1) / 2) + 1) {
      return catalogue.memberNotEnoughStarted;
    }
    return undefined;
  }

  #voters(): readonly Member[] {
    return this.list().filter((m) => !m.isLearner);
  }

  #healthyCount(voters: readonly Member[]): number {
    const now = this.#parts.nowMs();
    let count = 0;
    for (const { id } of voters) {
      const since = this.#parts.transport.activeSinceMs(id);
      if (id === this.#parts.memberId || (since !== undefined && now - since >= healthyAfterMs)) {
        count++;
      }
    }
    return count;
  }

  #countPromoteFailure(refusal: Refusal): void {
    const reason = innerReasons.get(refusal) ?? refusal.message;
    this.promoteFailures.set(reason, (this.promoteFailures.get(reason) ?? 0) + 1);
  }
}

class ChangeWaiter implements ConfWaiter {
  readonly #call: ServerCall;
  readonly #answer: Answer;

  constructor(call: ServerCall, answer: Answer) {
    this.#call = call;
    this.#answer = answer;
  }

  decided(outcome: ConfChangeOutcome): void {
    if (outcome.error === undefined) this.#call.respond(this.#answer(outcome.members));
    else this.refused(refusalOf(outcome.error));
  }

  refused(refusal: Refusal): void {
    this.#call.fail(refusal.code, refusal.message);
  }
}

/** What the leader's refusal says, where it is one that no other attempt would change. */
function promoteRefusal({ status, message }: PeerRequestError): Refusal | undefined {
  if (status === 404) return catalogue.memberNotFound;
  if (status !== 412) return undefined;
  if (message.includes("in sync with leader")) return catalogue.learnerNotReady;
  if (message.includes("can only promote a learner member")) return catalogue.memberNotLearner;
  if (message.includes("not enough started members")) return catalogue.memberNotEnoughStarted;
  return undefined;
}

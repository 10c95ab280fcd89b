import assert from "node:assert/strict";
import { test } from "node:test";
import { ApplyOutcome, NoResult } from "@etcd-ts/machine";
import { Operation } from "../src/envelope.ts";
import { catalogue } from "../src/errors.ts";
import { RequestIds } from "../src/ids.ts";
import { Proposal, Proposals, type TimeoutEvidence } from "../src/proposals.ts";
import type { Refusal } from "../src/refusals.ts";

class Told extends Proposal {
  outcome: ApplyOutcome | undefined;
  refusal: Refusal | undefined;

  override applied(outcome: ApplyOutcome): void {
    this.outcome = outcome;
  }

  override refused(refusal: Refusal): void {
    assert.equal(this.refusal, undefined, "told once");
    this.refusal = refusal;
  }
}

function make(requestBytesMax = 1000): Proposals {
  return new Proposals(new RequestIds(7n, 1000), { requestBytesMax, requestTimeoutMs: 7000 });
}

function submit(proposals: Proposals, nowMs: number, bytes = 10): Told {
  const told = new Told();
  proposals.submit(Operation.put, new Uint8Array(bytes), told, nowMs);
  return told;
}

const calm: TimeoutEvidence = { leaderSinceMs: 0, electionMs: 1000, connectedSinceMs: () => 0 };

test("a proposal is taken once, and only from an entry of its own term or a later one", () => {
  const proposals = make();
  const told = submit(proposals, 0);
  assert.equal(proposals.take(told.id, 9), undefined, "not before raft has it");
  const [taken] = proposals.takeQueue(10, 1000);
  assert.equal(taken, told);
  told.handed = true;
  told.term = 5;
  assert.equal(proposals.take(told.id, 4), undefined, "an entry of an earlier life");
  assert.equal(proposals.take(told.id, 5), told);
  assert.equal(proposals.take(told.id, 5), undefined);
  assert.equal(proposals.pendingCount, 0);
});

test("the queue is handed out in portions, in order", () => {
  const proposals = make();
  const all = Array.from({ length: 7 }, () => submit(proposals, 0, 100));
  const size = all[0]!.data!.length;
  assert.deepEqual(proposals.takeQueue(3, 1e9), all.slice(0, 3));
  assert.deepEqual(proposals.takeQueue(3, 2 * size), all.slice(3, 5));
  assert.deepEqual(proposals.takeQueue(3, 1), all.slice(5, 6), "one at least");
  assert.deepEqual(proposals.takeQueue(3, 1), all.slice(6));
  assert.deepEqual(proposals.takeQueue(3, 1), []);
});

test("what waits too long is told why", () => {
  const cases: [Partial<TimeoutEvidence>, boolean, Refusal][] = [
    [{}, true, catalogue.timeout],
    [{}, false, catalogue.contextDeadlineExceeded],
    [{ leaderSinceMs: 11_000 }, true, catalogue.timeoutDueToLeaderFail],
    [{ leaderSinceMs: 10_000 }, true, catalogue.timeout],
    [{ leaderSinceMs: 12_000 }, true, catalogue.timeout],
    [{ connectedSinceMs: () => undefined }, true, catalogue.timeoutDueToConnectionLost],
    [{ connectedSinceMs: () => 10_001 }, true, catalogue.timeoutDueToConnectionLost],
  ];
  for (const [evidence, handed, expected] of cases) {
    const proposals = make();
    const told = submit(proposals, 10_000);
    if (handed) proposals.takeQueue(10, 1000);
    told.handed = handed;
    proposals.expire(16_999, { ...calm, ...evidence });
    assert.equal(told.refusal, undefined);
    proposals.expire(17_000, { ...calm, ...evidence });
    assert.equal(told.refusal, expected);
    assert.equal(proposals.queuedCount, 0);
    assert.equal(proposals.take(told.id, 99), undefined);
  }
});

test("only who has waited long enough is refused", () => {
  const proposals = make();
  const old = submit(proposals, 0);
  const young = submit(proposals, 5000);
  proposals.expire(7000, calm);
  assert.equal(old.refusal, catalogue.contextDeadlineExceeded);
  assert.equal(young.refusal, undefined);
  assert.deepEqual(proposals.takeQueue(10, 1000), [young]);
});

test("too large, too many, stopped", () => {
  const proposals = make(50);
  assert.equal(submit(proposals, 0, 60).refusal, catalogue.requestTooLarge);
  proposals.applyGap = 5001;
  assert.equal(submit(proposals, 0).refusal, catalogue.tooManyRequests);
  proposals.applyGap = 0;
  const waiting = submit(proposals, 0);
  proposals.stop(catalogue.stopped);
  assert.equal(waiting.refusal, catalogue.stopped);
  assert.equal(submit(proposals, 0).refusal, catalogue.stopped);
  assert.equal(proposals.failedCount, 4);
});

test("dropped proposals are refused, and their entries belong to nobody", () => {
  const proposals = make();
  const told = submit(proposals, 0);
  const batch = proposals.takeQueue(10, 1000);
  told.handed = true;
  proposals.drop(batch, catalogue.proposalDropped);
  assert.equal(told.refusal, catalogue.proposalDropped);
  assert.equal(proposals.take(told.id, 99), undefined);
  told.applied(new ApplyOutcome(1, undefined, new NoResult(1), 1));
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { catalogue } from "../src/errors.ts";
import { RequestIds } from "../src/ids.ts";
import { Reader, Reads } from "../src/reads.ts";
import type { Refusal } from "../src/refusals.ts";

class Told extends Reader {
  isReady = false;
  refusal: Refusal | undefined;

  override ready(): void {
    assert.ok(!this.isReady && this.refusal === undefined, "told once");
    this.isReady = true;
  }

  override refused(refusal: Refusal): void {
    assert.ok(!this.isReady && this.refusal === undefined, "told once");
    this.refusal = refusal;
  }
}

const clock = { monotonicMs: () => 0, wallMs: () => 0 };

function make(): { reads: Reads; sent: Uint8Array[]; add: () => Told } {
  const sent: Uint8Array[] = [];
  const reads = new Reads(new RequestIds(1n, 0), 7000, (context) => sent.push(context));
  const add = () => {
    const told = new Told();
    reads.add(told);
    return told;
  };
  return { reads, sent, add };
}

test("all readers of a turn share a round and wait for its index to be applied", () => {
  const { reads, sent, add } = make();
  const readers = [add(), add(), add()];
  reads.beginRound(0);
  assert.equal(sent.length, 1);
  reads.confirm(sent[0]!, 8);
  reads.release(7, clock, 3);
  assert.ok(readers.every((reader) => !reader.isReady));
  reads.release(8, clock, 3);
  assert.ok(readers.every((reader) => reader.isReady));
});

test("who comes during a round waits for the next one", () => {
  const { reads, sent, add } = make();
  const first = add();
  reads.beginRound(0);
  const second = add();
  reads.beginRound(1);
  assert.equal(sent.length, 1);
  reads.confirm(sent[0]!, 5);
  reads.release(5, clock, 3);
  assert.ok(first.isReady && !second.isReady);
  reads.beginRound(2);
  reads.confirm(sent[0]!, 6);
  reads.release(6, clock, 3);
  assert.ok(!second.isReady, "the answer to the first round does not confirm the second");
  reads.confirm(sent[1]!, 7);
  reads.release(7, clock, 3);
  assert.ok(second.isReady);
});

test("a round is repeated every 500 ms, and any of its ids confirms it", () => {
  const { reads, sent, add } = make();
  const reader = add();
  reads.beginRound(0);
  reads.tick(499);
  assert.equal(sent.length, 1);
  reads.tick(500);
  reads.tick(600);
  reads.tick(1000);
  assert.equal(sent.length, 3);
  reads.repeat(1100);
  assert.equal(sent.length, 4);
  reads.confirm(sent[1]!, 3);
  reads.release(3, clock, 3);
  assert.ok(reader.isReady);
  assert.equal(reads.slowCount, 2);
});

test("a round ends with a time-out, a new leader or the member", () => {
  const late = make();
  const lateReader = late.add();
  late.reads.beginRound(0);
  late.reads.tick(6999);
  assert.equal(lateReader.refusal, undefined);
  late.reads.tick(7000);
  assert.equal(lateReader.refusal, catalogue.timeout);

  const changed = make();
  const changedReader = changed.add();
  changed.reads.beginRound(0);
  const next = changed.add();
  changed.reads.leaderChanged();
  assert.equal(changedReader.refusal, catalogue.leaderChanged);
  assert.equal(next.refusal, undefined, "only the round under way");

  const stopped = make();
  const confirmed = stopped.add();
  stopped.reads.beginRound(0);
  stopped.reads.confirm(stopped.sent[0]!, 9);
  const running = stopped.add();
  stopped.reads.beginRound(0);
  const waiting = stopped.add();
  stopped.reads.stop();
  for (const reader of [confirmed, running, waiting, stopped.add()]) {
    assert.equal(reader.refusal, catalogue.stopped);
  }
});

test("many readers are let go a slice at a time", () => {
  const { reads, sent, add } = make();
  const readers = Array.from({ length: 100 }, add);
  reads.beginRound(0);
  reads.confirm(sent[0]!, 1);
  let now = 0;
  const ticking = { monotonicMs: () => now++, wallMs: () => 0 };
  reads.release(1, ticking, 3);
  const first = readers.filter((reader) => reader.isReady).length;
  assert.ok(first > 0 && first < 100, `${first} at once`);
  assert.ok(reads.canRelease(1));
  for (let i = 0; i < 20; i++) reads.release(1, ticking, 3);
  assert.ok(readers.every((reader) => reader.isReady));
});

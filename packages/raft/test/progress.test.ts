import assert from "node:assert/strict";
import test from "node:test";
import { InvariantError } from "@etcd-ts/base";
import { Inflights } from "../src/inflights.ts";
import { Progress, ProgressState } from "../src/progress.ts";

function progressOf(fields: Partial<Progress> = {}): Progress {
  const progress = new Progress(1, new Inflights(256, Number.POSITIVE_INFINITY), false);
  return Object.assign(progress, { recentActive: true }, fields);
}

test("a progress reads as one line", () => {
  const progress = progressOf({ match: 2, next: 3, pendingSnapshot: 4, appendsPaused: true });
  progress.state = ProgressState.snapshot;
  progress.recentActive = false;
  progress.isLearner = true;
  progress.inflights = new Inflights(1, 10);
  progress.inflights.add(2, 3);
  assert.equal(
    progress.toString(),
    "StateSnapshot match=2 next=3 learner paused pendingSnap=4 inactive inflight=1[full]",
  );
});

test("paused: in a snapshot always, otherwise until something is heard", () => {
  for (const [state, appendsPaused, wanted] of [
    [ProgressState.probe, false, false],
    [ProgressState.probe, true, true],
    [ProgressState.replicate, false, false],
    [ProgressState.replicate, true, true],
    [ProgressState.snapshot, false, true],
  ] as const) {
    assert.equal(progressOf({ state, appendsPaused }).paused, wanted);
  }
});

test("news of a match raise match and next, and end a pause; old news do nothing", () => {
  for (const [index, news, match, next, paused] of [
    [2, false, 3, 5, true],
    [3, false, 3, 5, true],
    [4, true, 4, 5, false],
    [5, true, 5, 6, false],
  ] as const) {
    const progress = progressOf({ match: 3, next: 5, appendsPaused: true });
    assert.equal(progress.maybeUpdate(index), news);
    assert.deepEqual(
      [progress.match, progress.next, progress.appendsPaused],
      [match, next, paused],
    );
  }
});

test("a rejection counts when it answers what was sent", () => {
  for (const [state, match, next, rejected, hint, counts, then] of [
    // While replicating: everything above what is known to match.
    [ProgressState.replicate, 5, 10, 5, 5, false, 10],
    [ProgressState.replicate, 5, 10, 4, 4, false, 10],
    [ProgressState.replicate, 5, 10, 9, 9, true, 6],
    // While probing: only the last probe.
    [ProgressState.probe, 0, 0, 0, 0, false, 0],
    [ProgressState.probe, 0, 10, 5, 5, false, 10],
    [ProgressState.probe, 0, 10, 9, 9, true, 9],
    [ProgressState.probe, 0, 10, 9, 2, true, 3],
    [ProgressState.probe, 0, 2, 1, 1, true, 1],
    [ProgressState.probe, 0, 1, 0, 0, true, 1],
    [ProgressState.probe, 4, 10, 9, 2, true, 5],
  ] as const) {
    const progress = progressOf({ state, match, next, sentCommit: 8 });
    assert.equal(progress.maybeDecrease(rejected, hint), counts);
    assert.equal(progress.next, then);
    if (counts) assert.ok(progress.sentCommit <= then - 1);
    assert.ok(progress.next > progress.match || next === 0);
  }
});

test("from a snapshot one goes on behind it, if it was not given up", () => {
  const progress = progressOf({ match: 1, next: 5 });
  progress.becomeSnapshot(10);
  assert.deepEqual([progress.next, progress.pendingSnapshot, progress.sentCommit], [11, 10, 10]);
  progress.becomeProbe();
  assert.deepEqual([progress.next, progress.pendingSnapshot], [11, 0]);
  progress.becomeReplicate();
  assert.equal(progress.next, 2);
});

test("a commit index is worth an append when it is new and lies within what was sent", () => {
  const progress = progressOf({ match: 3, next: 6, sentCommit: 3 });
  assert.equal(progress.canBumpCommit(3), false);
  assert.equal(progress.canBumpCommit(4), true);
  progress.sentCommitIndex(5);
  assert.equal(progress.canBumpCommit(9), false);
});

test("what is sent pauses a probe at once, and replication when the window is full", () => {
  const probe = progressOf({ next: 3 });
  probe.sentEntries(0, 0);
  assert.equal(probe.paused, false);
  probe.sentEntries(2, 10);
  assert.deepEqual([probe.paused, probe.next], [true, 3]);

  const replicate = progressOf({ next: 3, inflights: new Inflights(2, 100) });
  replicate.state = ProgressState.replicate;
  replicate.sentEntries(2, 10);
  assert.deepEqual([replicate.paused, replicate.next], [false, 5]);
  replicate.sentEntries(1, 10);
  assert.equal(replicate.paused, true);

  const snapshot = progressOf();
  snapshot.becomeSnapshot(3);
  assert.throws(() => snapshot.sentEntries(1, 1), InvariantError);
});

// --- inflights ------------------------------------------------------------------------------------

test("a window is a queue by index, bounded in messages and in bytes", () => {
  const window = new Inflights(3, 100);
  window.add(1, 10);
  window.add(5, 20);
  assert.equal(window.full, false);
  window.add(6, 10);
  assert.equal(window.full, true);
  assert.throws(() => window.add(7, 1), InvariantError);
  window.freeThrough(4);
  assert.equal(window.count, 2);
  // The message that crosses the bound is taken, and none behind it.
  window.add(9, 500);
  assert.equal(window.full, true);
  window.freeThrough(6);
  assert.deepEqual([window.count, window.full], [1, true]);
  window.freeThrough(9);
  assert.deepEqual([window.count, window.full], [0, false]);
});

test("a window grows and wraps like a model of it", () => {
  const window = new Inflights(1000, Number.POSITIVE_INFINITY);
  const model: number[] = [];
  let next = 1;
  for (let round = 0; round < 300; round++) {
    for (let i = 0; i < (round * 7) % 13 && model.length < 1000; i++) {
      next += 1 + (i % 3);
      window.add(next, 1);
      model.push(next);
    }
    const through = model[(round * 5) % 11] ?? 0;
    window.freeThrough(through);
    while (model.length > 0 && model[0]! <= through) model.shift();
    assert.equal(window.count, model.length);
  }
  window.reset();
  assert.equal(window.count, 0);
});

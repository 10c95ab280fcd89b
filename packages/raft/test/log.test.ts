import assert from "node:assert/strict";
import test from "node:test";
import { InvariantError } from "@etcd-ts/base";
import { encodedSize, encodedSizeOf } from "../src/entry-size.ts";
import { type Entry, LogLevel, MemoryLog, type RaftLogger, silentLogger } from "../src/index.ts";
import { RaftLog } from "../src/raft-log.ts";
import { Unstable } from "../src/unstable.ts";
import { confStateOf, entriesOf, makeSnapshot } from "./helpers.ts";

const unlimited = Number.POSITIVE_INFINITY;

function termsOf(entries: readonly Entry[]): string {
  return entries.map((entry) => `${entry.term}/${entry.index}`).join(" ");
}

class Notes implements RaftLogger {
  readonly level: LogLevel = LogLevel.debug;
  readonly lines: string[] = [];
  write(_level: LogLevel, text: string): void {
    this.lines.push(text);
  }
}

// --- unstable -------------------------------------------------------------------------------------

function unstableOf(offset: number, ...terms: number[]): Unstable {
  const unstable = new Unstable(offset, silentLogger);
  unstable.entries = entriesOf(offset, ...terms);
  return unstable;
}

for (const [name, first, terms, wanted, inProgress] of [
  ["behind the end", 8, [2], "1/5 1/6 1/7 2/8", 7],
  ["from its beginning on", 5, [2, 2], "2/5 2/6", 5],
  ["from before it on", 4, [2], "2/4", 4],
  ["from what is in progress on", 6, [2, 2], "1/5 2/6 2/7", 6],
  ["from what is not in progress on", 7, [2], "1/5 1/6 2/7", 7],
] as const) {
  test(`unstable: entries ${name} replace what was there`, () => {
    const unstable = unstableOf(5, 1, 1);
    unstable.acceptInProgress();
    unstable.append(entriesOf(7, 1));
    unstable.append(entriesOf(first, ...terms));
    assert.equal(termsOf(unstable.entries), wanted);
    assert.equal(unstable.inProgress, inProgress);
  });
}

for (const [name, index, term, left] of [
  ["the first entry", 5, 1, "1/6 2/7"],
  ["the last entry", 7, 2, ""],
  ["an entry of another term, which was replaced meanwhile", 6, 9, "1/5 1/6 2/7"],
  ["an entry that is durable already", 4, 1, "1/5 1/6 2/7"],
  ["an entry that is not there", 8, 2, "1/5 1/6 2/7"],
] as const) {
  test(`unstable: durability of ${name}`, () => {
    const unstable = unstableOf(5, 1, 1, 2);
    unstable.stableTo(index, term);
    assert.equal(termsOf(unstable.entries), left);
    assert.ok(unstable.inProgress >= unstable.offset);
  });
}

test("unstable: a durable snapshot goes, a newer one stays", () => {
  const unstable = unstableOf(5);
  unstable.restore(makeSnapshot(9, 2, confStateOf(1n)), 9);
  assert.deepEqual([unstable.offset, unstable.term(9), unstable.term(8)], [10, 2, undefined]);
  unstable.snapshotStableTo(8);
  assert.ok(unstable.snapshot);
  unstable.stableTo(9, 2);
  assert.ok(unstable.snapshot);
  unstable.acceptInProgress();
  assert.equal(unstable.nextSnapshot(), undefined);
  unstable.snapshotStableTo(9);
  assert.equal(unstable.snapshot, undefined);
});

test("unstable: what was handed out is not handed out again", () => {
  const unstable = unstableOf(5, 1, 1);
  assert.equal(termsOf(unstable.nextEntries()), "1/5 1/6");
  unstable.acceptInProgress();
  assert.equal(unstable.hasNextEntries, false);
  unstable.append(entriesOf(7, 1));
  assert.equal(termsOf(unstable.nextEntries()), "1/7");
  // Unless it was replaced.
  unstable.append(entriesOf(6, 2));
  assert.equal(termsOf(unstable.nextEntries()), "2/6");
});

// --- the whole log --------------------------------------------------------------------------------

function logOf(
  stable: readonly number[],
  young: readonly number[] = [],
  applyBytesMax = unlimited,
): RaftLog {
  const memory = new MemoryLog();
  memory.append(entriesOf(1, ...stable));
  const log = new RaftLog(memory, silentLogger, applyBytesMax);
  log.append(entriesOf(stable.length + 1, ...young));
  return log;
}

test("terms are known from one before the first index to the last one", () => {
  const memory = new MemoryLog();
  memory.applySnapshot(makeSnapshot(5, 3, confStateOf(1n)));
  memory.append(entriesOf(6, 3, 4));
  const log = new RaftLog(memory, silentLogger, unlimited);
  log.append(entriesOf(8, 5));
  assert.deepEqual(
    [4, 5, 6, 7, 8, 9].map((index) => log.term(index)),
    ["compacted", 3, 3, 4, 5, "unavailable"],
  );
  assert.deepEqual([log.firstIndex, log.lastIndex, log.lastTerm, log.committed], [6, 8, 5, 5]);
});

test("a log is up to date by its last term, then by its length", () => {
  const log = logOf([1, 2, 3]);
  for (const [index, term, wanted] of [
    [2, 4, true],
    [3, 3, true],
    [4, 3, true],
    [2, 3, false],
    [9, 2, false],
  ] as const) {
    assert.equal(log.isUpToDate(index, term), wanted);
  }
});

for (const [index, term, entries, commit, wanted] of [
  // [previous index, previous term, terms, leader's commit] -> log, or refused
  [3, 2, [4], 3, undefined],
  [4, 3, [4], 3, undefined],
  [3, 3, [], 3, "1 2 3 commit 3"],
  [3, 3, [], 4, "1 2 3 commit 3"],
  [3, 3, [], 2, "1 2 3 commit 2"],
  [3, 3, [4], 3, "1 2 3 4 commit 3"],
  [3, 3, [4, 4], 9, "1 2 3 4 4 commit 5"],
  [2, 2, [4], 3, "1 2 4 commit 3"],
  [1, 1, [4], 3, "1 4 commit 2"],
  [1, 1, [4, 4], 3, "1 4 4 commit 3"],
  [1, 1, [2], 1, "1 2 3 commit 1"],
  [0, 0, [1, 2], 1, "1 2 3 commit 1"],
] as const) {
  test(`a leader's entries ${entries.join(" ")} behind ${term}/${index}, committed ${commit}`, () => {
    const log = logOf([1, 2], [3]);
    log.commitTo(1);
    const taken = log.appendFromLeader(index, term, entriesOf(index + 1, ...entries), commit);
    const terms: unknown[] = [];
    for (let i = 1; i <= log.lastIndex; i++) terms.push(log.term(i));
    const now = taken ? `${terms.join(" ")} commit ${log.committed}` : undefined;
    assert.equal(now, wanted);
  });
}

test("a conflict with what is committed is fatal, and so is a commit beyond the end", () => {
  const log = logOf([1, 2], [3]);
  log.commitTo(2);
  assert.throws(() => log.appendFromLeader(1, 1, entriesOf(2, 4), 2), InvariantError);
  assert.throws(() => log.commitTo(4), InvariantError);
  assert.throws(() => log.append(entriesOf(2, 4)), InvariantError);
});

test("a conflict is written down with both terms", () => {
  const notes = new Notes();
  const memory = new MemoryLog();
  memory.append(entriesOf(1, 1, 2));
  const log = new RaftLog(memory, notes, unlimited);
  log.appendFromLeader(1, 1, entriesOf(2, 5), 0);
  assert.deepEqual(notes.lines, [
    "found conflict at index 2 [existing term: 2, conflicting term: 5]",
    "replace the unstable entries from index 2",
  ]);
});

test("the highest index that may match a term", () => {
  const log = logOf([1, 2, 2, 4, 4], [4, 5]);
  for (const [from, term, index, found] of [
    [7, 5, 7, 5],
    [7, 4, 6, 4],
    [7, 3, 3, 2],
    [7, 1, 1, 1],
    [7, 0, 0, 0],
    [2, 9, 2, 2],
    [9, 1, 9, 0],
    [0, 1, 0, 0],
  ] as const) {
    assert.deepEqual(log.findConflictByTerm(from, term), { index, term: found });
  }
});

test("slices reach over the durable and the young part, and hold what fits, at least one", () => {
  const log = logOf([1, 1, 1], [1, 1, 1]);
  const [one] = entriesOf(1, 1);
  const size = encodedSize(one!);
  for (let low = 1; low <= 6; low++) {
    for (let high = low; high <= 7; high++) {
      for (const fit of [0, 1, 2, 3, 4, 5, 6, unlimited]) {
        for (const spare of [0, size - 1]) {
          const entries = log.slice(low, high, fit === unlimited ? fit : fit * size + spare);
          const count = high === low ? 0 : Math.max(1, Math.min(fit, high - low));
          assert.equal(
            termsOf(entries as Entry[]),
            termsOf(entriesOf(low, ...Array<number>(count).fill(1))),
          );
        }
      }
    }
  }
});

test("slices below the first index are compacted; beyond the end they are a bug", () => {
  const memory = new MemoryLog();
  memory.applySnapshot(makeSnapshot(5, 1, confStateOf(1n)));
  memory.append(entriesOf(6, 1));
  const log = new RaftLog(memory, silentLogger, unlimited);
  assert.equal(log.slice(5, 6, unlimited), "compacted");
  assert.equal(log.entriesFrom(3, unlimited), "compacted");
  assert.deepEqual(log.entriesFrom(7, unlimited), []);
  assert.throws(() => log.slice(6, 8, unlimited), InvariantError);
});

test("committed entries are handed out once, durable ones only where that is wanted", () => {
  const log = logOf([1, 1], [1, 1]);
  log.commitTo(4);
  assert.equal(termsOf(log.nextCommitted(false)), "1/1 1/2");
  assert.equal(termsOf(log.nextCommitted(true)), "1/1 1/2 1/3 1/4");
  log.acceptApplying(2, 10, false);
  assert.equal(log.hasNextCommitted(false), false);
  assert.equal(termsOf(log.nextCommitted(true)), "1/3 1/4");
  log.unstable.stableTo(3, 1);
  // The young part is not written in this test, so look no further than that it is wanted.
  assert.equal(log.hasNextCommitted(false), true);
});

test("applying pauses at its bound, and goes on when enough is acknowledged", () => {
  const entries = entriesOf(1, 1, 1, 1, 1);
  const size = encodedSize(entries[0]!);
  const log = logOf([1, 1, 1, 1], [], 2 * size + 1);
  log.commitTo(4);
  const first = log.nextCommitted(true);
  assert.equal(termsOf(first), "1/1 1/2");
  log.acceptApplying(2, encodedSizeOf(first), true);
  assert.equal(log.hasNextCommitted(true), false);
  log.appliedTo(1, size);
  assert.equal(termsOf(log.nextCommitted(true)), "1/3");
  log.appliedTo(2, size);
  assert.equal(termsOf(log.nextCommitted(true)), "1/3 1/4");
  assert.throws(() => log.appliedTo(1, 0), InvariantError);
  assert.throws(() => log.appliedTo(5, 0), InvariantError);
});

test("nothing is applied while a snapshot is being installed", () => {
  const log = logOf([1]);
  log.commitTo(1);
  log.restore(makeSnapshot(9, 2, confStateOf(1n)));
  log.append(entriesOf(10, 2));
  log.commitTo(10);
  assert.equal(log.hasNextCommitted(true), false);
  log.unstable.snapshotStableTo(9);
  log.appliedTo(9, 0);
  assert.equal(termsOf(log.nextCommitted(true)), "2/10");
});

// --- MemoryLog ------------------------------------------------------------------------------------

test("a memory log begins empty behind index zero", () => {
  const log = new MemoryLog();
  assert.deepEqual([log.firstIndex(), log.lastIndex(), log.term(0)], [1, 0, 0]);
  assert.equal(log.term(1), "unavailable");
});

test("a memory log gives entries that fit, and says which side of it others are on", () => {
  const log = new MemoryLog();
  log.append(entriesOf(1, 1, 1, 1, 1));
  log.compact(2);
  assert.equal(log.entries(2, 4, unlimited), "compacted");
  assert.equal(log.entries(3, 6, unlimited), "unavailable");
  assert.equal(termsOf(log.entries(3, 5, unlimited) as Entry[]), "1/3 1/4");
  assert.equal(termsOf(log.entries(3, 5, 0) as Entry[]), "1/3");
  assert.deepEqual(
    [log.term(1), log.term(2), log.term(4), log.term(5)],
    ["compacted", 1, 1, "unavailable"],
  );
});

for (const [first, terms, wanted] of [
  [1, [1, 1], "4/4 5/5"],
  [3, [3, 6], "6/4"],
  [2, [3, 3, 5], "5/4"],
  [4, [6], "6/4"],
  [6, [5], "4/4 5/5 5/6"],
  [1, [1, 1, 1, 7, 8], "7/4 8/5"],
] as const) {
  test(`a memory log that begins at 4 takes ${terms.join(" ")} from ${first} on`, () => {
    const log = new MemoryLog();
    log.append(entriesOf(1, 1, 2, 3, 4, 5));
    log.compact(3);
    log.append(entriesOf(first, ...terms));
    assert.equal(termsOf(log.entries(4, log.lastIndex() + 1, unlimited) as Entry[]), wanted);
  });
}

test("a memory log refuses a gap", () => {
  const log = new MemoryLog();
  log.append(entriesOf(1, 1));
  assert.throws(() => log.append(entriesOf(3, 1)), InvariantError);
  assert.throws(() => log.compact(2), InvariantError);
});

test("a memory log is compacted once, and knows the term of the place", () => {
  const log = new MemoryLog();
  log.append(entriesOf(1, 1, 2, 3));
  assert.equal(log.compact(2), true);
  assert.equal(log.compact(2), false);
  assert.equal(log.compact(1), false);
  assert.deepEqual([log.firstIndex(), log.term(2)], [3, 2]);
});

test("a memory log takes newer snapshots, and makes them of what it has", () => {
  const log = new MemoryLog();
  assert.equal(log.applySnapshot(makeSnapshot(0, 0, confStateOf(1n))), true);
  assert.deepEqual(log.initialState().confState.voters, [1n]);
  assert.equal(log.applySnapshot(makeSnapshot(4, 2, confStateOf(1n, 2n))), true);
  assert.equal(log.applySnapshot(makeSnapshot(4, 2, confStateOf(3n))), false);
  assert.deepEqual(log.initialState().confState.voters, [1n, 2n]);
  log.append(entriesOf(5, 2, 3));
  assert.equal(log.createSnapshot(4, undefined, new Uint8Array()), undefined);
  const made = log.createSnapshot(6, undefined, new Uint8Array([1]));
  assert.deepEqual([made?.metadata?.index, made?.metadata?.term], [6, 3]);
  assert.deepEqual(made?.metadata?.confState?.voters, [1n, 2n]);
  assert.equal(log.snapshot(), made);
  assert.throws(() => log.createSnapshot(7, undefined, new Uint8Array()), InvariantError);
});

test("a snapshot with nothing but a configuration does not wipe a log", () => {
  const log = new MemoryLog();
  log.append(entriesOf(1, 1));
  assert.throws(() => log.applySnapshot(makeSnapshot(0, 0, confStateOf(1n))), InvariantError);
});

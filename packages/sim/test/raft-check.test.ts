import assert from "node:assert/strict";
import { test } from "node:test";
import { Entry, MemoryLog, Snapshot, SnapshotMetadata } from "@etcd-ts/raft";
import type { Member } from "@etcd-ts/server";
import { RaftCheck } from "../src/checks/raft-check.ts";

function entry(index: number, term: number): Entry {
  return Object.assign(new Entry(), { index, term });
}

/** A log of entries of these terms, from index 1 on. */
function logOf(...terms: number[]): MemoryLog {
  const log = new MemoryLog();
  log.append(terms.map((term, i) => entry(i + 1, term)));
  return log;
}

/** A log that begins behind a snapshot. */
function logBehind(index: number, term: number, ...entries: Entry[]): MemoryLog {
  const log = new MemoryLog();
  const metadata = Object.assign(new SnapshotMetadata(), { index, term });
  log.applySnapshot(Object.assign(new Snapshot(), { metadata }));
  log.append(entries);
  return log;
}

/** What the check looks at of a member. */
function member(log: MemoryLog, term: number, isLeader = false, appliedIndex = 0): Member {
  return {
    opened: { log },
    replica: { term, isLeader },
    machine: { appliedIndex },
  } as unknown as Member;
}

function comesBack(before: MemoryLog, after: MemoryLog): void {
  const check = new RaftCheck();
  check.observe("m1", member(before, 4));
  check.restarted("m1", member(after, 5));
}

test("a member that comes back without an entry that it had has lost it", () => {
  assert.throws(() => comesBack(logOf(4, 4, 4), logOf(4, 4)), /entry 3 of term 4/);
  assert.throws(() => comesBack(logOf(4, 4, 4), logBehind(2, 4)), /entry 3 of term 4/);
  comesBack(logOf(4, 4, 4), logOf(4, 4, 4));
  comesBack(logOf(4, 4, 4), logBehind(3, 4));
});

// Seed 503541 of the swarms: it ended between the snapshot's coming and the next look at its log.
test("a newer leader's entry, or its snapshot, takes the place of all that stood there and behind it", () => {
  comesBack(logOf(4, 4, 4), logOf(4, 5));
  comesBack(logOf(4, 4, 4), logBehind(2, 5));
  comesBack(logOf(4, 4, 4), logBehind(2, 5, entry(3, 5)));
});

test("a leader without an entry that was committed in an earlier term is none", () => {
  const check = new RaftCheck();
  check.observe("m1", member(logOf(1, 1), 1, true, 2));
  assert.throws(
    () => check.observe("m2", member(logOf(1, 2), 2, true)),
    /m2 leads in term 2 with 2 at index 2, where an entry of term 1 was committed \(m1\)/,
  );
});

// Seed 505927 of the swarms: a candidate was frozen with the decisive vote in its inbox.
test("who hears late of its election may lack what a later leader has committed", () => {
  const check = new RaftCheck();
  check.observe("m1", member(logOf(1, 1, 3), 3, true, 3));
  check.observe("m2", member(logOf(1, 2), 2, true));
});

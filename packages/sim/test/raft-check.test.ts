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

/** What the check looks at of a follower that has applied nothing. */
function follower(log: MemoryLog, term: number): Member {
  return {
    opened: { log },
    replica: { term, isLeader: false },
    machine: { appliedIndex: 0 },
  } as unknown as Member;
}

function comesBack(before: MemoryLog, after: MemoryLog): void {
  const check = new RaftCheck();
  check.observe("m1", follower(before, 4));
  check.restarted("m1", follower(after, 5));
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

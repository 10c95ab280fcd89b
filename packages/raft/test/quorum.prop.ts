import assert from "node:assert/strict";
import test from "node:test";
import { SeededRandom } from "@etcd-ts/base";
import { sortedIds } from "../src/ids.ts";
import {
  type AckedIndexes,
  jointCommitted,
  jointVote,
  majorityCommitted,
  majorityVote,
  VoteResult,
} from "../src/quorum.ts";

const seed = Number(process.env["RAFT_SEED"] ?? 20_250_101);
const rounds = 3000;

function draw(random: SeededRandom): {
  incoming: bigint[];
  outgoing: bigint[];
  acked: AckedIndexes & { indexes: Map<bigint, number> };
} {
  const ids = (): bigint[] =>
    sortedIds(Array.from({ length: random.below(8) }, () => BigInt(1 + random.below(10))));
  const indexes = new Map<bigint, number>();
  for (let id = 1n; id <= 10n; id++) {
    if (random.chance(3, 4)) indexes.set(id, random.below(6));
  }
  const acked = { indexes, ackedIndex: (id: bigint) => indexes.get(id) };
  return { incoming: ids(), outgoing: ids(), acked };
}

test(`a majority agrees to the committed index and to none above it (seed ${seed})`, () => {
  const random = new SeededRandom(seed);
  for (let i = 0; i < rounds; i++) {
    const { incoming: voters, acked } = draw(random);
    const index = majorityCommitted(voters, acked);
    if (voters.length === 0) {
      assert.equal(index, Number.POSITIVE_INFINITY);
      continue;
    }
    const have = (least: number): number =>
      voters.filter((id) => (acked.ackedIndex(id) ?? 0) >= least).length;
    assert.ok(have(index) * 2 > voters.length);
    assert.ok(have(index + 1) * 2 <= voters.length);
  }
});

test(`a joint configuration commits the lower of its halves (seed ${seed})`, () => {
  const random = new SeededRandom(seed);
  for (let i = 0; i < rounds; i++) {
    const { incoming, outgoing, acked } = draw(random);
    const joint = jointCommitted({ incoming, outgoing }, acked);
    const halves = [majorityCommitted(incoming, acked), majorityCommitted(outgoing, acked)];
    assert.equal(joint, Math.min(...halves));
    assert.equal(joint, jointCommitted({ incoming: outgoing, outgoing: incoming }, acked));
  }
});

test(`a commit index never falls when voters acknowledge more (seed ${seed})`, () => {
  const random = new SeededRandom(seed);
  for (let i = 0; i < rounds; i++) {
    const { incoming, outgoing, acked } = draw(random);
    const before = jointCommitted({ incoming, outgoing }, acked);
    const id = BigInt(1 + random.below(10));
    acked.indexes.set(id, (acked.indexes.get(id) ?? 0) + 1 + random.below(3));
    assert.ok(jointCommitted({ incoming, outgoing }, acked) >= before);
  }
});

test(`votes agree with commits of index 1, and a decision is final (seed ${seed})`, () => {
  const random = new SeededRandom(seed);
  for (let i = 0; i < rounds; i++) {
    const { incoming, outgoing } = draw(random);
    const voters = { incoming, outgoing };
    const votes = new Map<bigint, boolean>();
    for (const id of sortedIds([...incoming, ...outgoing])) {
      if (random.chance(2, 3)) votes.set(id, random.chance(1, 2));
    }
    const result = jointVote(voters, votes);
    const acked = { ackedIndex: (id: bigint) => (votes.get(id) ? 1 : 0) };
    assert.equal(result === VoteResult.won, jointCommitted(voters, acked) >= 1);
    // With the missing answers all one way or the other.
    const fill = (answer: boolean): VoteResult => {
      const all = new Map(votes);
      for (const id of [...incoming, ...outgoing]) if (!all.has(id)) all.set(id, answer);
      return jointVote(voters, all);
    };
    if (result === VoteResult.pending) {
      assert.equal(fill(true), VoteResult.won);
      assert.equal(fill(false), VoteResult.lost);
    } else {
      assert.equal(fill(true), result);
      assert.equal(fill(false), result);
    }
    if (outgoing.length === 0) assert.equal(result, majorityVote(incoming, votes));
  }
});

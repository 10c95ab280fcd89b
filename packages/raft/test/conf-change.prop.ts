import assert from "node:assert/strict";
import test from "node:test";
import { SeededRandom } from "@etcd-ts/base";
import {
  type ChangeOutcome,
  changeSimple,
  enterJoint,
  leaveJoint,
  type Membership,
} from "../src/conf-change.ts";
import { restoreMembership, sameConfState, toConfState } from "../src/conf-state.ts";
import { emptyConfiguration } from "../src/configuration.ts";
import { sortedIds } from "../src/ids.ts";
import { ConfChangeSingle, ConfState } from "../src/index.ts";

const seed = Number(process.env["RAFT_SEED"] ?? 20_250_102);
const newcomers = { lastIndex: 7, inflightMessagesMax: 10, inflightBytesMax: Infinity };
const empty: Membership = { configuration: emptyConfiguration, progress: new Map() };

function randomChanges(random: SeededRandom, count: number): ConfChangeSingle[] {
  return Array.from({ length: count }, () => {
    const change = new ConfChangeSingle();
    change.type = random.below(4);
    change.nodeId = BigInt(random.below(7));
    return change;
  });
}

/** A conf state that a group can have. */
function randomConfState(random: SeededRandom): ConfState {
  const ids = [1n, 2n, 3n, 4n, 5n, 6n, 7n, 8n].filter(() => random.chance(3, 4));
  const state = new ConfState();
  const learners: bigint[] = [];
  for (const id of ids) (random.chance(1, 3) ? learners : state.voters).push(id);
  if (state.voters.length === 0) state.voters.push(9n);
  if (random.chance(1, 2)) {
    state.votersOutgoing = [...state.voters.filter(() => random.chance(1, 2)), 10n];
    state.autoLeave = random.chance(1, 2);
    state.votersOutgoing.push(...learners.filter(() => random.chance(1, 3)));
  }
  for (const id of learners) {
    (state.votersOutgoing.includes(id) ? state.learnersNext : state.learners).push(id);
  }
  return state;
}

test(`every conf state that a group can have is restored as it was (seed ${seed})`, () => {
  const random = new SeededRandom(seed);
  let joint = 0;
  for (let i = 0; i < 2000; i++) {
    const state = randomConfState(random);
    const outcome = restoreMembership(state, newcomers);
    assert.equal(outcome.refusal, undefined);
    const restored = toConfState(outcome.membership!.configuration);
    assert.ok(sameConfState(restored, state));
    const everyone = [
      ...state.voters,
      ...state.votersOutgoing,
      ...state.learners,
      ...state.learnersNext,
    ];
    assert.deepEqual(sortedIds(outcome.membership!.progress.keys()), sortedIds(everyone));
    if (state.votersOutgoing.length > 0) joint += 1;
  }
  assert.ok(joint > 500);
});

test("conf states that no group can have are refused, not repaired", () => {
  const make = (parts: Partial<ConfState>): ConfState => Object.assign(new ConfState(), parts);
  for (const state of [
    make({ voters: [1n], learners: [1n] }),
    make({ voters: [1n], learnersNext: [2n] }),
    make({ voters: [1n], autoLeave: true }),
    make({ learners: [1n] }),
    make({ voters: [1n], votersOutgoing: [2n], learners: [2n] }),
    make({ voters: [0n] }),
  ]) {
    assert.notEqual(restoreMembership(state, newcomers).refusal, undefined);
  }
});

test(`one change at a time or through a joint configuration comes to the same (seed ${seed})`, () => {
  const random = new SeededRandom(seed);
  for (let i = 0; i < 1000; i++) {
    const first = randomChanges(random, 1);
    first[0]!.type = 0;
    first[0]!.nodeId = 1n;
    const start = changeSimple(empty, first, newcomers).membership!;
    const changes = randomChanges(random, 1 + random.below(6)).filter(
      // Who is removed in the joint configuration and comes back keeps its progress, otherwise not; and
      // without the first there may be no voter in between.
      (change) => change.nodeId !== 1n && change.type !== 1,
    );
    let simple = start;
    for (const change of changes) {
      const outcome = changeSimple(simple, [change], newcomers);
      assert.equal(outcome.refusal, undefined);
      simple = outcome.membership!;
    }
    const entered = enterJoint(start, random.chance(1, 2), changes, newcomers);
    assert.equal(entered.refusal, undefined);
    const left = leaveJoint(entered.membership!, newcomers);
    assert.equal(left.refusal, undefined);
    assert.equal(textOf(left.membership!), textOf(simple));
  }
});

test(`random moves keep the invariants, and refusals change nothing (seed ${seed})`, () => {
  const random = new SeededRandom(seed);
  let membership = empty;
  let refusals = 0;
  let joints = 0;
  for (let i = 0; i < 5000; i++) {
    const before = textOf(membership);
    const changes = randomChanges(random, random.below(4));
    let outcome: ChangeOutcome;
    const move = random.below(3);
    if (move === 0) outcome = changeSimple(membership, changes, newcomers);
    else if (move === 1) outcome = enterJoint(membership, random.chance(1, 2), changes, newcomers);
    else outcome = leaveJoint(membership, newcomers);
    // Neither a success nor a refusal touches what went in.
    assert.equal(textOf(membership), before);
    if (outcome.refusal !== undefined) {
      refusals += 1;
      continue;
    }
    const { configuration, progress } = outcome.membership;
    const { incoming, outgoing, learners, learnersNext } = configuration;
    assert.ok(incoming.length > 0);
    for (const id of learners) assert.ok(!configuration.isVoter(id));
    for (const id of learnersNext) assert.ok(outgoing.includes(id) && !incoming.includes(id));
    assert.deepEqual(
      sortedIds(progress.keys()),
      sortedIds([...incoming, ...outgoing, ...learners, ...learnersNext]),
    );
    for (const [id, each] of progress) assert.equal(each.isLearner, learners.includes(id));
    if (!configuration.joint) {
      const { incoming: old } = membership.configuration;
      if (move === 0) {
        const changed = sortedIds([...old, ...incoming]).filter(
          (id) => old.includes(id) !== incoming.includes(id),
        );
        assert.ok(changed.length <= 1);
      }
    } else {
      joints += 1;
    }
    membership = outcome.membership;
  }
  assert.ok(refusals > 500 && joints > 100, `${refusals} refusals, ${joints} joint`);
});

function textOf({ configuration, progress }: Membership): string {
  const lines = sortedIds(progress.keys()).map((id) => `${id}: ${progress.get(id)}`);
  return [configuration.toString(), ...lines].join("\n");
}

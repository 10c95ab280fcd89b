// Environment of scenarios about quorum arithmetic. Beside the answer it computes what must be the same by
// other ways, and prints whatever differs.

import { sortedIds } from "../../src/ids.ts";
import {
  type AckedIndexes,
  jointCommitted,
  jointVote,
  majorityCommitted,
  majorityVote,
  VoteResult,
  type VoterSets,
} from "../../src/quorum.ts";
import { type Directive, parseId, parseInteger, ScenarioError } from "./grammar.ts";

export const quorumCommands: readonly string[] = ["committed", "vote"];

const voteNames = {
  [VoteResult.pending]: "VotePending",
  [VoteResult.lost]: "VoteLost",
  [VoteResult.won]: "VoteWon",
};

class Acked implements AckedIndexes {
  readonly indexes: ReadonlyMap<bigint, number>;

  constructor(indexes: ReadonlyMap<bigint, number>) {
    this.indexes = indexes;
  }

  ackedIndex(id: bigint): number | undefined {
    return this.indexes.get(id);
  }
}

export function runQuorumDirective(directive: Directive): string {
  const incoming: bigint[] = [];
  const outgoing: bigint[] = [];
  let joint = false;
  const values: number[] = [];
  for (const { key, values: given } of directive.args) {
    switch (key) {
      case "cfg":
        incoming.push(...given.map(parseId));
        break;
      case "cfgj":
        joint = true;
        if (given.length === 1 && given[0] === "zero") break;
        outgoing.push(...given.map(parseId));
        break;
      case "idx":
        values.push(...given.map(parseIndex));
        break;
      case "votes":
        values.push(...given.map(parseVote));
        break;
      default:
        throw new ScenarioError(`unknown argument ${key}`);
    }
  }
  const voters: VoterSets = { incoming: sortedIds(incoming), outgoing: sortedIds(outgoing) };
  const everyone = sortedIds([...incoming, ...outgoing]);
  if (everyone.length !== values.length) {
    const set = everyone.map((id) => `${id}:{}`).join(" ");
    return `error: mismatched input (explicit or _) for voters map[${set}]: [${values.join(" ")}]`;
  }
  // Values belong to the voters in the order in which they are named, repeats left out.
  const known = new Map<bigint, number>();
  [...new Set([...incoming, ...outgoing])].forEach((id, i) => {
    if (values[i] !== 0) known.set(id, values[i]!);
  });
  switch (directive.command) {
    case "committed":
      return committed(voters, everyone, joint, known);
    case "vote":
      return vote(voters, joint, known);
    default:
      throw new ScenarioError(`unknown command ${directive.command}`);
  }
}

function committed(
  voters: VoterSets,
  everyone: readonly bigint[],
  joint: boolean,
  known: ReadonlyMap<bigint, number>,
): string {
  const acked = new Acked(known);
  const index = joint ? jointCommitted(voters, acked) : majorityCommitted(voters.incoming, acked);
  const check = (other: number, way: string): string =>
    other === index ? "" : `${indexText(other)} <-- via ${way}\n`;
  let text = describe(everyone, known);
  if (joint) {
    const swapped = { incoming: voters.outgoing, outgoing: voters.incoming };
    text += check(jointCommitted(swapped, acked), "symmetry");
  } else {
    const { incoming } = voters;
    text += check(committedByCounting(incoming, acked), "alternative computation");
    text += check(jointCommitted({ incoming, outgoing: incoming }, acked), "self-joint quorum");
    text += check(jointCommitted({ incoming, outgoing: [] }, acked), "zero-joint quorum");
    text += check(jointCommitted({ incoming: [], outgoing: incoming }, acked), "joint-zero quorum");
    // Below the result it does not matter how far behind somebody is.
    for (const [id, own] of known) {
      if (own >= index) continue;
      for (const lower of [own - 1, 0]) {
        const overlaid = new Acked(new Map(known).set(id, lower));
        text += check(majorityCommitted(incoming, overlaid), `overlaying ${id}->${lower}`);
      }
    }
  }
  return `${text}${indexText(index)}\n`;
}

/** The definition: the highest acknowledged index that a majority has reached. */
function committedByCounting(voters: readonly bigint[], acked: AckedIndexes): number {
  if (voters.length === 0) return Number.POSITIVE_INFINITY;
  let best = 0;
  for (const id of voters) {
    const candidate = acked.ackedIndex(id) ?? 0;
    const count = voters.filter((other) => (acked.ackedIndex(other) ?? 0) >= candidate).length;
    if (count * 2 > voters.length && candidate > best) best = candidate;
  }
  return best;
}

function vote(voters: VoterSets, joint: boolean, known: ReadonlyMap<bigint, number>): string {
  const votes = new Map<bigint, boolean>();
  for (const [id, value] of known) votes.set(id, value === 2);
  if (!joint) return `${voteNames[majorityVote(voters.incoming, votes)]}\n`;
  const result = jointVote(voters, votes);
  const swapped = jointVote({ incoming: voters.outgoing, outgoing: voters.incoming }, votes);
  const discrepancy = swapped === result ? "" : `${voteNames[swapped]} <-- via symmetry\n`;
  return `${discrepancy}${voteNames[result]}\n`;
}

/** A table of bars, each as long as there are voters that are behind its own. */
function describe(ids: readonly bigint[], known: ReadonlyMap<bigint, number>): string {
  const count = ids.length;
  if (count === 0) return "<empty majority quorum>";
  let text = `${" ".repeat(count)}    idx\n`;
  for (const id of ids) {
    const index = known.get(id);
    const rank = ids.filter((other) => (known.get(other) ?? 0) < (index ?? 0)).length;
    const bar =
      index === undefined
        ? `?${" ".repeat(count)}`
        : `${"x".repeat(rank)}>${" ".repeat(count - rank)}`;
    text += `${bar} ${String(index ?? 0).padStart(5)}    (id=${id.toString(16)})\n`;
  }
  return text;
}

function indexText(index: number): string {
  return index === Number.POSITIVE_INFINITY ? "∞" : String(index);
}

function parseIndex(text: string): number {
  if (text === "_") return 0;
  const index = parseInteger(text);
  if (index === 0) throw new ScenarioError("use '_' as 0");
  return index;
}

function parseVote(text: string): number {
  const value = { y: 2, n: 1, _: 0 }[text];
  if (value === undefined) throw new ScenarioError(`unknown vote ${text}`);
  return value;
}

// Quorum arithmetic (Raft §5.3, thesis §4.3): which index do the voters of a configuration agree on, and
// how does a vote stand. A configuration is one majority, or in joint consensus two, and then both must
// agree. Everything here is a function of sorted id lists; nothing knows about nodes or messages.
//
//   acknowledged, sorted    2   4   4   7   9        five voters, majority three
//                                   ^                the 3rd from the top: three voters have at least 4
//
// Absent voters count as zero, an empty majority agrees to everything: a joint configuration with an
// empty half then behaves as its other half does.

export const VoteResult = { pending: 1, lost: 2, won: 3 } as const;
export type VoteResult = (typeof VoteResult)[keyof typeof VoteResult];

/** How far each voter has come; undefined when it has not been heard of. */
export interface AckedIndexes {
  ackedIndex(id: bigint): number | undefined;
}

/** Votes by voter; who has not answered is absent. */
export type Votes = ReadonlyMap<bigint, boolean>;

/** Voters by half, each ascending; `outgoing` is empty unless the configuration is joint. */
export interface VoterSets {
  readonly incoming: readonly bigint[];
  readonly outgoing: readonly bigint[];
}

/** Reused by every call; the functions here never nest. */
const scratch: number[] = [];

/** The highest index that a majority of `voters` has acknowledged; Infinity without voters. */
export function majorityCommitted(voters: readonly bigint[], acked: AckedIndexes): number {
  const count = voters.length;
  if (count === 0) return Number.POSITIVE_INFINITY;
  if (count === 1) return acked.ackedIndex(voters[0]!) ?? 0;
  // Insertion sort: for the handful of voters that exist it beats everything else and allocates nothing.
  for (let i = 0; i < count; i++) {
    const index = acked.ackedIndex(voters[i]!) ?? 0;
    let at = i;
    while (at > 0 && scratch[at - 1]! > index) {
      scratch[at] = scratch[at - 1]!;
      at -= 1;
    }
    scratch[at] = index;
  }
  return scratch[count - majoritySize(count)]!;
}

/** The highest index on which both halves agree. */
export function jointCommitted(voters: VoterSets, acked: AckedIndexes): number {
  const incoming = majorityCommitted(voters.incoming, acked);
  if (voters.outgoing.length === 0) return incoming;
  return Math.min(incoming, majorityCommitted(voters.outgoing, acked));
}

export function majorityVote(voters: readonly bigint[], votes: Votes): VoteResult {
  if (voters.length === 0) return VoteResult.won;
  let granted = 0;
  let missing = 0;
  for (let i = 0; i < voters.length; i++) {
    const vote = votes.get(voters[i]!);
    if (vote === undefined) missing += 1;
    else if (vote) granted += 1;
  }
  const needed = majoritySize(voters.length);
  if (granted >= needed) return VoteResult.won;
  return granted + missing >= needed ? VoteResult.pending : VoteResult.lost;
}

/** Won when both halves are, lost as soon as one is. */
export function jointVote(voters: VoterSets, votes: Votes): VoteResult {
  const incoming = majorityVote(voters.incoming, votes);
  if (voters.outgoing.length === 0) return incoming;
  const outgoing = majorityVote(voters.outgoing, votes);
  if (incoming === outgoing) return incoming;
  if (incoming === VoteResult.lost || outgoing === VoteResult.lost) return VoteResult.lost;
  return VoteResult.pending;
}

function majoritySize(count: number): number {
  return Math.floor(count / 2) + 1;
}

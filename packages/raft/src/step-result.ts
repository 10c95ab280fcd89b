// What became of an input. Refusals are expected and come back as codes; only broken invariants throw.

export type StepResult =
  /** Taken; that a message was ignored because it is old counts as taken. */
  | "ok"
  /** The proposal was not accepted: no leader, a transfer under way, or too much uncommitted. */
  | "dropped"
  /** A message of a type that only a node itself may make came from outside. */
  | "local-message"
  /** A response of someone who is not in our configuration. */
  | "unknown-peer"
  /** The message contradicts itself, and no correct node sends it; none of its content was taken. */
  | "malformed";

const texts: Readonly<Record<Exclude<StepResult, "ok">, string>> = {
  dropped: "raft proposal dropped",
  "local-message": "raft: cannot step raft local message",
  "unknown-peer": "raft: cannot step as peer not found",
  malformed: "raft: cannot step malformed message",
};

/** A sentence for logs and errors; "" for "ok". */
export function stepResultText(result: StepResult): string {
  return result === "ok" ? "" : texts[result];
}

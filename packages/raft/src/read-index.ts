// Linearizable reads without the log (thesis §6.4). A leader may answer a read at its commit index once a
// quorum has confirmed, after the read came in, that it still is the leader. Reads are numbered by their
// position in one endless line; a heartbeat carries the position of the newest read, followers echo it,
// and what a quorum has echoed confirms every read up to there:
//
//     position    1  2  3 | 4  5  6  7        acknowledged: self 7, a 5, b 3  ->  confirmed through 5
//              confirmed  | waiting
//
// This is the commit rule over positions, joint configurations included. Older versions put the request's
// own bytes into the heartbeat; followers only echo them, so leaders of both kinds get on with all.

import { allocateBytes, assert, type Bytes, emptyBytes } from "@etcd-ts/base";
import type { Message } from "./gen/raftpb.ts";
import { type AckedIndexes, jointCommitted, type VoterSets } from "./quorum.ts";

export interface WaitingRead {
  /** The MsgReadIndex that asked. */
  readonly request: Message;
  /** Our commit index when it came in. */
  readonly index: number;
}

export class ReadIndexQueue implements AckedIndexes {
  #confirmed = 0;
  #waiting: WaitingRead[] = [];
  readonly #acked = new Map<bigint, number>();

  /** Position of the newest read. */
  get #newest(): number {
    return this.#confirmed + this.#waiting.length;
  }

  add(request: Message, index: number, self: bigint): void {
    this.#waiting.push({ request, index });
    this.#acked.set(self, this.#newest);
  }

  /** What heartbeats carry; empty when nothing waits. */
  heartbeatContext(): Bytes {
    return this.#waiting.length === 0 ? emptyBytes : encodePosition(this.#newest);
  }

  /** Takes an echo. False when it tells nothing new. */
  acknowledge(from: bigint, context: Bytes): boolean {
    const position = decodePosition(context);
    // Positions start anew with each term, and so does everyone's knowledge of them. What was never sent
    // cannot be echoed.
    if (position === undefined || position > this.#newest) return false;
    if (position <= (this.#acked.get(from) ?? 0)) return false;
    this.#acked.set(from, position);
    return true;
  }

  /** The reads that a quorum has confirmed, in their order; they are gone from here then. */
  takeConfirmed(voters: VoterSets): readonly WaitingRead[] {
    const count = Math.min(jointCommitted(voters, this), this.#newest) - this.#confirmed;
    if (count <= 0) return [];
    const confirmed = this.#waiting.slice(0, count);
    this.#waiting = this.#waiting.slice(count);
    this.#confirmed += count;
    return confirmed;
  }

  ackedIndex(id: bigint): number | undefined {
    return this.#acked.get(id);
  }
}

/** Eight bytes, little-endian. */
function encodePosition(position: number): Bytes {
  assert(position <= Number.MAX_SAFE_INTEGER, "read positions stay safe integers");
  const bytes = allocateBytes(8);
  let rest = position;
  for (let i = 0; i < 8; i++) {
    bytes[i] = rest % 256;
    rest = Math.floor(rest / 256);
  }
  return bytes;
}

function decodePosition(bytes: Bytes): number | undefined {
  if (bytes.length !== 8) return undefined;
  let position = 0;
  for (let i = 7; i >= 0; i--) position = position * 256 + bytes[i]!;
  return position;
}

// What the calls of one connection share: room for their answers. A client that asks for much and reads
// nothing would otherwise fill our memory with answers that wait for its credit. So whoever is about to make
// an answer that may be large asks for admission first, and waits, with nothing done yet, while too much is
// waiting already; the client's own reading (HTTP/2 flow control) lets the next ones begin.
//
//     lane      who                                              begins while
//     answer    a unary call that reads little                   the unary answers that wait are light
//     long      a unary call that may read much, in slices       the same, and few of them are under way
//     stream    the next piece of a streamed answer              all that waits in queues is light
//
// Each lane is a queue of its own, first come, first served; connections do not wait for one another.
//
// Weights, not bytes: an answer counts with at most a quarter of the room. One answer of 200 MB, which its
// client is busy reading, then does not keep all other calls of the connection waiting; and the memory of a
// connection stays bounded by the room plus a few of the largest answers that it asks for.

import type { Lane, ServerCall } from "./server-types.ts";

/** What waits for room. Called once, from the event loop, unless the call ended before. */
export interface CallWork {
  begin(): void;
}

/** Begun in one go before others get their turn. */
const burst = 16;

export class AnswerRoom {
  readonly #weightMax: number;
  readonly #longCallsMax: number;
  readonly #lanes: Readonly<Record<Lane, Map<ServerCall, CallWork>>> = {
    answer: new Map(),
    long: new Map(),
    stream: new Map(),
  };
  /** Of unary answers that wait for credit. */
  answerWeight = 0;
  /** Of everything that waits for credit. */
  queuedWeight = 0;
  /** Calls of the lane "long" that have begun and not ended. */
  longCalls = 0;

  constructor(weightMax: number, longCallsMax: number) {
    this.#weightMax = weightMax;
    this.#longCallsMax = longCallsMax;
  }

  get waitingCount(): number {
    const { answer, long, stream } = this.#lanes;
    return answer.size + long.size + stream.size;
  }

  /** Whether a newcomer may begin at once: there is room, and nobody was there before. */
  admits(lane: Lane): boolean {
    return this.#lanes[lane].size === 0 && this.#hasRoom(lane);
  }

  wait(lane: Lane, call: ServerCall, work: CallWork): void {
    this.#lanes[lane].set(call, work);
  }

  /** The call has ended. */
  forget(call: ServerCall): void {
    const { answer, long, stream } = this.#lanes;
    if (!answer.delete(call) && !long.delete(call)) stream.delete(call);
  }

  /** Somebody waits for whom there is room. */
  get canAdmit(): boolean {
    const { answer, long, stream } = this.#lanes;
    return (
      (answer.size > 0 && this.#hasRoom("answer")) ||
      (long.size > 0 && this.#hasRoom("long")) ||
      (stream.size > 0 && this.#hasRoom("stream"))
    );
  }

  /** Lets those begin for whom there is room, some of them: the lanes in turn. */
  admit(begin: (call: ServerCall, lane: Lane, work: CallWork) => void): void {
    for (let left = burst; left > 0 && this.canAdmit; ) {
      left -= this.#admitOne("answer", begin);
      left -= this.#admitOne("long", begin);
      left -= this.#admitOne("stream", begin);
    }
  }

  #admitOne(lane: Lane, begin: (call: ServerCall, lane: Lane, work: CallWork) => void): number {
    if (!this.#hasRoom(lane)) return 0;
    for (const [call, work] of this.#lanes[lane]) {
      this.#lanes[lane].delete(call);
      begin(call, lane, work);
      return 1;
    }
    return 0;
  }

  #hasRoom(lane: Lane): boolean {
    switch (lane) {
      case "answer":
        return this.answerWeight < this.#weightMax;
      case "long":
        return this.answerWeight < this.#weightMax && this.longCalls < this.#longCallsMax;
      case "stream":
        // A stream that nobody reads keeps its piece for ever: it must not hold up the unary calls.
        return this.queuedWeight < 2 * this.#weightMax;
    }
  }
}

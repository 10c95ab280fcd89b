// Linearizable reads. All readers of a turn share one ReadIndex round: the leader answers with its commit
// index once it knows that it still leads, and a reader goes on when this member has applied that much.
//
//     linearize ──► waiting ──turn──► round (one at a time) ──► confirmed at index i ──► applied ≥ i: ready()
//
// A group of one voter confirms within the step, so there the whole way takes one turn. With peers a round
// is repeated every 500 ms under a new id (any of the ids confirms it), and whoever comes meanwhile waits
// for the next round: a round that began earlier might miss a write that this reader must see.

import { type Bytes, type Clock, equalBytes } from "@etcd-ts/base";
import { catalogue } from "./errors.ts";
import { bigEndian, type RequestIds } from "./ids.ts";
import type { Refusal } from "./refusals.ts";

const retryMs = 500;
/** Readers between two looks at the clock. */
const releaseStride = 8;

/** Somebody who waits until local reads are linearizable. Told once. */
export abstract class Reader {
  abstract ready(): void;
  abstract refused(refusal: Refusal): void;
}

class Round {
  readonly readers: Reader[];
  /** Contexts sent so far; an answer to any of them confirms the round. */
  readonly contexts: Bytes[] = [];
  readonly startMs: number;
  sentMs: number;

  constructor(readers: Reader[], nowMs: number) {
    this.readers = readers;
    this.startMs = nowMs;
    this.sentMs = nowMs;
  }
}

interface Confirmed {
  readonly index: number;
  readonly readers: Reader[];
  /** Who goes on next. */
  next: number;
}

export class Reads {
  readonly #ids: RequestIds;
  readonly #timeoutMs: number;
  /** Hands a ReadIndex request to raft. */
  readonly #request: (context: Bytes) => void;
  #waiting: Reader[] = [];
  #round: Round | undefined;
  /** Ascending by index. */
  readonly #confirmed: Confirmed[] = [];
  #stopped = false;
  failedCount = 0;
  slowCount = 0;

  constructor(ids: RequestIds, timeoutMs: number, request: (context: Bytes) => void) {
    this.#ids = ids;
    this.#timeoutMs = timeoutMs;
    this.#request = request;
  }

  get pendingCount(): number {
    return this.#waiting.length + (this.#round?.readers.length ?? 0) + this.#confirmed.length;
  }

  get needsRound(): boolean {
    return this.#round === undefined && this.#waiting.length > 0;
  }

  add(reader: Reader): void {
    if (this.#stopped) reader.refused(catalogue.stopped);
    else this.#waiting.push(reader);
  }

  /** Begins a round for all who wait, unless one is under way. */
  beginRound(nowMs: number): void {
    if (!this.needsRound) return;
    const round = new Round(this.#waiting, nowMs);
    this.#waiting = [];
    this.#round = round;
    this.#send(round, nowMs);
  }

  /** Raft confirmed a round: reads are linearizable from `index` on. */
  confirm(context: Bytes, index: number): void {
    const round = this.#round;
    if (round === undefined || !round.contexts.some((sent) => equalBytes(sent, context))) return;
    this.#round = undefined;
    this.#confirmed.push({ index, readers: round.readers, next: 0 });
  }

  canRelease(appliedIndex: number): boolean {
    const first = this.#confirmed[0];
    return first !== undefined && first.index <= appliedIndex;
  }

  /** Lets those go on whose index has been applied, for about `sliceMs`. */
  release(appliedIndex: number, clock: Clock, sliceMs: number): void {
    if (!this.canRelease(appliedIndex)) return;
    const untilMs = clock.monotonicMs() + sliceMs;
    while (this.canRelease(appliedIndex)) {
      const first = this.#confirmed[0]!;
      while (first.next < first.readers.length) {
        first.readers[first.next++]!.ready();
        if (first.next % releaseStride === 0 && clock.monotonicMs() > untilMs) return;
      }
      this.#confirmed.shift();
    }
  }

  /** Repeats a round that got no answer, and gives up on one that never will. */
  tick(nowMs: number): void {
    const round = this.#round;
    if (round === undefined) return;
    if (nowMs - round.startMs >= this.#timeoutMs) {
      this.slowCount++;
      this.#fail(catalogue.timeout);
    } else if (nowMs - round.sentMs >= retryMs) {
      this.slowCount++;
      this.#send(round, nowMs);
    }
  }

  /** The leader committed its first entry: a request that it could not answer before, it can now. */
  repeat(nowMs: number): void {
    if (this.#round !== undefined) this.#send(this.#round, nowMs);
  }

  /** Another leader became known: what the former one was asked may never be answered. */
  leaderChanged(): void {
    if (this.#round !== undefined) this.#fail(catalogue.leaderChanged);
  }

  stop(): void {
    this.#stopped = true;
    const waiting = this.#waiting.concat(
      this.#round?.readers ?? [],
      ...this.#confirmed.map((c) => c.readers.slice(c.next)),
    );
    this.#waiting = [];
    this.#round = undefined;
    this.#confirmed.length = 0;
    for (const reader of waiting) reader.refused(catalogue.stopped);
  }

  #send(round: Round, nowMs: number): void {
    const context = bigEndian(this.#ids.whole(this.#ids.next()));
    round.contexts.push(context);
    round.sentMs = nowMs;
    this.#request(context);
  }

  #fail(refusal: Refusal): void {
    const round = this.#round!;
    this.#round = undefined;
    this.failedCount++;
    for (const reader of round.readers) reader.refused(refusal);
  }
}

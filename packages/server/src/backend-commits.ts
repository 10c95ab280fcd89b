// When the backend's open batch becomes durable. The log is what makes a write durable, so this is only
// about how much is replayed after a crash and how much memory a batch takes: every `intervalMs` while
// there is something, at once after `batchLimit` operations, and whenever somebody needs it (a raft
// snapshot, a physical compaction, the end). One commit runs at a time; the next batch gathers meanwhile.
//
// If the backend cannot keep up, the open batch grows; beyond `stallBytes` the replica stops applying
// until the commit in flight is through, and the growing distance from commit to apply then turns clients
// away. Nothing here holds the event loop: the backend commits in the background.

import type { Host, Timer } from "@etcd-ts/base";
import type { Backend, Machine } from "@etcd-ts/machine";
import { doublingBounds, Histogram } from "./metric-types.ts";

const stallBytes = 256 * 1024 * 1024;

export interface CommitOptions {
  readonly intervalMs: number;
  readonly batchLimit: number;
}

/** Waits for the commit with this number, which begins after the question. */
interface Waiting {
  readonly number: number;
  readonly done: (durable: boolean) => void;
}

export class BackendCommits {
  readonly #host: Host;
  readonly #backend: Backend;
  readonly #machine: Machine;
  readonly #options: CommitOptions;
  readonly #onFailure: (error: Error) => void;
  #timer: Timer | undefined;
  #inFlight = false;
  #again = false;
  #stopped = false;
  #startedCount = 0;
  #waiting: Waiting[] = [];
  /** Applied index that the durable backend holds. */
  #durableIndex: number;
  /** Called after each commit, when sizes may have changed. */
  onCommitted: () => void = () => {};
  readonly durationSeconds: Histogram = new Histogram(doublingBounds(0.001, 14));
  count = 0;

  constructor(
    host: Host,
    backend: Backend,
    machine: Machine,
    options: CommitOptions,
    onFailure: (error: Error) => void,
  ) {
    this.#host = host;
    this.#backend = backend;
    this.#machine = machine;
    this.#options = options;
    this.#onFailure = onFailure;
    this.#durableIndex = machine.appliedIndex;
  }

  get durableIndex(): number {
    return this.#durableIndex;
  }

  /** True while applying more would grow the batch without bound. */
  get stalled(): boolean {
    return this.#inFlight && this.#backend.pendingBytes > stallBytes;
  }

  /** The content of the backend was replaced, durably, and the machine stands where it says. */
  replaced(): void {
    this.#durableIndex = this.#machine.appliedIndex;
    this.onCommitted();
  }

  /** After a batch of entries was applied. */
  applied(): void {
    const pending = this.#backend.pendingCount;
    if (pending === 0 || this.#stopped) return;
    if (pending >= this.#options.batchLimit) {
      if (!this.#inFlight) this.#commit();
    } else if (this.#timer === undefined) {
      this.#timer = this.#host.timers.after(this.#options.intervalMs, this.#fire);
    }
  }

  /**
   * Calls back with true once everything applied so far is durable in the backend, or with false when the
   * member stops before.
   */
  force(done: (durable: boolean) => void): void {
    if (this.#stopped) {
      done(false);
      return;
    }
    this.#waiting.push({ number: this.#startedCount + 1, done });
    if (this.#inFlight) this.#again = true;
    else this.#commit();
  }

  forced(): Promise<boolean> {
    return new Promise((resolve) => this.force(resolve));
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#timer = undefined;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { done } of waiting) done(false);
  }

  readonly #fire = (): void => {
    this.#timer = undefined;
    if (this.#stopped) return;
    if (this.#inFlight) this.#again = true;
    else this.#commit();
  };

  #commit(): void {
    this.#inFlight = true;
    this.#again = false;
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#machine.sealBatch();
    this.#startedCount++;
    const number = this.#startedCount;
    const index = this.#machine.appliedIndex;
    const start = this.#host.clock.monotonicMs();
    this.#backend.commit((error) => {
      this.#inFlight = false;
      if (this.#stopped) return;
      if (error !== undefined) {
        this.#onFailure(error);
        return;
      }
      this.count++;
      this.durationSeconds.observe((this.#host.clock.monotonicMs() - start) / 1000);
      // One that was under way while the content was replaced says less than what came with that.
      this.#durableIndex = Math.max(this.#durableIndex, index);
      this.onCommitted();
      const ready = this.#waiting.filter((w) => w.number <= number);
      if (ready.length > 0) this.#waiting = this.#waiting.filter((w) => w.number > number);
      for (const waiter of ready) waiter.done(true);
      if (this.#stopped) return;
      if (this.#again || this.#waiting.length > 0) this.#commit();
      else this.applied();
    });
  }
}

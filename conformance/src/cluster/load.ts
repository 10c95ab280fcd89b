// Load on a cluster through our client, of a given rate whatever the cluster does (open loop): a write is
// started when it is due, not when an earlier one has been answered, so that a leader that is gone is seen
// by the writes of that moment and its successor by those after it. Beside it readers ask each member, one
// at a time, for linearizable reads, with time enough to see a frozen member answer after it was thawed.

import { ApiError } from "@etcd-ts/api";
import { bytesToUtf8, SeededRandom } from "@etcd-ts/base";
import { Client, op } from "@etcd-ts/client";
import { RpcError } from "@etcd-ts/rpc";
import { keysOf, type Ledger, valueText, type Write } from "./ledger.ts";
import { pause } from "./waiting.ts";

const defaultWriteTimeoutMs = 4_000;
const readTimeoutMs = 15_000;
const tickMs = 4;
const readPauseMs = 4;

/** What etcd itself tells a client to try again after: the leader changed, or the member goes away. */
const retryable =
  /^etcdserver: (leader changed|no leader|request timed out.*|server stopped|not leader|too many requests|rpc not supported for learner|unhealthy cluster)$|connection|transport|server is shutting down|GOAWAY|stream|grpc: /i;

export interface LoadOptions {
  /** `host:port` of each member. */
  readonly endpoints: readonly string[];
  readonly ledger: Ledger;
  readonly seed: number;
  /** Started a second; Infinity: whenever a slot is free. */
  readonly writesPerSecond: number;
  readonly valueBytes?: number;
  /** Keys that are written; one write of a slot at a time. */
  readonly slotCount?: number;
  readonly readersPerMember?: number;
  /** The number of the first slot: loads that share a ledger must not share slots. */
  readonly firstSlot?: number;
  /** A write without an answer is given up then; default 4 s. */
  readonly writeTimeoutMs?: number;
  /** Stops starting writes after so many. */
  readonly writeCountMax?: number;
}

export interface Failure {
  readonly error: string;
  readonly afterMs: number;
  readonly retryable: boolean;
}

export class Load {
  readonly #options: LoadOptions;
  readonly #ledger: Ledger;
  readonly #random: SeededRandom;
  readonly #writeTimeoutMs: number;
  #client: Client;
  readonly #idle: number[] = [];
  readonly #numbers: number[] = [];
  readonly #firstSlot: number;
  readonly #waiting: { readonly afterMs: number; readonly resolve: (atMs: number) => void }[] = [];
  #readers: { client: Client; done: Promise<unknown> }[] = [];
  #running = false;
  #startedCount = 0;
  #inFlight = 0;
  #drained: (() => void) | undefined;
  /** The first thing that must not happen. */
  #violation: Error | undefined;
  /** Milliseconds of each acknowledged write since `takeLatencies`. */
  #latencies: number[] = [];
  #failures: Failure[] = [];

  constructor(options: LoadOptions) {
    this.#options = options;
    this.#ledger = options.ledger;
    this.#random = new SeededRandom(options.seed);
    this.#writeTimeoutMs = options.writeTimeoutMs ?? defaultWriteTimeoutMs;
    this.#client = new Client({ endpoints: [...options.endpoints] });
    this.#firstSlot = options.firstSlot ?? 0;
    for (let n = (options.slotCount ?? 4_000) - 1; n >= 0; n--) {
      this.#idle.push(this.#firstSlot + n);
      this.#numbers[n] = 0;
    }
  }

  get acknowledgedCount(): number {
    return this.#ledger.acknowledgedCount;
  }

  start(): void {
    this.#running = true;
    void this.#issue();
    for (const endpoint of this.#options.endpoints) this.#read(endpoint);
  }

  /** Other members from now on; calls under way end with the connections they are on. */
  async redirect(endpoints: readonly string[]): Promise<void> {
    const before = this.#client;
    this.#client = new Client({ endpoints: [...endpoints] });
    const readers = this.#readers;
    this.#readers = [];
    if (this.#running) for (const endpoint of endpoints) this.#read(endpoint);
    for (const reader of readers) reader.client.close();
    await Promise.all(readers.map((it) => it.done));
    // Calls that use the old connections go on to their end; they have a time limit.
    setTimeout(() => before.close(), this.#writeTimeoutMs + 500).unref();
  }

  /** Starts nothing more and waits until nothing is under way; throws at a violation. */
  async stop(): Promise<void> {
    this.#running = false;
    const readers = this.#readers;
    this.#readers = [];
    await Promise.all(readers.map((it) => it.done));
    for (const reader of readers) reader.client.close();
    while (this.#inFlight > 0) {
      await new Promise<void>((resolve) => {
        this.#drained = resolve;
      });
    }
    this.check();
  }

  close(): void {
    this.#running = false;
    this.#client.close();
    for (const reader of this.#readers) reader.client.close();
  }

  /** Throws what was seen of wrong answers. */
  check(): void {
    if (this.#violation !== undefined) throw this.#violation;
  }

  /** When the first write was acknowledged of those that start from now on. */
  async nextAcknowledged(timeoutMs: number): Promise<number> {
    const afterMs = performance.now();
    const found = new Promise<number>((resolve) => this.#waiting.push({ afterMs, resolve }));
    const late = pause(timeoutMs).then(() => undefined);
    const atMs = await Promise.race([found, late]);
    this.check();
    if (atMs === undefined) {
      const last = this.#failures.at(-1)?.error ?? "no write failed";
      throw new Error(`no write was acknowledged for ${timeoutMs / 1000} s (last error: ${last})`);
    }
    return atMs;
  }

  /** Waits for so many more acknowledged writes. */
  async acknowledge(count: number, timeoutMs: number): Promise<void> {
    const goal = this.acknowledgedCount + count;
    const endMs = performance.now() + timeoutMs;
    while (this.acknowledgedCount < goal) {
      this.check();
      if (performance.now() > endMs) {
        const last = this.#failures.at(-1)?.error ?? "no write failed";
        throw new Error(
          `${goal - this.acknowledgedCount} of ${count} writes are missing after ${timeoutMs / 1000} s (last error: ${last})`,
        );
      }
      await pause(5);
    }
  }

  takeLatencies(): number[] {
    const taken = this.#latencies;
    this.#latencies = [];
    return taken;
  }

  takeFailures(): Failure[] {
    const taken = this.#failures;
    this.#failures = [];
    return taken;
  }

  async #issue(): Promise<void> {
    const { writesPerSecond, writeCountMax = Infinity } = this.#options;
    const startMs = performance.now();
    let issued = 0;
    while (this.#running) {
      const due = Math.min(
        ((performance.now() - startMs) / 1000) * writesPerSecond,
        issued + this.#idle.length,
      );
      for (; issued < due && this.#startedCount < writeCountMax; issued++) {
        const slot = this.#idle.pop();
        if (slot === undefined) break;
        void this.#write(slot);
      }
      if (this.#startedCount >= writeCountMax) return;
      await pause(tickMs);
    }
  }

  async #write(slot: number): Promise<void> {
    const at = slot - this.#firstSlot;
    const number = (this.#numbers[at] as number) + 1;
    this.#numbers[at] = number;
    const keys = keysOf(slot);
    const startMs = performance.now();
    const write: Write = { slot, number, keys, startMs, floor: this.#ledger.floor };
    this.#startedCount += 1;
    this.#inFlight += 1;
    try {
      const revision = await this.#send(write);
      this.#ledger.wrote(write, revision);
      this.#latencies.push(performance.now() - startMs);
      this.#tell(write);
    } catch (error) {
      if (!(error instanceof ApiError || error instanceof RpcError))
        this.#violation ??= asError(error);
      else this.#failed(write, error);
    } finally {
      this.#idle.unshift(slot);
      this.#inFlight -= 1;
      if (this.#inFlight === 0) this.#drained?.();
    }
  }

  async #send(write: Write): Promise<number> {
    const value = valueText(write.number, this.#options.valueBytes ?? 256);
    const timeoutMs = this.#writeTimeoutMs;
    const [first, second] = write.keys;
    const response =
      second === undefined
        ? await this.#client.put(first as string, value, { timeoutMs })
        : await this.#client.txn({
            success: [op.put(first as string, value), op.put(second, value)],
            timeoutMs,
          });
    return response.header?.revision ?? 0;
  }

  #failed(write: Write, error: Error): void {
    if (wasRefused(error)) this.#ledger.wasRefused(write);
    else this.#ledger.lostSightOf(write);
    this.#failures.push({
      error: error.message,
      afterMs: performance.now() - write.startMs,
      retryable: retryable.test(error.message),
    });
  }

  #tell(write: Write): void {
    const nowMs = performance.now();
    for (let i = this.#waiting.length - 1; i >= 0; i--) {
      const waiting = this.#waiting[i];
      if (waiting === undefined || write.startMs < waiting.afterMs) continue;
      this.#waiting.splice(i, 1);
      waiting.resolve(nowMs);
    }
  }

  #read(endpoint: string): void {
    const client = new Client({ endpoints: [endpoint] });
    const count = this.#options.readersPerMember ?? 2;
    const reader = { client, done: Promise.resolve() as Promise<unknown> };
    reader.done = Promise.all(
      Array.from({ length: count }, () =>
        this.#readOn(client, () => this.#readers.includes(reader)),
      ),
    );
    this.#readers.push(reader);
  }

  async #readOn(client: Client, wanted: () => boolean): Promise<void> {
    await pause(0);
    while (this.#running && wanted()) {
      const slot = this.#firstSlot + this.#random.below(this.#numbers.length);
      const key = this.#random.pick(keysOf(slot));
      const { floor } = this.#ledger;
      try {
        const response = await client.getRange({ key }, { timeoutMs: readTimeoutMs });
        const kv = response.kvs[0];
        const text = kv === undefined ? undefined : bytesToUtf8(kv.value);
        this.#ledger.read(key, floor, response.header?.revision ?? 0, kv?.modRevision ?? 0, text);
      } catch (error) {
        // A read that fails has said nothing.
        if (!(error instanceof ApiError || error instanceof RpcError))
          this.#violation ??= asError(error);
      }
      await pause(readPauseMs);
    }
  }
}

/** Answers that a member gives before anything was proposed, and calls that were never sent. */
function wasRefused(error: Error): boolean {
  return (
    error.message === "etcdserver: too many requests" ||
    error.message === "etcdserver: rpc not supported for learner" ||
    error.message.startsWith('connection error: desc = "')
  );
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}

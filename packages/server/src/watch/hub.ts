// The watch hub: who watches what, and how far each watcher has come.
//
//                     start in the future, or caught up
//        create ──► synced ◄──────────────────────────── behind ◄── create, start in the past
//                     │  changes go out as they are applied ▲
//                     └───── its stream is full ────────────┘
//
// A synced watcher has been given everything up to the store's revision; `changed` hands it each new one
// as it is applied: one response per revision, with all events of that revision that it asked for. A watcher
// that is behind reads the store's history, together with others that are behind, in slices that never
// hold the loop, and becomes synced in the very step that reaches the present revision. A stream whose
// client does not read makes its watchers fall behind: nothing is queued for them, they come back from the
// history when the stream drains.
//
// Every watcher gets each revision at most once, in ascending order, whole; gaps only by a cancellation
// (compacted). `nextRevision` is the one number that says it: all below has been given or did not matter.
//
// Catching up goes in rounds. Those behind stand in a queue; a round takes the first one whose stream can take
// something, and others that are about as far, and walks with them through the history. While others wait, the
// walk is bounded, and who has not arrived by then goes to the end of the queue, as does whose stream
// filled up. So everybody moves on with every pass of the queue, however far behind or slow others are.
//
// When a snapshot from the leader replaces the store, walks under way end, and nothing can be read until
// `stateReplaced`. The changes in between are not told: whoever was synced is behind then, from the first
// revision that was not told.

import { assert, type Bytes, type Key } from "@etcd-ts/base";
import { EventType, type KvEvent } from "@etcd-ts/machine";
import { encodeEventField, encodeEvents } from "./encoding.ts";
import { type Interest, Interests } from "./interests.ts";

/** What the hub reads from the store. */
export interface WatchSource {
  readonly revision: number;
  /** -1 before the first compaction. */
  readonly compactRevision: number;
  /** The KeyValue as it was before the event; undefined when there was none or it is compacted. */
  previousKv(event: KvEvent): Bytes | undefined;
  /**
   * All changes from revision `from` to the present one of keys that `wants` lets through. What it reads is
   * kept from compaction until it is done or cancelled.
   */
  history(from: number, wants: (key: Key) => boolean): WatchHistory;
  /** The field `header` of a response that speaks of `revision`, encoded with its tag and length. */
  header(revision: number): Bytes;
}

export interface WatchHistory {
  /** Reads about that many records; true when there are no more. */
  step(itemCount: number): boolean;
  /** What was read since the last call: whole revisions, in order. */
  takeEvents(): KvEvent[];
  /** All before this revision was read, and taken or is ready to be. */
  readonly nextRevision: number;
  cancel(): void;
}

/** Where the responses of a watcher go; one per gRPC stream. */
export interface WatchSink {
  /** False while the client does not keep up: nothing more should be given. */
  readonly isWritable: boolean;
  send(response: Bytes): void;
  /** The watcher was ended by compaction; it is no longer in the hub. */
  compacted(watcher: Watcher, compactRevision: number): void;
}

export interface WatcherOptions extends Interest {
  readonly id: bigint;
  /** First revision to deliver; 0 = what comes next. */
  readonly startRevision: number;
  readonly withPut: boolean;
  readonly withDelete: boolean;
  readonly prevKv: boolean;
  readonly fragment: boolean;
}

export class Watcher implements Interest {
  readonly sink: WatchSink;
  readonly id: bigint;
  readonly key: Key;
  readonly end: Key | undefined;
  readonly withPut: boolean;
  readonly withDelete: boolean;
  readonly prevKv: boolean;
  readonly fragment: boolean;
  state: "synced" | "behind" | "ended" = "behind";
  /** Lowest revision that has not been given yet. Never falls. */
  nextRevision: number;
  /** Events given since somebody reset it: what periodic progress looks at. */
  eventCount = 0;
  /** Event fields collected for the next response, and how many revisions they are of. */
  readonly collected: Bytes[] = [];
  collectedBytes = 0;
  collectedRevisions = 0;
  lastCollected = 0;

  constructor(sink: WatchSink, options: WatcherOptions, nextRevision: number) {
    this.sink = sink;
    this.id = options.id;
    this.key = options.key;
    this.end = options.end;
    this.withPut = options.withPut;
    this.withDelete = options.withDelete;
    this.prevKv = options.prevKv;
    this.fragment = options.fragment;
    this.nextRevision = nextRevision;
  }

  wants(event: KvEvent): boolean {
    return (
      event.modRevision >= this.nextRevision &&
      (event.type === EventType.delete ? this.withDelete : this.withPut)
    );
  }

  clearCollected(): void {
    this.collected.length = 0;
    this.collectedBytes = 0;
    this.collectedRevisions = 0;
    this.lastCollected = 0;
  }
}

/** Runs the catch-up in slices; `step` is true when there is nothing left to do for now. */
export interface CatchUpRunner {
  start(job: { step(itemCount: number): boolean }): void;
}

export interface WatchHubLimits {
  /** A response of a watcher with `fragment` is split at this size. */
  readonly fragmentBytes: number;
  /** Watchers that share a walk through the history; each may collect 1 MiB. Default 512. */
  readonly roundWatchersMax?: number;
  /**
   * Records that a round reads while others wait, and how far apart in revisions the watchers of a round may be.
   * Default 100,000.
   */
  readonly roundItemsMax?: number;
}

const defaultRoundWatchersMax = 512;
const defaultRoundItemsMax = 100_000;
/** How often a round goes after what was written during its walk, while others wait. */
const catchUpWalksMax = 4;
/** Revisions in one response of a watcher that catches up. */
const catchUpRevisionsMax = 1000;
const catchUpBytesMax = 1024 * 1024;

export class WatchHub {
  readonly #source: WatchSource;
  readonly #runner: CatchUpRunner;
  readonly #fragmentBytes: number;
  readonly #roundWatchersMax: number;
  readonly #roundItemsMax: number;
  readonly #synced = new Interests<Watcher>();
  readonly #behind = new Set<Watcher>();
  readonly #touched: Watcher[] = [];
  #catchUp: CatchUp | undefined;
  /** Last revision of which synced watchers were told. */
  #toldRevision: number;
  /** Events given to watchers, for metrics. */
  eventCount = 0;

  constructor(source: WatchSource, runner: CatchUpRunner, limits: WatchHubLimits) {
    this.#source = source;
    this.#toldRevision = source.revision;
    this.#runner = runner;
    this.#fragmentBytes = limits.fragmentBytes;
    this.#roundWatchersMax = limits.roundWatchersMax ?? defaultRoundWatchersMax;
    this.#roundItemsMax = limits.roundItemsMax ?? defaultRoundItemsMax;
  }

  get watcherCount(): number {
    return this.#synced.count + this.#behind.size;
  }

  get behindCount(): number {
    return this.#behind.size;
  }

  /** Registers a watcher. Its first event comes later than this call, or inside a later `changed`. */
  add(sink: WatchSink, options: WatcherOptions): Watcher {
    const present = this.#source.revision;
    const start = options.startRevision === 0 ? present + 1 : options.startRevision;
    const watcher = new Watcher(sink, options, start);
    if (start > present) this.#sync(watcher);
    else this.#fallBehind(watcher);
    return watcher;
  }

  /** Idempotent. The watcher gets nothing more. */
  remove(watcher: Watcher): void {
    if (watcher.state === "synced") this.#synced.remove(watcher);
    if (watcher.state === "behind") this.#behind.delete(watcher);
    watcher.state = "ended";
    watcher.clearCollected();
  }

  /** The stream can take responses again. */
  drained(): void {
    this.#startCatchUp();
  }

  /** All changes of one revision, in order, as they are applied. */
  changed(revision: number, events: readonly KvEvent[]): void {
    this.#toldRevision = revision;
    if (this.#synced.count === 0) return;
    const touched = this.#touched;
    for (let i = 0; i < events.length; i++) {
      const event = events[i] as KvEvent;
      const shared = new SharedEvent(event, this.#source);
      this.#synced.match(event.key, (watcher) => {
        if (!watcher.wants(event)) return;
        if (watcher.collected.length === 0) touched.push(watcher);
        collect(watcher, event, shared);
      });
    }
    if (touched.length === 0) return;
    const header = this.#source.header(revision);
    for (let i = 0; i < touched.length; i++) {
      const watcher = touched[i] as Watcher;
      if (watcher.sink.isWritable) {
        this.#deliver(watcher, header, revision + 1);
      } else {
        watcher.clearCollected();
        watcher.nextRevision = revision;
        this.#synced.remove(watcher);
        this.#fallBehind(watcher);
      }
    }
    touched.length = 0;
  }

  /** The store is another one now, with the same history and more of it. */
  stateReplaced(): void {
    if (this.#catchUp !== undefined) this.#abandon(this.#catchUp);
    const told = this.#toldRevision;
    const { revision } = this.#source;
    this.#toldRevision = revision;
    for (const watcher of this.#synced.all()) {
      // What a synced watcher was not given did not matter to it.
      watcher.nextRevision = Math.max(watcher.nextRevision, told + 1);
      if (watcher.nextRevision > revision) continue;
      this.#synced.remove(watcher);
      watcher.state = "behind";
      this.#behind.add(watcher);
    }
    this.#startCatchUp();
  }

  #sync(watcher: Watcher): void {
    watcher.state = "synced";
    this.#synced.add(watcher);
  }

  #fallBehind(watcher: Watcher): void {
    watcher.state = "behind";
    this.#behind.add(watcher);
    this.#startCatchUp();
  }

  #deliver(watcher: Watcher, header: Bytes, nextRevision: number): void {
    const { collected, sink, id } = watcher;
    assert(nextRevision > watcher.nextRevision, "a watcher only goes forward");
    watcher.nextRevision = nextRevision;
    watcher.eventCount += collected.length;
    this.eventCount += collected.length;
    if (!watcher.fragment || header.length + watcher.collectedBytes < this.#fragmentBytes) {
      sink.send(encodeEvents(header, id, collected, 0, collected.length, false));
    } else {
      let start = 0;
      while (start < collected.length) {
        let end = start + 1;
        let size = header.length + (collected[start] as Bytes).length;
        while (end < collected.length) {
          size += (collected[end] as Bytes).length;
          if (size >= this.#fragmentBytes) break;
          end += 1;
        }
        sink.send(encodeEvents(header, id, collected, start, end, end < collected.length));
        start = end;
      }
    }
    watcher.clearCollected();
  }

  #startCatchUp(): void {
    if (this.#catchUp !== undefined) return;
    const watchers = this.#chooseBehind();
    if (watchers.length === 0) return;
    const catchUp = new CatchUp(watchers, this.#source);
    this.#catchUp = catchUp;
    this.#runner.start({ step: (itemCount) => this.#stepCatchUp(catchUp, itemCount) });
  }

  /**
   * The first of those behind whose stream can take something and whose history is still there, and others
   * about as far.
   */
  #chooseBehind(): Watcher[] {
    const chosen: Watcher[] = [];
    for (const watcher of this.#behind) {
      if (this.#wasCompacted(watcher) || !watcher.sink.isWritable) continue;
      const first = chosen[0] ?? watcher;
      if (Math.abs(watcher.nextRevision - first.nextRevision) > this.#roundItemsMax) continue;
      chosen.push(watcher);
      if (chosen.length === this.#roundWatchersMax) break;
    }
    return chosen;
  }

  /** Ends a watcher whose next revision compaction may have taken away. */
  #wasCompacted(watcher: Watcher): boolean {
    const { compactRevision } = this.#source;
    if (watcher.nextRevision >= compactRevision) return false;
    this.remove(watcher);
    watcher.sink.compacted(watcher, compactRevision);
    return true;
  }

  #stepCatchUp(catchUp: CatchUp, itemCount: number): boolean {
    if (catchUp !== this.#catchUp) return true;
    const source = this.#source;
    const atEnd = catchUp.history.step(itemCount);
    catchUp.itemCount += itemCount;
    for (const event of catchUp.history.takeEvents()) {
      const shared = new SharedEvent(event, source);
      catchUp.interests.match(event.key, (watcher) => {
        if (watcher.state === "behind" && watcher.wants(event)) collect(watcher, event, shared);
      });
    }
    const next = catchUp.history.nextRevision;
    if (atEnd && next <= catchUp.from) {
      // Nothing can be read: the store is being replaced. `stateReplaced` begins again.
      this.#abandon(catchUp);
      return true;
    }
    const isPresent = atEnd && next > source.revision;
    const isLong =
      catchUp.itemCount >= this.#roundItemsMax || (atEnd && catchUp.walkCount >= catchUpWalksMax);
    const yields = isLong && this.#behind.size > catchUp.watchers.size;
    this.#deliverCatchUp(catchUp, next, isPresent, yields);
    if (!yields && catchUp.watchers.size > 0) {
      if (!atEnd) return false;
      // The store has moved on meanwhile: what came since is next.
      for (const watcher of catchUp.watchers) {
        if (this.#wasCompacted(watcher)) catchUp.drop(watcher);
      }
      if (catchUp.watchers.size > 0) {
        catchUp.goOn(source, next);
        return false;
      }
    }
    // The round is over. Who is still behind waits for its stream, or for the next round.
    catchUp.history.cancel();
    for (const watcher of catchUp.watchers) this.#toTheEnd(watcher);
    this.#catchUp = undefined;
    this.#startCatchUp();
    return true;
  }

  /** Its watchers go on from their `nextRevision` in a later round. */
  #abandon(catchUp: CatchUp): void {
    for (const watcher of catchUp.watchers) watcher.clearCollected();
    catchUp.history.cancel();
    this.#catchUp = undefined;
  }

  #toTheEnd(watcher: Watcher): void {
    if (this.#behind.delete(watcher)) this.#behind.add(watcher);
  }

  /** `next`: everything before this revision was looked at for these watchers. */
  #deliverCatchUp(catchUp: CatchUp, next: number, isPresent: boolean, isLast: boolean): void {
    const header = this.#source.header(this.#source.revision);
    for (const watcher of catchUp.watchers) {
      if (watcher.state !== "behind") {
        catchUp.drop(watcher);
        continue;
      }
      const reached = Math.max(next, watcher.nextRevision);
      if (watcher.collected.length === 0) {
        watcher.nextRevision = reached;
      } else {
        const isFull =
          watcher.collectedRevisions >= catchUpRevisionsMax ||
          watcher.collectedBytes >= catchUpBytesMax;
        if (!isPresent && !isFull && !isLast) continue;
        if (!watcher.sink.isWritable) {
          watcher.clearCollected();
          catchUp.drop(watcher); // goes on from its `nextRevision` when its stream drains
          this.#toTheEnd(watcher);
          continue;
        }
        this.#deliver(watcher, header, reached);
      }
      if (isPresent) {
        catchUp.drop(watcher);
        this.#behind.delete(watcher);
        this.#sync(watcher);
      }
    }
  }
}

/** One walk through the history with the watchers that take part in it. */
class CatchUp {
  readonly watchers: Set<Watcher> = new Set();
  readonly interests: Interests<Watcher> = new Interests();
  history: WatchHistory;
  /** Where the present walk began. */
  from: number;
  /** Records read so far, about. */
  itemCount = 0;
  walkCount = 1;

  constructor(watchers: readonly Watcher[], source: WatchSource) {
    let from = Number.MAX_SAFE_INTEGER;
    for (const watcher of watchers) {
      this.watchers.add(watcher);
      this.interests.add(watcher);
      from = Math.min(from, watcher.nextRevision);
    }
    this.from = from;
    this.history = source.history(from, this.#wants);
  }

  /**
   * Everything before `next` was looked at. A walk that ended early (the store was replaced) may not have come to
   * where the first of those begins that are left, and what lies before may be compacted by now.
   */
  goOn(source: WatchSource, next: number): void {
    let first = Number.MAX_SAFE_INTEGER;
    for (const watcher of this.watchers) first = Math.min(first, watcher.nextRevision);
    this.walkCount += 1;
    this.from = Math.max(next, first);
    this.history = source.history(this.from, this.#wants);
  }

  drop(watcher: Watcher): void {
    if (this.watchers.delete(watcher)) this.interests.remove(watcher);
  }

  readonly #wants = (key: Key): boolean => this.interests.has(key);
}

/** The encodings of an event, made when the first watcher wants them. */
class SharedEvent {
  readonly #event: KvEvent;
  readonly #source: WatchSource;
  #plain: Bytes | undefined;
  #withPrevious: Bytes | undefined;

  constructor(event: KvEvent, source: WatchSource) {
    this.#event = event;
    this.#source = source;
  }

  field(prevKv: boolean): Bytes {
    const { type, kv } = this.#event;
    const isDelete = type === EventType.delete;
    if (!prevKv) {
      this.#plain ??= encodeEventField(isDelete, kv, undefined);
      return this.#plain;
    }
    this.#withPrevious ??= encodeEventField(isDelete, kv, this.#source.previousKv(this.#event));
    return this.#withPrevious;
  }
}

function collect(watcher: Watcher, event: KvEvent, shared: SharedEvent): void {
  const field = shared.field(watcher.prevKv);
  watcher.collected.push(field);
  watcher.collectedBytes += field.length;
  if (event.modRevision !== watcher.lastCollected) {
    watcher.lastCollected = event.modRevision;
    watcher.collectedRevisions += 1;
  }
}

// The watch hub: who watches what, and how far each has come.
//
//                     start in the future, or caught up
//        create ──► synced ◄──────────────────────────── behind ◄── create, start in the past
//                     │  changes go out turn by turn            ▲
//                     └───── its stream has been full too long ─┘
//
// It deals in groups (`watcher.ts`): the watchers of a stream that want the same and have come equally far. A
// synced group has been given, or has collected, everything up to the store's revision: `changed` hands it what
// it asked for, `flush` at the end of the turn sends that, the changes of one turn in one response. While its
// stream is full it keeps what it has collected, up to a bound, and sends it a response at a time, all its watchers
// side by side; beyond the bound it falls behind. A group that is behind reads
// the store's history, together with others that are behind, in slices that never hold the loop, and becomes
// synced in the very step that reaches the present revision.
//
// Every watcher gets each revision at most once, in ascending order, whole; gaps only by a cancellation
// (compacted). Nobody joins or leaves a group while it has collected something, but for those that end: whoever
// calls from outside an apply gets `flush` first.
//
// Catching up goes in rounds. Those behind stand in a queue; a round takes the first one whose stream can take
// something, and others that are about as far, and walks with them through the history. While others wait, the
// walk is bounded, and who has not arrived by then goes to the end of the queue, as does whose stream
// filled up. So everybody moves on with every pass of the queue, however far behind or slow others are.
//
// When a snapshot from the leader replaces the store, walks under way end, and nothing can be read until
// `stateReplaced`. The changes in between are not told: whoever was synced is behind then, from the first
// revision that was not told.

import { assert, type Bytes } from "@etcd-ts/base";
import type { KvEvent } from "@etcd-ts/machine";
import { BlockWriter } from "./block-writer.ts";
import { CatchUp } from "./catch-up.ts";
import { encodeEvents } from "./encoding.ts";
import { Interests } from "./interests.ts";
import { SharedEvent } from "./shared-event.ts";
import type { WatchSource } from "./source.ts";
import { shapeName, Watcher, type WatcherOptions, WatchGroup, type WatchSink } from "./watcher.ts";

/** Runs the catch-up in slices; `step` is true when there is nothing left to do for now. */
export interface CatchUpRunner {
  start(job: { step(itemCount: number): boolean }): void;
}

export interface WatchHubLimits {
  /** A response of a watcher with `fragment` is split at this size. */
  readonly fragmentBytes: number;
  /** Groups that share a walk through the history; each may collect 1 MiB. Default 512. */
  readonly roundGroupsMax?: number;
  /**
   * Records that a round reads while others wait, and how far apart in revisions the groups of a round may be.
   * Default 100,000.
   */
  readonly roundItemsMax?: number;
  /** What a group keeps that waits for its stream, once however many watchers share it. Default 1 MiB. */
  readonly heldGroupBytesMax?: number;
}

const defaultRoundGroupsMax = 512;
const defaultRoundItemsMax = 100_000;
/** How often a round goes after what was written during its walk, while others wait. */
const catchUpWalksMax = 4;
/** Records of the history that are read at a time: so many are read in vain, at most, when a stream fills up. */
const historyPortion = 64;
/** Events that make a response of a watcher that catches up. */
const catchUpEventsMax = 1000;
/** So much for one watcher, or for a group together, is not kept until the end of the turn. */
const responseBytesMax = 64 * 1024;
const groupBytesMax = 1024 * 1024;
const defaultHeldGroupBytesMax = 1024 * 1024;
/** What all groups together keep that wait for their streams. */
const heldBytesMax = 16 * 1024 * 1024;

export class WatchHub {
  readonly #source: WatchSource;
  readonly #runner: CatchUpRunner;
  readonly #fragmentBytes: number;
  readonly #roundGroupsMax: number;
  readonly #roundItemsMax: number;
  readonly #heldGroupBytesMax: number;
  readonly #synced = new Interests<WatchGroup>();
  readonly #behind = new Set<WatchGroup>();
  /** The synced groups that others may join, by stream and shape. */
  readonly #open = new Map<WatchSink, Map<string, WatchGroup>>();
  /** Have collected something in this turn. */
  #touched: WatchGroup[] = [];
  /** Have collected something, and their streams are full. */
  readonly #held = new Set<WatchGroup>();
  #heldBytes = 0;
  /** A group has collected so much that it must not wait for the end of the turn. */
  #isUrgent = false;
  readonly #blocks = new BlockWriter();
  readonly #shared: SharedEvent;
  #catchUp: CatchUp | undefined;
  /** Last revision of which synced watchers were told. */
  #toldRevision: number;
  /** Events given to watchers, for metrics. */
  eventCount = 0;
  watcherCount = 0;

  constructor(source: WatchSource, runner: CatchUpRunner, limits: WatchHubLimits) {
    this.#source = source;
    this.#shared = new SharedEvent(source);
    this.#toldRevision = source.revision;
    this.#runner = runner;
    this.#fragmentBytes = limits.fragmentBytes;
    this.#roundGroupsMax = limits.roundGroupsMax ?? defaultRoundGroupsMax;
    this.#roundItemsMax = limits.roundItemsMax ?? defaultRoundItemsMax;
    this.#heldGroupBytesMax = limits.heldGroupBytesMax ?? defaultHeldGroupBytesMax;
  }

  get behindCount(): number {
    let count = 0;
    for (const group of this.#behind) count += group.watchers.length;
    return count;
  }

  /** Registers a watcher. Its first event comes later than this call. */
  add(sink: WatchSink, options: WatcherOptions): Watcher {
    this.flush();
    this.watcherCount += 1;
    const present = this.#source.revision;
    const start = options.startRevision === 0 ? present + 1 : options.startRevision;
    if (start > present && start === this.#toldRevision + 1) {
      const open = this.#open.get(sink)?.get(shapeName(options));
      if (open?.collected.length === 0) return new Watcher(options.id, open);
    }
    const group = new WatchGroup(sink, options, start);
    const watcher = new Watcher(options.id, group);
    if (start > present) this.#sync(group);
    else this.#fallBehind(group);
    return watcher;
  }

  /** Idempotent. The watcher gets nothing more. */
  remove(watcher: Watcher): void {
    if (watcher.isEnded) return;
    const { group } = watcher;
    watcher.isEnded = true;
    watcher.leave();
    this.watcherCount -= 1;
    if (group.watchers.length > 0) return;
    if (group.state === "synced") this.#unsync(group);
    else this.#behind.delete(group);
    group.state = "ended";
    group.clearCollected();
  }

  /** A stream can take responses again. */
  drained(): void {
    for (const group of this.#held) {
      if (!group.sink.isWritable) continue;
      this.#letGo(group);
      this.#touched.push(group);
    }
    this.flush();
    this.#startCatchUp();
  }

  /** All changes of one revision, in order, as they are applied. They go out with `flush`. */
  changed(revision: number, events: readonly KvEvent[]): void {
    this.#toldRevision = revision;
    if (this.#synced.count === 0) return;
    for (let i = 0; i < events.length; i++) {
      const event = events[i] as KvEvent;
      this.#shared.begin(event);
      this.#synced.match(event.key, this.#collect);
    }
    if (this.#isUrgent) this.flush();
  }

  /** Sends what was collected: at the end of a turn, and before anybody comes or goes or asks how far they are. */
  flush(): void {
    const touched = this.#touched;
    if (touched.length === 0) return;
    this.#touched = [];
    this.#isUrgent = false;
    const header = this.#source.header(this.#toldRevision);
    let strays: WatchGroup[] | undefined;
    for (let i = 0; i < touched.length; i++) {
      const group = touched[i] as WatchGroup;
      if (group.state !== "synced") continue; // ended meanwhile
      if (!group.sink.isWritable) {
        this.#hold(group);
        continue;
      }
      const rest = this.#deliver(group, header, this.#toldRevision + 1);
      if (rest !== undefined) this.#keep(rest);
      if (group.collected.length > 0) this.#hold(group);
      else if (group.isStray) {
        strays ??= [];
        strays.push(group);
      }
    }
    if (strays === undefined) return;
    for (const group of strays) {
      this.#synced.remove(group);
      this.#sync(group);
    }
  }

  /** The store is another one now, with the same history and more of it. */
  stateReplaced(): void {
    this.flush();
    if (this.#catchUp !== undefined) this.#abandon(this.#catchUp);
    const { revision } = this.#source;
    for (const group of this.#synced.all()) {
      if (Math.max(group.nextRevision, this.#toldRevision + 1) > revision) continue;
      this.#unsync(group);
      this.#enterBehind(group);
    }
    this.#toldRevision = revision;
    this.#startCatchUp();
  }

  readonly #collect = (group: WatchGroup): void => {
    const { event } = this.#shared;
    if (!group.wants(event)) return;
    const field = this.#shared.field(group.prevKv);
    if (group.collected.length === 0) this.#touched.push(group);
    group.collect(event.modRevision, field);
    if (!group.isHeld) {
      const { collectedBytes, watchers } = group;
      if (collectedBytes >= responseBytesMax || collectedBytes * watchers.length >= groupBytesMax) {
        this.#isUrgent = true;
      }
      return;
    }
    this.#heldBytes += field.length;
    if (!this.#holdsTooMuch(group)) return;
    this.#isUrgent = true;
    this.#letGo(group);
    this.#touched.push(group);
  };

  #holdsTooMuch(group: WatchGroup): boolean {
    return group.collectedBytes > this.#heldGroupBytesMax || this.#heldBytes > heldBytesMax;
  }

  /** It has collected everything that it was not given, and waits for its stream, beside the open group of its shape. */
  #keep(group: WatchGroup): void {
    group.state = "synced";
    group.isStray = true;
    this.#synced.add(group);
    this.#hold(group);
  }

  /** Its stream is full: it keeps what it has collected, or falls behind. */
  #hold(group: WatchGroup): void {
    if (this.#holdsTooMuch(group)) {
      this.#unsync(group);
      this.#fallBehind(group);
      return;
    }
    group.isHeld = true;
    this.#heldBytes += group.collectedBytes;
    this.#held.add(group);
  }

  #letGo(group: WatchGroup): void {
    if (!group.isHeld) return;
    group.isHeld = false;
    this.#heldBytes -= group.collectedBytes;
    this.#held.delete(group);
  }

  /** It has collected nothing. It becomes part of the open group of its shape, or that group. */
  #sync(group: WatchGroup): void {
    group.state = "synced";
    group.isStray = false;
    if (group.nextRevision <= this.#toldRevision + 1) {
      let groups = this.#open.get(group.sink);
      if (groups === undefined) {
        groups = new Map();
        this.#open.set(group.sink, groups);
      }
      const name = shapeName(group);
      const open = groups.get(name);
      if (open === undefined) groups.set(name, group);
      else if (open.collected.length === 0) {
        group.joinInto(open);
        return;
      } else group.isStray = true;
    }
    this.#synced.add(group);
  }

  #unsync(group: WatchGroup): void {
    this.#letGo(group);
    this.#synced.remove(group);
    const groups = this.#open.get(group.sink);
    if (groups === undefined) return;
    const name = shapeName(group);
    if (groups.get(name) !== group) return;
    groups.delete(name);
    if (groups.size === 0) this.#open.delete(group.sink);
  }

  #fallBehind(group: WatchGroup): void {
    this.#enterBehind(group);
    this.#startCatchUp();
  }

  /** What a synced group was not given, and has not collected, did not matter to it. */
  #enterBehind(group: WatchGroup): void {
    if (group.state === "synced") {
      const next = group.revisions[0] ?? this.#toldRevision + 1;
      group.nextRevision = Math.max(group.nextRevision, next);
    }
    group.clearCollected();
    group.state = "behind";
    this.#behind.add(group);
  }

  /**
   * Sends what the group has collected, while its stream has room; what is left stays collected. With nothing left, it has
   * come to `reached`. Returns those who got one response less, as a group of their own.
   */
  #deliver(group: WatchGroup, header: Bytes, reached: number): WatchGroup | undefined {
    const { collected, revisions, sink, watchers } = group;
    let rest: WatchGroup | undefined;
    do {
      const count = group.portion(groupBytesMax / watchers.length);
      const given = this.#send(group, header, count);
      if (given < watchers.length) rest = group.split(given);
      group.forget(count);
      const next = revisions[0] ?? reached;
      assert(next > group.nextRevision, "a watcher only goes forward");
      group.nextRevision = next;
      group.eventCount += count;
      this.eventCount += count * given;
    } while (collected.length > 0 && rest === undefined && sink.isWritable);
    return rest;
  }

  /** The first `count` fields to all watchers, or to as many as the stream has room for. Returns how many. */
  #send(group: WatchGroup, header: Bytes, count: number): number {
    let size = header.length;
    for (let i = 0; i < count; i++) size += (group.collected[i] as Bytes).length;
    const isWhole = !group.fragment || size < this.#fragmentBytes;
    return isWhole
      ? this.#blocks.send(group, header, count)
      : this.#sendParts(group, header, count);
  }

  /** In fragments; as many watchers as the stream has room for, and one at least. */
  #sendParts(group: WatchGroup, header: Bytes, count: number): number {
    const { collected, sink, watchers } = group;
    let given = 0;
    while (given < watchers.length && (given === 0 || sink.isWritable)) {
      const { id } = watchers[given++] as Watcher;
      for (let start = 0; start < count; ) {
        let end = start + 1;
        let size = header.length + (collected[start] as Bytes).length;
        while (end < count) {
          size += (collected[end] as Bytes).length;
          if (size >= this.#fragmentBytes) break;
          end += 1;
        }
        sink.send(encodeEvents(header, id, collected, start, end, end < count));
        start = end;
      }
    }
    return given;
  }

  #startCatchUp(): void {
    if (this.#catchUp !== undefined) return;
    const groups = this.#chooseBehind();
    if (groups.length === 0) return;
    const catchUp = new CatchUp(groups, this.#source);
    this.#catchUp = catchUp;
    this.#runner.start({ step: (itemCount) => this.#stepCatchUp(catchUp, itemCount) });
  }

  /**
   * The first of those behind whose stream can take something and whose history is still there, and others
   * about as far.
   */
  #chooseBehind(): WatchGroup[] {
    const chosen: WatchGroup[] = [];
    for (const group of this.#behind) {
      if (this.#wasCompacted(group) || !group.sink.isWritable) continue;
      const first = chosen[0] ?? group;
      if (Math.abs(group.nextRevision - first.nextRevision) > this.#roundItemsMax) continue;
      chosen.push(group);
      if (chosen.length === this.#roundGroupsMax) break;
    }
    return chosen;
  }

  /** Ends the watchers of a group whose next revision compaction may have taken away. */
  #wasCompacted(group: WatchGroup): boolean {
    const { compactRevision } = this.#source;
    if (group.nextRevision >= compactRevision) return false;
    for (const watcher of group.watchers.slice()) {
      this.remove(watcher);
      group.sink.compacted(watcher, compactRevision);
    }
    return true;
  }

  #stepCatchUp(catchUp: CatchUp, itemCount: number): boolean {
    if (catchUp !== this.#catchUp) return true;
    this.flush();
    const source = this.#source;
    const portion = Math.min(itemCount, historyPortion);
    const atEnd = catchUp.history.step(portion);
    catchUp.itemCount += portion;
    for (const event of catchUp.history.takeEvents()) {
      this.#shared.begin(event);
      catchUp.interests.match(event.key, this.#collectBehind);
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
    const yields = isLong && this.#behind.size > catchUp.groups.size;
    this.#deliverCatchUp(catchUp, next, isPresent, yields);
    if (!yields && catchUp.groups.size > 0) {
      if (!atEnd) return false;
      // The store has moved on meanwhile: what came since is next.
      for (const group of catchUp.groups) if (this.#wasCompacted(group)) catchUp.drop(group);
      if (catchUp.groups.size > 0) {
        catchUp.goOn(source, next);
        return false;
      }
    }
    // The round is over. Who is still behind waits for its stream, or for the next round.
    catchUp.history.cancel();
    for (const group of catchUp.groups) this.#toTheEnd(group);
    this.#catchUp = undefined;
    this.#startCatchUp();
    return true;
  }

  readonly #collectBehind = (group: WatchGroup): void => {
    const { event } = this.#shared;
    if (group.state !== "behind" || !group.wants(event)) return;
    group.collect(event.modRevision, this.#shared.field(group.prevKv));
  };

  /** Its groups go on from their `nextRevision` in a later round. */
  #abandon(catchUp: CatchUp): void {
    for (const group of catchUp.groups) group.clearCollected();
    catchUp.history.cancel();
    this.#catchUp = undefined;
  }

  #toTheEnd(group: WatchGroup): void {
    if (this.#behind.delete(group)) this.#behind.add(group);
  }

  /** `next`: everything before this revision was looked at for these groups. */
  #deliverCatchUp(catchUp: CatchUp, next: number, isPresent: boolean, isLast: boolean): void {
    const header = this.#source.header(this.#source.revision);
    for (const group of catchUp.groups) {
      if (group.state !== "behind") {
        catchUp.drop(group);
        continue;
      }
      const reached = Math.max(next, group.nextRevision);
      if (group.collected.length === 0) {
        group.nextRevision = reached;
      } else {
        const { collected, collectedBytes, watchers } = group;
        const isFull =
          collected.length >= catchUpEventsMax || collectedBytes * watchers.length >= groupBytesMax;
        if (!isPresent && !isFull && !isLast) continue;
        // Who finds no room goes on from its `nextRevision` when the stream drains.
        const rest = group.sink.isWritable ? this.#deliver(group, header, reached) : undefined;
        if (rest !== undefined) this.#enterBehind(rest);
        if (collected.length > 0) {
          group.clearCollected();
          catchUp.drop(group);
          this.#toTheEnd(group);
          continue;
        }
      }
      if (isPresent) {
        catchUp.drop(group);
        this.#behind.delete(group);
        this.#sync(group);
      }
    }
  }
}

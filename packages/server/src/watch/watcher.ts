// A watcher, and the group that it is in: all watchers of one stream that want the same and have come equally far.
// Whatever is done for an event is done once for a group; only the id in the response is a watcher's own. So
// thousands of watchers of one key on one stream cost the hub as much as one does, but for copying.
//
// A group's `nextRevision` is where its watchers go on: all below has been given or did not matter. It may stay
// behind what was told while nothing came that they want.

import type { Bytes, Key } from "@etcd-ts/base";
import { EventType, type KvEvent } from "@etcd-ts/machine";
import type { Interest } from "./interests.ts";

/** Where the responses of a watcher go; one per gRPC stream. */
export interface WatchSink {
  /** False while the client does not keep up: nothing more should be given. */
  readonly isWritable: boolean;
  send(response: Bytes): void;
  /** `count` responses, each with its prefix for the transport; the bytes remain the caller's. */
  sendPrefixed(responses: Bytes, count: number): void;
  /** The watcher was ended by compaction; it is no longer in the hub. */
  compacted(watcher: Watcher, compactRevision: number): void;
}

/** What the watchers of a group have in common. */
export interface WatchShape extends Interest {
  readonly withPut: boolean;
  readonly withDelete: boolean;
  readonly prevKv: boolean;
  readonly fragment: boolean;
}

export interface WatcherOptions extends WatchShape {
  readonly id: bigint;
  /** First revision to deliver; 0 = what comes next. */
  readonly startRevision: number;
}

/** Ids below are written by `BlockWriter` as numbers. */
const shortIdEnd = 2n ** 28n;

export class Watcher {
  readonly id: bigint;
  /** The id, or -1 when it is none of the usual ones. */
  readonly shortId: number;
  isEnded = false;
  /** @internal Its group, and the place in it. */
  group: WatchGroup;
  /** @internal */
  slot = 0;
  /** What it was given before it came into the group, less what the group was given until then. */
  #eventsElsewhere: number;

  constructor(id: bigint, group: WatchGroup) {
    this.id = id;
    this.shortId = id >= 0n && id < shortIdEnd ? Number(id) : -1;
    this.#eventsElsewhere = -group.eventCount;
    this.group = group;
    this.enter(group);
  }

  get sink(): WatchSink {
    return this.group.sink;
  }

  get state(): "synced" | "behind" | "ended" {
    return this.isEnded ? "ended" : this.group.state;
  }

  /** It has been given everything that the hub was told. */
  get isCurrent(): boolean {
    return this.state === "synced" && this.group.collected.length === 0;
  }

  /** Lowest revision that has not been given yet. Never falls. */
  get nextRevision(): number {
    return this.group.nextRevision;
  }

  /** Events given: what periodic progress looks at. */
  get eventCount(): number {
    return this.#eventsElsewhere + this.group.eventCount;
  }

  /** @internal Its group no longer has it. */
  enter(group: WatchGroup): void {
    this.#eventsElsewhere = this.eventCount - group.eventCount;
    this.group = group;
    this.slot = group.watchers.length;
    group.watchers.push(this);
  }

  /** @internal */
  leave(): void {
    const { watchers } = this.group;
    const last = watchers.pop() as Watcher;
    if (last === this) return;
    watchers[this.slot] = last;
    last.slot = this.slot;
  }
}

export class WatchGroup implements WatchShape {
  readonly sink: WatchSink;
  readonly key: Key;
  readonly end: Key | undefined;
  readonly withPut: boolean;
  readonly withDelete: boolean;
  readonly prevKv: boolean;
  readonly fragment: boolean;
  readonly watchers: Watcher[] = [];
  state: "synced" | "behind" | "ended" = "behind";
  nextRevision: number;
  eventCount = 0;
  /** Event fields that were collected and not sent yet, and the revision of each. */
  readonly collected: Bytes[] = [];
  readonly revisions: number[] = [];
  collectedBytes = 0;
  /** Synced, and its stream is full: what it collects waits for that. */
  isHeld = false;
  /** Synced beside another group of its shape, which it joins when both have nothing to send. */
  isStray = false;

  constructor(sink: WatchSink, shape: WatchShape, nextRevision: number) {
    this.sink = sink;
    this.key = shape.key;
    this.end = shape.end;
    this.withPut = shape.withPut;
    this.withDelete = shape.withDelete;
    this.prevKv = shape.prevKv;
    this.fragment = shape.fragment;
    this.nextRevision = nextRevision;
  }

  wants(event: KvEvent): boolean {
    return (
      event.modRevision >= this.nextRevision &&
      (event.type === EventType.delete ? this.withDelete : this.withPut)
    );
  }

  collect(revision: number, field: Bytes): void {
    this.collected.push(field);
    this.revisions.push(revision);
    this.collectedBytes += field.length;
  }

  /** How many of the fields go into the next response: whole revisions of so many bytes together, one at least. */
  portion(bytesMax: number): number {
    const { collected, revisions } = this;
    if (this.collectedBytes <= bytesMax) return collected.length;
    let end = 0;
    let bytes = 0;
    for (let at = 0; at < collected.length; ) {
      const revision = revisions[at]!;
      for (; revisions[at] === revision; at++) bytes += collected[at]!.length;
      if (end > 0 && bytes > bytesMax) break;
      end = at;
    }
    return end;
  }

  /** The first `count` fields were sent. */
  forget(count: number): void {
    if (count === this.collected.length) {
      this.clearCollected();
      return;
    }
    this.revisions.splice(0, count);
    for (const field of this.collected.splice(0, count)) this.collectedBytes -= field.length;
  }

  clearCollected(): void {
    this.collected.length = 0;
    this.revisions.length = 0;
    this.collectedBytes = 0;
  }

  /** Its watchers from place `start` on, as a group that has collected the same. */
  split(start: number): WatchGroup {
    const rest = new WatchGroup(this.sink, this, this.nextRevision);
    for (let i = 0; i < this.collected.length; i++) {
      rest.collect(this.revisions[i]!, this.collected[i]!);
    }
    for (const watcher of this.watchers.splice(start)) watcher.enter(rest);
    return rest;
  }

  /** All its watchers become members of `other`. */
  joinInto(other: WatchGroup): void {
    for (const watcher of this.watchers.splice(0)) watcher.enter(other);
    this.state = "ended";
  }
}

/** Equal for watchers of a stream that can be in one group. */
export function shapeName(shape: WatchShape): string {
  const { key, end } = shape;
  const flags =
    (shape.withPut ? 1 : 0) |
    (shape.withDelete ? 2 : 0) |
    (shape.prevKv ? 4 : 0) |
    (shape.fragment ? 8 : 0);
  return end === undefined ? `${flags} ${key}` : `${flags}:${key.length}:${key}${end}`;
}

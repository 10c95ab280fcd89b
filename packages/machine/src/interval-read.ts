// Hot path: a Range of an interval. A small one is done within the call that makes it; a large one is a job that looks
// at a bounded number of keys in a step and reads at the revision at which it began, holding back
// compaction meanwhile.
//
//     collect ──► (sort ──►) emit ──► count
//
// - Without a sort order keys are found, read and packed in one go; with one they are collected as small
//   records first (values only when they are sorted by), so that a limit saves reading the rest.
// - `count` is known without counting when the walk saw everything; else the tree counts in O(log n).
// - A step is measured in items, an item being what a read of a KeyValue costs; looking at a key in the
//   index costs a sixteenth of that.

import type { ErrorCode } from "@etcd-ts/api";
import { type Bytes, compareBytes, copyBytes, emptyBytes, type Key } from "@etcd-ts/base";
import { type RangeJob, replacedError } from "./job.ts";
import {
  allSubs,
  bytesPerVisit,
  KeyWalk,
  pieceEntry,
  type ReadPoint,
  visitsPerRead,
} from "./key-walk.ts";
import { encodeKeyValue } from "./kv-codec.ts";
import { KvField, KvList } from "./kv-list.ts";
import { MergeSorter } from "./merge-sorter.ts";
import type { Pin } from "./pins.ts";
import type { RangeQuery, Sorting } from "./range-query.ts";
import { RangeResult } from "./results.ts";
import type { Store } from "./store.ts";

const visitsPerItem = visitsPerRead;
/** Comparing and moving an entry while sorting. */
const visitsPerMove = 2;
const batchMax = 256;

type Phase = "collect" | "sort" | "emit" | "count" | "done";

/** A key of a range that is sorted. */
class Entry {
  readonly key: Key;
  readonly main: number;
  readonly sub: number;
  readonly create: number;
  readonly version: number;
  /** When sorted by value: the stored KeyValue, and its value. */
  readonly kv: Bytes | undefined;
  readonly value: Bytes | undefined;

  constructor(
    key: Key,
    main: number,
    sub: number,
    create: number,
    version: number,
    kv: Bytes | undefined,
    value: Bytes | undefined,
  ) {
    this.key = key;
    this.main = main;
    this.sub = sub;
    this.create = create;
    this.version = version;
    this.kv = kv;
    this.value = value;
  }
}

const noEntries: Entry[] = [];

export class IntervalRead implements RangeJob {
  #error: ErrorCode | undefined;
  readonly #store: Store;
  readonly #query: RangeQuery;
  readonly #at: ReadPoint;
  readonly #headerRevision: number;
  readonly #list: KvList;
  #walk: KeyWalk | undefined = undefined;
  #phase: Phase;
  #pin: Pin | undefined = undefined;
  #entries: Entry[] = noEntries;
  #sorter: MergeSorter<Entry> | undefined = undefined;
  #emitted = 0;
  /** Keys that the reader saw so far, before filters. */
  #seen = 0;
  #more = false;
  #result: RangeResult | undefined = undefined;

  /** `at` is where the reader stands; `headerRevision` is what the response header says. */
  constructor(
    store: Store,
    query: RangeQuery,
    at: ReadPoint,
    headerRevision: number,
    error?: ErrorCode,
  ) {
    this.#error = store.isReplaced ? replacedError : error;
    this.#store = store;
    this.#query = query;
    this.#at = at;
    this.#headerRevision = headerRevision;
    this.#list = new KvList(KvField.kvs);
    this.#phase = this.#error !== undefined ? "done" : query.countOnly ? "count" : "collect";
  }

  get done(): boolean {
    return this.#phase === "done";
  }

  get error(): ErrorCode | undefined {
    return this.#error;
  }

  get result(): RangeResult {
    return this.#result!;
  }

  step(itemCount: number): boolean {
    if (this.#phase === "done") return true;
    if (this.#store.isReplaced) {
      this.#error = replacedError;
      this.#phase = "done";
      this.cancel();
      return true;
    }
    let visits = itemCount * visitsPerItem;
    while (visits > 0) {
      switch (this.#phase) {
        case "collect":
          visits -= this.#query.sorting === "none" ? this.#collect(visits) : this.#gather(visits);
          break;
        case "sort":
          visits -= this.#sort(visits);
          break;
        case "emit":
          visits -= this.#emit(visits);
          break;
        case "count":
          visits -= this.#count(visits);
          break;
        default:
          visits = 0;
      }
    }
    if (this.done) this.#pin?.release();
    else this.#pin ??= this.#store.pins.pin(this.#pinRevision());
    return this.done;
  }

  cancel(): void {
    this.#pin?.release();
    this.#entries = noEntries;
  }

  /** Everything that a reader at this revision sees is everything that this one needs. */
  #pinRevision(): number {
    return this.#at.subEnd === allSubs ? this.#at.main : this.#at.main - 1;
  }

  /** All of every key, in key order and as it is stored: packed leaves are taken whole. Returns the visits that it took. */
  #collectPieces(visitMax: number): number {
    const { index } = this.#store;
    const { limit } = this.#query;
    const walk = this.#openWalk();
    walk.values = this.#store.values;
    const before = walk.visitedCount;
    const left = limit > 0 ? limit - this.#list.count : Number.MAX_SAFE_INTEGER;
    index.collect(walk, left, Math.min(visitMax, batchMax * visitsPerRead));
    this.#seen += walk.takenCount;
    let bytes = 0;
    for (let i = 0; i < walk.keys.length; i++) {
      if (walk.positions[i] === pieceEntry) {
        const piece = walk.pieces[walk.slots[i]!]!;
        this.#list.addPacked(piece.bytes, piece.start, piece.end, piece.count);
      } else {
        const kv = this.#store.read(index.mainOf(walk, i), index.subOf(walk, i));
        bytes += kv.length;
        this.#list.add(kv);
      }
    }
    if (walk.finished) this.#endCollect(true);
    else if (limit > 0 && this.#list.count >= limit) this.#endCollect(false);
    return Math.max(1, walk.visitedCount - before + bytes / bytesPerVisit);
  }

  /** In key order: finds, reads and packs. Returns the visits that it took. */
  #collect(visitMax: number): number {
    if (!this.#query.hasFilters && !this.#query.keysOnly) return this.#collectPieces(visitMax);
    const { index } = this.#store;
    const query = this.#query;
    const walk = this.#openWalk();
    const before = walk.visitedCount;
    let cost = 0;
    // Without filters every key that is seen is taken, so no more than the limit is asked for.
    const left = query.limit > 0 && !query.hasFilters ? query.limit - this.#list.count : batchMax;
    const byCost = Math.ceil(visitMax / visitsPerItem);
    index.collect(walk, Math.max(1, Math.min(batchMax, left, byCost)), visitMax);
    const { keys, slots, positions } = walk;
    this.#seen += keys.length;
    for (let i = 0; i < keys.length; i++) {
      const main = index.mainOf(walk, i);
      if (query.limit > 0 && this.#list.count >= query.limit) {
        // With filters only: one more that matches is enough to know.
        if (!this.#matchesEntry(walk, i, main)) continue;
        this.#more = true;
        this.#endCollect(false);
        break;
      }
      if (query.keysOnly && !query.keepsLease && positions[i]! < 0) {
        const create = index.slots.create(slots[i]!);
        if (!query.matches(main, create)) continue;
        this.#addKey(keys[i]!, create, main, index.slots.version(slots[i]!));
        cost += 4;
        continue;
      }
      if (query.hasFilters && positions[i]! < 0) {
        if (!query.matches(main, index.slots.create(slots[i]!))) continue;
      }
      const kv = this.#store.read(main, index.subOf(walk, i));
      cost += visitsPerItem + kv.length / bytesPerVisit;
      const fields =
        query.keysOnly || (query.hasFilters && positions[i]! >= 0)
          ? this.#store.parse(kv)
          : undefined;
      if (fields !== undefined && !query.matches(main, fields.createRevision)) continue;
      this.#query.pack(this.#list, kv, fields);
    }
    if (this.#phase === "collect") {
      if (walk.finished) this.#endCollect(true);
      else if (query.limit > 0 && !query.hasFilters && this.#list.count >= query.limit) {
        this.#endCollect(false);
      }
    }
    return Math.max(1, walk.visitedCount - before + cost);
  }

  /** Nothing more to pack. When the walk saw everything, the number of keys is known. */
  #endCollect(sawAll: boolean): void {
    if (sawAll) this.#finish(this.#seen);
    else this.#beginCount();
  }

  /** For a sorted range: collects entries. Returns the visits that it took. */
  #gather(visitMax: number): number {
    const { index } = this.#store;
    const query = this.#query;
    const walk = this.#openWalk();
    const before = walk.visitedCount;
    let cost = 0;
    const left = query.sortsTruncated ? query.limit + 1 - this.#seen : batchMax;
    index.collect(walk, Math.max(1, Math.min(batchMax, left)), visitMax);
    this.#seen += walk.keys.length;
    for (let i = 0; i < walk.keys.length; i++) {
      const entry = this.#entryOf(walk, i);
      cost += entry.kv === undefined ? 2 : visitsPerItem + entry.kv.length / bytesPerVisit;
      if (!query.matches(entry.main, entry.create)) continue;
      if (this.#entries === noEntries) this.#entries = [];
      this.#entries.push(entry);
    }
    if (walk.finished || (query.sortsTruncated && this.#seen > query.limit)) {
      this.#sorter = new MergeSorter(this.#entries, comparison(query.sorting, query.descending));
      this.#phase = "sort";
    }
    return Math.max(1, walk.visitedCount - before + cost);
  }

  #entryOf(walk: KeyWalk, i: number): Entry {
    const { index } = this.#store;
    const key = walk.keys[i]!;
    const main = index.mainOf(walk, i);
    const sub = index.subOf(walk, i);
    const isNewest = walk.positions[i]! < 0;
    if (this.#query.sorting === "value") {
      const kv = copyBytes(this.#store.read(main, sub));
      const fields = this.#store.parse(kv);
      const value = fields.value();
      return new Entry(key, main, sub, fields.createRevision, fields.version, kv, value);
    }
    const slot = walk.slots[i]!;
    if (isNewest) {
      const { slots } = index;
      return new Entry(
        key,
        main,
        sub,
        slots.create(slot),
        slots.version(slot),
        undefined,
        undefined,
      );
    }
    const fields = this.#store.parse(this.#store.read(main, sub));
    return new Entry(key, main, sub, fields.createRevision, fields.version, undefined, undefined);
  }

  #sort(visitMax: number): number {
    const sorter = this.#sorter!;
    const moves = sorter.step(Math.ceil(visitMax / visitsPerMove));
    if (sorter.done) {
      this.#entries = sorter.sorted;
      const { limit } = this.#query;
      if (limit > 0 && this.#entries.length > limit) {
        this.#more = true;
        this.#entries.length = limit;
      }
      this.#phase = "emit";
    }
    return Math.max(1, moves * visitsPerMove);
  }

  #emit(visitMax: number): number {
    const query = this.#query;
    let cost = 0;
    while (cost < visitMax && this.#emitted < this.#entries.length) {
      const entry = this.#entries[this.#emitted++]!;
      if (query.keysOnly && !query.keepsLease) {
        this.#addKey(entry.key, entry.create, entry.main, entry.version);
        cost += 4;
        continue;
      }
      const kv = entry.kv ?? this.#store.read(entry.main, entry.sub);
      cost += visitsPerItem + kv.length / bytesPerVisit;
      query.pack(this.#list, kv, query.keysOnly ? this.#store.parse(kv) : undefined);
    }
    if (this.#emitted === this.#entries.length) {
      this.#entries = noEntries;
      if (query.sortsTruncated && !this.#walk!.finished) this.#beginCount();
      else this.#finish(this.#seen);
    }
    return Math.max(1, cost);
  }

  #beginCount(): void {
    this.#walk = undefined;
    this.#phase = "count";
  }

  #count(visitMax: number): number {
    const walk = this.#openWalk();
    const before = walk.visitedCount;
    this.#store.index.count(walk, visitMax);
    if (walk.finished) this.#finish(walk.counted);
    return Math.max(1, walk.visitedCount - before);
  }

  #finish(count: number): void {
    const query = this.#query;
    // Without filters and sorting, more keys than were packed means that the limit cut them off.
    if (!query.hasFilters && !query.countOnly && query.limit > 0 && count > query.limit) {
      this.#more = true;
    }
    this.#result = new RangeResult(this.#headerRevision, this.#list, this.#more, count);
    this.#phase = "done";
  }

  #openWalk(): KeyWalk {
    const { from, to } = this.#query.interval;
    this.#walk ??= new KeyWalk(from, to, this.#at);
    return this.#walk;
  }

  #matchesEntry(walk: KeyWalk, i: number, main: number): boolean {
    const { index } = this.#store;
    if (!this.#query.hasFilters) return true;
    const create =
      walk.positions[i]! < 0
        ? index.slots.create(walk.slots[i]!)
        : this.#store.parse(this.#store.read(main, index.subOf(walk, i))).createRevision;
    return this.#query.matches(main, create);
  }

  #addKey(key: Key, create: number, main: number, version: number): void {
    this.#list.add(encodeKeyValue(key, create, main, version, emptyBytes, 0n));
  }
}

function comparison(sorting: Sorting, descending: boolean): (a: Entry, b: Entry) => number {
  const ascending = comparisons[sorting];
  return descending ? (a, b) => ascending(b, a) : ascending;
}

const comparisons: Readonly<Record<Sorting, (a: Entry, b: Entry) => number>> = {
  none: () => 0,
  key: (a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0),
  version: (a, b) => a.version - b.version,
  create: (a, b) => a.create - b.create,
  mod: (a, b) => a.main - b.main,
  value: (a, b) => compareBytes(a.value!, b.value!),
};

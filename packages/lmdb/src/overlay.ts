// Hot path: what was put and is not durable yet, so that reads see it at once.
//
// Per batch and bucket there are two structures. Most writes are new revisions in bucket `key`, in
// ascending order: they form a *run*, plain arrays sorted by (main, sub), where appending costs a few
// pushes and a lookup is a binary search over numbers (0.05 us; a map of keys as text would take 0.25). Their keys are
// made again from the numbers where a scan wants them: a put leaves nothing here but its value.
// Everything else, deletes included, goes to a map by key text, which overrides the run of its batch:
//
//      lookup:  newest batch ─► map, then run ─► older batch ─► … ─► LMDB
//
// The map's keys are also kept in an array, sorted when a scan asks for it and one came out of order.

import { type Bytes, bytesToKey, compareBytes, type Key, keyToBytes } from "@etcd-ts/base";
import { encodeRevisionKey, encodeTombstoneKey } from "@etcd-ts/machine";

/** A value; null when the key was deleted; undefined when nothing is known of it here. */
export type Known = Bytes | null | undefined;

const noBytes: Bytes = new Uint8Array(0);

/** What `parseRevision` found. */
let parsedMain = 0;
let parsedMinor = 0;

/** One bucket's part of a batch. */
export class OverlayBucket {
  /** Whether ascending revisions are expected here. */
  readonly #hasRun: boolean;
  readonly #mains: number[] = [];
  /** 2 * sub, plus 1 for a tombstone's key. */
  readonly #minors: number[] = [];
  readonly #runValues: Bytes[] = [];
  readonly #map: Map<Key, Bytes | null> = new Map();
  readonly #order: Key[] = [];
  #isSorted = true;

  constructor(hasRun: boolean) {
    this.#hasRun = hasRun;
  }

  put(key: Bytes, value: Bytes): void {
    if (this.#hasRun && parseRevision(key)) {
      const last = this.#mains.length - 1;
      const lastMain = last < 0 ? -1 : (this.#mains[last] as number);
      if (
        parsedMain > lastMain ||
        (parsedMain === lastMain && parsedMinor > (this.#minors[last] as number))
      ) {
        if (this.#map.size === 0 || !this.#map.has(bytesToKey(key))) {
          this.#mains.push(parsedMain);
          this.#minors.push(parsedMinor);
          this.#runValues.push(value);
          return;
        }
      }
    }
    this.#set(key, value);
  }

  delete(key: Bytes): void {
    this.#set(key, null);
  }

  lookup(key: Bytes): Known {
    if (this.#map.size > 0) {
      const known = this.#map.get(bytesToKey(key));
      if (known !== undefined) return known;
    }
    if (this.#mains.length === 0 || !parseRevision(key)) return undefined;
    const main = parsedMain;
    const minor = parsedMinor;
    let low = 0;
    let high = this.#mains.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const at = this.#mains[middle] as number;
      if (at < main || (at === main && (this.#minors[middle] as number) < minor)) low = middle + 1;
      else high = middle;
    }
    if (low === this.#mains.length) return undefined;
    return this.#mains[low] === main && this.#minors[low] === minor
      ? this.#runValues[low]
      : undefined;
  }

  /** Adds this bucket's items from `from` on, the overriding ones first. */
  addSources(from: Bytes, sources: OverlaySource[]): void {
    if (this.#order.length > 0) {
      if (!this.#isSorted) {
        this.#order.sort(compareKeys);
        this.#isSorted = true;
      }
      sources.push(new MapSource(this.#map, this.#order, bytesToKey(from)));
    }
    if (this.#mains.length > 0) {
      sources.push(new RunSource(this.#mains, this.#minors, this.#runValues, from));
    }
  }

  #set(key: Bytes, value: Bytes | null): void {
    const name = bytesToKey(key);
    if (!this.#map.has(name)) {
      const last = this.#order[this.#order.length - 1];
      if (last !== undefined && last > name) this.#isSorted = false;
      this.#order.push(name);
    }
    this.#map.set(name, value);
  }
}

/** Items of one structure in ascending order. `key` is undefined behind the last. */
export interface OverlaySource {
  readonly key: Key | undefined;
  keyBytes(): Bytes;
  /** Null for a deleted key. */
  value(): Bytes | null;
  advance(): void;
}

class MapSource implements OverlaySource {
  readonly #map: ReadonlyMap<Key, Bytes | null>;
  readonly #order: readonly Key[];
  #at: number;
  key: Key | undefined;

  constructor(map: ReadonlyMap<Key, Bytes | null>, order: readonly Key[], from: Key) {
    this.#map = map;
    this.#order = order;
    let low = 0;
    let high = order.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((order[middle] as Key) < from) low = middle + 1;
      else high = middle;
    }
    this.#at = low;
    this.key = order[low];
  }

  keyBytes(): Bytes {
    return keyToBytes(this.key as Key);
  }

  value(): Bytes | null {
    return this.#map.get(this.key as Key) ?? null;
  }

  advance(): void {
    this.#at++;
    this.key = this.#order[this.#at];
  }
}

class RunSource implements OverlaySource {
  readonly #mains: readonly number[];
  readonly #minors: readonly number[];
  readonly #values: readonly Bytes[];
  #at: number;
  #key: Bytes = noBytes;
  key: Key | undefined = undefined;

  constructor(
    mains: readonly number[],
    minors: readonly number[],
    values: readonly Bytes[],
    from: Bytes,
  ) {
    this.#mains = mains;
    this.#minors = minors;
    this.#values = values;
    let low = 0;
    let high = mains.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (compareBytes(this.#keyAt(middle), from) < 0) low = middle + 1;
      else high = middle;
    }
    this.#at = low - 1;
    this.advance();
  }

  keyBytes(): Bytes {
    return this.#key;
  }

  value(): Bytes | null {
    return this.#values[this.#at] ?? noBytes;
  }

  advance(): void {
    this.#at++;
    const isThere = this.#at < this.#mains.length;
    this.#key = isThere ? this.#keyAt(this.#at) : noBytes;
    this.key = isThere ? bytesToKey(this.#key) : undefined;
  }

  #keyAt(place: number): Bytes {
    const minor = this.#minors[place] as number;
    const encode = minor % 2 === 0 ? encodeRevisionKey : encodeTombstoneKey;
    return encode(this.#mains[place] as number, Math.floor(minor / 2));
  }
}

/** Several sources as one: at each key the value of the first source that has it. */
export class MergedOverlay {
  readonly #sources: readonly OverlaySource[];
  #best: OverlaySource | undefined;
  key: Key | undefined;

  /** Sources that override others come first. */
  constructor(sources: readonly OverlaySource[]) {
    this.#sources = sources;
    this.#choose();
  }

  keyBytes(): Bytes {
    return (this.#best as OverlaySource).keyBytes();
  }

  value(): Bytes | null {
    return (this.#best as OverlaySource).value();
  }

  advance(): void {
    const key = this.key;
    for (const source of this.#sources) if (source.key === key) source.advance();
    this.#choose();
  }

  #choose(): void {
    let best: OverlaySource | undefined;
    for (const source of this.#sources) {
      if (source.key === undefined) continue;
      if (best === undefined || source.key < (best.key as Key)) best = source;
    }
    this.#best = best;
    this.key = best?.key;
  }
}

/** Splits the key of a revision; false when it is something else, or too large for exact numbers. */
function parseRevision(key: Bytes): boolean {
  const length = key.length;
  if (length !== 17 && (length !== 18 || key[17] !== 0x74)) return false;
  if (key[8] !== 0x5f) return false;
  const high = readUint32(key, 0);
  if (high >= 2 ** 21 || readUint32(key, 9) !== 0) return false;
  parsedMain = high * 2 ** 32 + readUint32(key, 4);
  parsedMinor = 2 * readUint32(key, 13) + (length - 17);
  return true;
}

function readUint32(bytes: Bytes, at: number): number {
  return (
    (((bytes[at] as number) << 24) |
      ((bytes[at + 1] as number) << 16) |
      ((bytes[at + 2] as number) << 8) |
      (bytes[at + 3] as number)) >>>
    0
  );
}

function compareKeys(a: Key, b: Key): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

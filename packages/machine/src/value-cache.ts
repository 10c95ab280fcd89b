// Hot path: the values of the leaves of the key tree that are read again and again, packed as answers carry them.
//
//     leaf of the key tree    keys     a    b    (dead)   d
//                             values   [12 len KeyValue a][12 len KeyValue b][12 len KeyValue d]
//                             ends                      ^                  ^^                 ^
//
// So a range of a thousand keys is sixteen pieces of memory, without a call, a view or a look at a slot per key; from the
// backend each KeyValue costs 1.5 µs, and the garbage collector as much as a quarter of that again.
//
// - What is packed is the newest revision of every living key of the leaf. It is forgotten as soon as one of them
//   changes, or the leaf itself does (`forgetValues`); the bytes are never written again, so answers refer to them.
// - A leaf is packed once as many of its KeyValues were read from the backend as it has keys, since it changed last:
//   packing never costs more than what was read before, a scan of everything packs nothing, and where writes
//   are as frequent as reads nothing is lost.
// - Bounded: leaves that nobody came by go first, in the order in which they were packed.

import { allocateBytes, type Bytes, sizeVarint, writeVarint } from "@etcd-ts/base";
import type { KeySlots } from "./key-slots.ts";
import { KvField } from "./kv-list.ts";
import type { TreeNode } from "./tree-node.ts";

const defaultBytesMax = 64 << 20;
/** Where values are this large, copying them is what costs. */
const leafBytesMax = 256 << 10;
/** What there is of a leaf besides the bytes. */
const overheadBytes = 640;
/** For `TreeNode.reads`: not to be packed before it changes. */
const never = -(2 ** 30);

/** The packed values of one leaf. */
export class LeafValues {
  readonly bytes: Bytes;
  /** Beside the keys of the leaf: where the field of each ends. That of a dead one is empty. */
  readonly ends: Uint32Array;
  /** Newest main revision in the leaf, that of deletions included. */
  readonly main: number;
  /** Keys that are not dead. */
  readonly liveCount: number;
  leaf: TreeNode | undefined;
  isUsed = false;
  readonly #cache: ValueCache;

  constructor(
    cache: ValueCache,
    leaf: TreeNode,
    bytes: Bytes,
    ends: Uint32Array,
    main: number,
    liveCount: number,
  ) {
    this.#cache = cache;
    this.leaf = leaf;
    this.bytes = bytes;
    this.ends = ends;
    this.main = main;
    this.liveCount = liveCount;
  }

  startOf(place: number): number {
    return place === 0 ? 0 : this.ends[place - 1]!;
  }

  /** Living keys in the places `[from, to)`. */
  countLive(from: number, to: number): number {
    if (this.liveCount === this.ends.length) return to - from;
    let count = 0;
    for (let i = from; i < to; i++) if (this.ends[i]! > this.startOf(i)) count++;
    return count;
  }

  /** The place behind the `count`th living key from `from` on; there are as many. */
  behind(from: number, count: number): number {
    if (this.liveCount === this.ends.length) return from + count;
    let place = from;
    for (let left = count; left > 0; place++) if (this.ends[place]! > this.startOf(place)) left--;
    return place;
  }

  /** The leaf lets go of it. */
  release(): void {
    this.leaf = undefined;
    this.#cache.released(this);
  }
}

export class ValueCache {
  readonly #slots: KeySlots;
  readonly #read: (main: number, sub: number) => Bytes;
  readonly #bytesMax: number;
  /** Values in the order in which they were packed, or last spared; some are released. */
  #queue: LeafValues[] = [];
  #head = 0;
  #count = 0;
  #bytes = 0;
  #scratch: Bytes | undefined = undefined;

  /** `read` is the backend's. */
  constructor(
    slots: KeySlots,
    read: (main: number, sub: number) => Bytes,
    bytesMax: number = defaultBytesMax,
  ) {
    this.#slots = slots;
    this.#read = read;
    this.#bytesMax = bytesMax;
  }

  /** Held by leaves now. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Leaves that are packed now. */
  get leafCount(): number {
    return this.#count;
  }

  /**
   * The values of a leaf, when a reader who sees every revision up to `settledAt` sees just these. Otherwise the caller
   * reads `wanted` KeyValues from the backend.
   */
  of(leaf: TreeNode, wanted: number, settledAt: number): LeafValues | undefined {
    const values = leaf.values;
    if (values !== undefined) {
      if (values.main > settledAt) return undefined;
      values.isUsed = true;
      return values;
    }
    if (leaf.reads < leaf.slots.length) {
      leaf.reads += wanted;
      return undefined;
    }
    return this.#pack(leaf, settledAt);
  }

  /** @internal */
  released(values: LeafValues): void {
    this.#count--;
    this.#bytes -= values.bytes.length + overheadBytes;
  }

  #pack(leaf: TreeNode, settledAt: number): LeafValues | undefined {
    const slots = this.#slots;
    const count = leaf.slots.length;
    let main = 0;
    for (let i = 0; i < count; i++) main = Math.max(main, slots.main(leaf.slots[i]!));
    if (main > settledAt) return undefined;
    this.#scratch ??= allocateBytes(leafBytesMax);
    const scratch = this.#scratch;
    const ends = new Uint32Array(count);
    let at = 0;
    let liveCount = 0;
    for (let i = 0; i < count; i++) {
      const slot = leaf.slots[i]!;
      if (!slots.isDead(slot)) {
        const kv = this.#read(slots.main(slot), slots.sub(slot));
        const size = kv.length;
        if (at + 1 + sizeVarint(size) + size > leafBytesMax) {
          leaf.reads = never;
          return undefined;
        }
        scratch[at] = KvField.kvs;
        at = writeVarint(scratch, at + 1, size);
        scratch.set(kv, at);
        at += size;
        liveCount++;
      }
      ends[i] = at;
    }
    const bytes = allocateBytes(at);
    bytes.set(scratch.subarray(0, at));
    const values = new LeafValues(this, leaf, bytes, ends, main, liveCount);
    this.#add(leaf, values);
    return values;
  }

  #add(leaf: TreeNode, values: LeafValues): void {
    leaf.values = values;
    this.#queue.push(values);
    this.#count++;
    this.#bytes += values.bytes.length + overheadBytes;
    while (this.#bytes > this.#bytesMax) this.#evict();
    if (this.#queue.length > 2 * this.#count + 64) {
      this.#queue = this.#queue.slice(this.#head).filter((each) => each.leaf !== undefined);
      this.#head = 0;
    }
  }

  /** Looks at the oldest: gone, spared once because somebody came by, or dropped. */
  #evict(): void {
    const values = this.#queue[this.#head++]!;
    const { leaf } = values;
    if (leaf === undefined) return;
    if (values.isUsed) {
      values.isUsed = false;
      this.#queue.push(values);
      return;
    }
    forgetValues(leaf);
  }
}

/** A key of the leaf changes, or its keys do. */
export function forgetValues(leaf: TreeNode): void {
  leaf.reads = 0;
  if (leaf.values === undefined) return;
  const { values } = leaf;
  leaf.values = undefined;
  values.release();
}

// Hot path: the ordered map from keys to slots, a B-tree in which every node knows how many live keys are
// under it, so that counting an interval is O(log n) and a limited range does not walk what it does not
// return (etcd walks: 0.3 s for `--limit 1` over a million keys).
//
// The tree also holds dead keys, deleted but not compacted yet, as reads at older revisions need them. Two
// numbers per node keep them from costing anything:
//
//     live      keys under this node that exist at the newest revision
//     changed   newest main revision at which a key under this node was born or died
//
// For a read at revision R a subtree with `changed <= R` looks as it does now: its count is `live`, and
// with `live = 0` it is skipped. So a page of a list at a pinned revision counts in O(log n + what changed
// since), instead of O(keys).
//
// A plain put of an existing key only searches. Nodes hold up to 64 entries; a node that overflows at its
// end keeps its entries and starts a new neighbour, which fills nodes completely when keys come in order.
// Small neighbours are joined when keys go. Leaves are not linked: a walk goes down from the root again
// for each batch, which costs some nanoseconds a key and leaves nothing to keep consistent.

import { type Key, keyAfter } from "@etcd-ts/base";
import type { HistoryLog } from "./history-log.ts";
import type { KeySlots } from "./key-slots.ts";
import { bytesPerVisit, type KeyWalk, pieceEntry, visitsPerRead, WalkPiece } from "./key-walk.ts";
import {
  codeOf,
  insertAt,
  joinWithNeighbour,
  lowerBound,
  narrow,
  newLeaf,
  noChildren,
  nodeEntriesMax,
  noSlots,
  removeAt,
  sharedLength,
  TreeNode,
  unpack,
  upperBound,
  widen,
} from "./tree-node.ts";
import { forgetValues } from "./value-cache.ts";

const joinBelow = nodeEntriesMax / 4;
const depthMax = 24;

/** What a reader sees of a key: nothing. */
export const invisible = -2;

export class KeyTree {
  readonly #slots: KeySlots;
  readonly #history: HistoryLog;
  #root: TreeNode = newLeaf();
  /** Path of the last search: nodes from the root to the leaf, and the place taken in each. */
  readonly #pathNodes: TreeNode[] = new Array<TreeNode>(depthMax).fill(this.#root);
  readonly #pathPlaces: number[] = new Array<number>(depthMax).fill(0);
  #pathLength = 0;
  /** No node was cut, joined or replaced since the last search: a search for the same key comes to the same place. */
  #pathHolds = false;
  /** Where the last search came to. */
  foundLeaf: TreeNode = this.#root;
  foundPlace = 0;

  constructor(slots: KeySlots, history: HistoryLog) {
    this.#slots = slots;
    this.#history = history;
  }

  get liveCount(): number {
    return this.#root.live;
  }

  /** Takes a tree over, in place of an empty one. */
  adopt(root: TreeNode): void {
    this.#root = root;
    this.#pathHolds = false;
  }

  /** The slot of `key`, or -1. Who compares, then puts and gets one key searches once. */
  find(key: Key): number {
    const found = this.foundLeaf;
    if (this.#pathHolds && found.keys[this.foundPlace] === key) {
      return found.slots[this.foundPlace]!;
    }
    let node = this.#root;
    let depth = 0;
    while (node.children.length > 0) {
      const place = upperBound(node, key);
      this.#pathNodes[depth] = node;
      this.#pathPlaces[depth] = place;
      depth++;
      node = node.children[place]!;
    }
    if (node.packed !== undefined) unpack(node);
    const place = lowerBound(node, key);
    this.#pathNodes[depth] = node;
    this.#pathPlaces[depth] = place;
    this.#pathLength = depth + 1;
    this.#pathHolds = true;
    this.foundLeaf = node;
    this.foundPlace = place;
    return node.keys[place] === key ? node.slots[place]! : -1;
  }

  /** As `find`, before one of the three calls below: the leaf is about to change. */
  locate(key: Key): number {
    const slot = this.find(key);
    forgetValues(this.foundLeaf);
    return slot;
  }

  /** Adds the key that `locate` did not find. */
  insertLocated(key: Key, slot: number): void {
    this.#pathHolds = false;
    let depth = this.#pathLength - 1;
    let node = this.#pathNodes[depth]!;
    const place = this.#pathPlaces[depth]!;
    insertAt(node.keys, place, key);
    insertAt(node.codes, place, codeOf(key, node.skip));
    insertAt(node.slots, place, slot);
    let size = node.keys.length;
    let atEnd = place === size - 1;
    while (size > nodeEntriesMax) {
      const right = this.#split(node, atEnd ? size - 1 : size >>> 1);
      const separator = this.#separator;
      if (depth === 0) {
        const codes = [codeOf(separator, 0)];
        const root = new TreeNode(0, codes, [separator], noSlots, [node, right]);
        root.live = node.live + right.live;
        root.changed = node.changed;
        this.#root = root;
        return;
      }
      depth--;
      const parent = this.#pathNodes[depth]!;
      const parentPlace = this.#pathPlaces[depth]!;
      insertAt(parent.keys, parentPlace, separator);
      insertAt(parent.codes, parentPlace, codeOf(separator, parent.skip));
      insertAt(parent.children, parentPlace + 1, right);
      narrow(parent, parentPlace);
      narrow(parent, parentPlace + 1);
      node = parent;
      size = node.children.length;
      atEnd = parentPlace + 1 === size - 1;
    }
  }

  /** The located key was born (+1) or died (-1) at `main`. For a new key, call before `insertLocated`. */
  changeLocated(delta: 1 | -1, main: number): void {
    for (let i = 0; i < this.#pathLength; i++) {
      const node = this.#pathNodes[i]!;
      node.live += delta;
      if (main > node.changed) node.changed = main;
    }
  }

  /** Removes the located key, which must be dead. */
  removeLocated(): void {
    this.#pathHolds = false;
    let depth = this.#pathLength - 1;
    const leaf = this.#pathNodes[depth]!;
    removeAt(leaf.keys, this.#pathPlaces[depth]!);
    removeAt(leaf.codes, this.#pathPlaces[depth]!);
    removeAt(leaf.slots, this.#pathPlaces[depth]!);
    let node = leaf;
    let size = leaf.keys.length;
    while (depth > 0 && size < joinBelow) {
      depth--;
      const parent = this.#pathNodes[depth]!;
      const place = this.#pathPlaces[depth]!;
      if (size === 0) {
        removeAt(parent.children, place);
        if (parent.keys.length > 0) {
          removeAt(parent.keys, place === 0 ? 0 : place - 1);
          removeAt(parent.codes, place === 0 ? 0 : place - 1);
          // A neighbour takes over the place between the bounds.
          if (place === 0) widen(parent.children[0]!, parent.skip, "low");
          else widen(parent.children[place - 1]!, parent.skip, "high");
        }
      } else if (!joinWithNeighbour(parent, place)) {
        break;
      }
      node = parent;
      size = node.children.length;
    }
    while (this.#root.children.length === 1) this.#root = this.#root.children[0]!;
    if (this.#root.children.length === 0 && this.#root.slots === noSlots) {
      this.#root = newLeaf();
    }
  }

  /** The history position that a reader sees of a slot, -1 for the slot's own revision, or `invisible`. */
  visible(slot: number, main: number, subEnd: number): number {
    const slots = this.#slots;
    const own = slots.main(slot);
    if (own < main || (own === main && slots.sub(slot) < subEnd)) {
      return slots.isDead(slot) ? invisible : -1;
    }
    const position = this.#history.visible(slots.history(slot), main, subEnd);
    return position < 0 || this.#history.isTombstone(position) ? invisible : position;
  }

  /**
   * Puts the next up to `takeMax` keys that the reader sees into the walk's arrays, looking at no more than
   * `visitMax` places. `walk.finished` tells that there are no more.
   */
  collect(walk: KeyWalk, takeMax: number, visitMax: number): void {
    walk.keys.length = 0;
    walk.slots.length = 0;
    walk.positions.length = 0;
    walk.pieces.length = 0;
    walk.takenCount = 0;
    if (walk.finished) return;
    walk.visitedEnd = walk.visitedCount + visitMax;
    walk.takenEnd = takeMax;
    if (this.#collect(this.#root, walk.next, walk)) walk.finished = true;
  }

  /** Adds the keys that the reader sees to `walk.counted`, looking at no more than `visitMax` places. */
  count(walk: KeyWalk, visitMax: number): void {
    if (walk.finished) return;
    walk.visitedEnd = walk.visitedCount + visitMax;
    if (this.#count(this.#root, walk.next, walk.to === undefined, walk)) walk.finished = true;
  }

  /** Checks every invariant; for tests. Returns the number of keys, dead ones included. */
  check(): number {
    return this.#check(this.#root, undefined, undefined, true);
  }

  /** True when the walk goes on behind this subtree. `from` is "" when all of it is behind the start. */
  #collect(node: TreeNode, from: Key, walk: KeyWalk): boolean {
    if (node.packed !== undefined) unpack(node);
    const to = walk.to;
    const keys = node.keys;
    if (node.children.length === 0) {
      const first = from === "" ? 0 : lowerBound(node, from);
      if (walk.values !== undefined) {
        const goesOn = this.#collectPiece(node, first, walk);
        if (goesOn !== undefined) return goesOn;
      }
      for (let i = first; i < keys.length; i++) {
        const key = keys[i]!;
        if (to !== undefined && key >= to) {
          walk.finished = true;
          return false;
        }
        if (walk.visitedCount >= walk.visitedEnd) {
          walk.next = key;
          return false;
        }
        walk.visitedCount++;
        const slot = node.slots[i]!;
        const position = this.visible(slot, walk.at.main, walk.at.subEnd);
        if (position === invisible) continue;
        walk.keys.push(key);
        walk.slots.push(slot);
        walk.positions.push(position);
        if (walk.values !== undefined) walk.visitedCount += visitsPerRead;
        if (++walk.takenCount >= walk.takenEnd) {
          walk.next = keyAfter(key);
          return false;
        }
      }
      return true;
    }
    const start = from === "" ? 0 : upperBound(node, from);
    for (let i = start; i < node.children.length; i++) {
      if (i > start && to !== undefined && keys[i - 1]! >= to) {
        walk.finished = true;
        return false;
      }
      const child = node.children[i]!;
      if (child.live === 0 && child.changed <= walk.settledAt) {
        walk.visitedCount++;
        continue;
      }
      if (!this.#collect(child, i === start ? from : "", walk)) return false;
    }
    return true;
  }

  /** Takes what the walk wants of a leaf as one piece, from place `first` on. As `#collect`; undefined: it cannot. */
  #collectPiece(leaf: TreeNode, first: number, walk: KeyWalk): boolean | undefined {
    const { to } = walk;
    const { keys } = leaf;
    if (first >= keys.length || walk.visitedCount >= walk.visitedEnd) return undefined;
    let end = keys.length;
    if (to !== undefined && keys[end - 1]! >= to) {
      if (keys[first]! >= to) return undefined;
      end = lowerBound(leaf, to);
    }
    const room = walk.takenEnd - walk.takenCount;
    const hadValues = leaf.values !== undefined;
    // What the caller is going to read of this leaf in this batch.
    const affordable = Math.ceil((walk.visitedEnd - walk.visitedCount) / (1 + visitsPerRead));
    const wanted = Math.min(room, affordable, end - first);
    const values = walk.values!.of(leaf, wanted, walk.settledAt);
    if (values === undefined) return undefined;
    let count = values.countLive(first, end);
    const isCut = count >= room;
    if (count > room) count = room;
    const stop = isCut ? values.behind(first, count) : end;
    const piece = new WalkPiece(values.bytes, values.startOf(first), values.startOf(stop), count);
    if (!hadValues) walk.visitedCount += leaf.slots.length * visitsPerRead;
    walk.visitedCount += 1 + Math.ceil((piece.end - piece.start) / bytesPerVisit);
    walk.takenCount += count;
    if (count > 0) {
      walk.keys.push("");
      walk.slots.push(walk.pieces.push(piece) - 1);
      walk.positions.push(pieceEntry);
    }
    if (isCut) {
      walk.next = keyAfter(keys[stop - 1]!);
      return false;
    }
    if (end < keys.length) {
      walk.finished = true;
      return false;
    }
    return true;
  }

  /** `toEnd`: the interval reaches to the end of this subtree. */
  #count(node: TreeNode, from: Key, toEnd: boolean, walk: KeyWalk): boolean {
    const to = walk.to;
    if (from === "" && toEnd && node.changed <= walk.settledAt) {
      walk.counted += node.live;
      walk.visitedCount++;
      return true;
    }
    if (node.packed !== undefined) unpack(node);
    const keys = node.keys;
    if (node.children.length === 0) {
      const { main, subEnd } = walk.at;
      const end = toEnd ? keys.length : lowerBound(node, to!);
      for (let i = from === "" ? 0 : lowerBound(node, from); i < end; i++) {
        if (walk.visitedCount >= walk.visitedEnd) {
          walk.next = keys[i]!;
          return false;
        }
        walk.visitedCount++;
        if (this.visible(node.slots[i]!, main, subEnd) !== invisible) walk.counted++;
      }
      return true;
    }
    const start = from === "" ? 0 : upperBound(node, from);
    for (let i = start; i < node.children.length; i++) {
      if (i > start && !toEnd && keys[i - 1]! >= to!) return true;
      const childToEnd = toEnd || (i < keys.length && keys[i]! <= to!);
      if (!this.#count(node.children[i]!, i === start ? from : "", childToEnd, walk)) return false;
    }
    return true;
  }

  #separator: Key = "";

  /** Moves what stands at `place` and behind into a new right neighbour; sets `#separator`. */
  #split(node: TreeNode, place: number): TreeNode {
    let right: TreeNode;
    if (node.children.length === 0) {
      const codes = node.codes.splice(place);
      const slots = node.slots.splice(place);
      right = new TreeNode(node.skip, codes, node.keys.splice(place), slots, noChildren);
      this.#separator = right.keys[0]!;
      let live = 0;
      for (const slot of right.slots) if (!this.#slots.isDead(slot)) live++;
      right.live = live;
    } else {
      const keys = node.keys.splice(place);
      const codes = node.codes.splice(place);
      this.#separator = node.keys.pop()!;
      node.codes.pop();
      right = new TreeNode(node.skip, codes, keys, noSlots, node.children.splice(place));
      for (const child of right.children) right.live += child.live;
    }
    node.live -= right.live;
    right.changed = node.changed;
    return right;
  }

  #check(node: TreeNode, low: Key | undefined, high: Key | undefined, isRoot: boolean): number {
    const problem = (what: string): never => {
      throw new Error(`key tree: ${what}`);
    };
    unpack(node);
    const shared =
      low !== undefined && high !== undefined ? Math.min(sharedLength(low, high), low.length) : 0;
    if (node.skip > shared) problem("keys do not share what is skipped");
    if (node.codes.length !== node.keys.length) problem("codes and keys differ");
    for (let i = 0; i < node.keys.length; i++) {
      const key = node.keys[i]!;
      if (node.codes[i] !== codeOf(key, node.skip)) problem("wrong code");
      if (i > 0 && node.keys[i - 1]! >= key) problem("keys out of order");
      if ((low !== undefined && key < low) || (high !== undefined && key >= high)) {
        problem("key out of bounds");
      }
    }
    let live = 0;
    let count = 0;
    if (node.children.length === 0) {
      if (!isRoot && node.keys.length === 0) problem("empty leaf");
      if (node.slots.length !== node.keys.length) problem("slots and keys differ");
      if (node.keys.length > nodeEntriesMax) problem("leaf too large");
      count = node.keys.length;
      for (const slot of node.slots) {
        if (!this.#slots.isDead(slot)) live++;
      }
    } else {
      if (node.keys.length !== node.children.length - 1) problem("separators and children differ");
      if (node.children.length > nodeEntriesMax) problem("inner node too large");
      for (let i = 0; i < node.children.length; i++) {
        const child = node.children[i]!;
        count += this.#check(
          child,
          i === 0 ? low : node.keys[i - 1],
          i === node.keys.length ? high : node.keys[i],
          false,
        );
        live += child.live;
        if (child.changed > node.changed) problem("changed is not the maximum");
      }
    }
    if (live !== node.live) problem(`live is ${node.live}, counted ${live}`);
    return count;
  }
}

// The index of all keys: which revision of a key a reader at any revision sees. It holds no values.
//
//     key tree ──slot──► key slots: newest revision ──► history log: the revisions before it
//                                                       tombstone queue: deletions to compact
//
// Costs, n keys: put and delete O(log n); look-up at an older revision + O(log of the key's own history);
// count at the newest revision O(log n), at an older one O(log n + keys near those born or dead since);
// compaction O(what it removes). Memory: about 65 bytes a key besides its string, 40 bytes for each older
// revision that is not compacted.
//
// Whatever changes the same key twice within one main revision (which etcd's overlap rule lets through in
// corners) is kept apart by the sub revision.

import type { Key } from "@etcd-ts/base";
import { HistoryLog } from "./history-log.ts";
import { KeySlots } from "./key-slots.ts";
import { invisible, KeyTree } from "./key-tree.ts";
import { allSubs, type KeyWalk } from "./key-walk.ts";
import { TombstoneQueue } from "./tombstone-queue.ts";
import type { TreeNode } from "./tree-node.ts";

/** Where garbage goes: the backend's `delete`. */
export interface GarbageSink {
  /** The record of this revision is not needed by anyone any more. */
  remove(main: number, sub: number, isTombstone: boolean): void;
}

export class KeyIndex {
  readonly slots: KeySlots = new KeySlots();
  readonly #history: HistoryLog = new HistoryLog();
  readonly #tree: KeyTree = new KeyTree(this.slots, this.#history);
  readonly #tombstones: TombstoneQueue = new TombstoneQueue();

  /** Keys that exist now. */
  get liveCount(): number {
    return this.#tree.liveCount;
  }

  /** Older revisions and deletions that a compaction could remove. */
  get garbageCount(): number {
    return this.#history.recordCount + this.#tombstones.count;
  }

  /** The slot of a key that exists now, or -1. */
  findLive(key: Key): number {
    const slot = this.#tree.find(key);
    return slot >= 0 && !this.slots.isDead(slot) ? slot : -1;
  }

  /** Records a put and returns the slot, which then tells create revision and version. */
  put(key: Key, main: number, sub: number): number {
    const slot = this.#tree.locate(key);
    const slots = this.slots;
    if (slot < 0) return this.#insert(key, main, sub, main, 1);
    const isDead = slots.isDead(slot);
    this.#supersede(slot, isDead, main);
    if (isDead) {
      slots.setLive(slot, main, sub, main, 1);
      this.#tree.changeLocated(1, main);
    } else {
      slots.setLive(slot, main, sub, slots.create(slot), slots.version(slot) + 1);
    }
    return slot;
  }

  /** Records a deletion; the key must exist. Returns its slot. */
  delete(key: Key, main: number, sub: number): number {
    const slot = this.#tree.locate(key);
    this.#supersede(slot, false, main);
    this.slots.setDead(slot, main, sub);
    this.#tree.changeLocated(-1, main);
    this.#tombstones.push(main, sub, key);
    return slot;
  }

  /**
   * While rebuilding: a stored KeyValue. Records must come in order of their revisions, and slots of keys
   * that were not seen before must count up from 0. Keys are not in the tree before `adopt`.
   */
  restorePut(slot: number, main: number, sub: number, create: number, version: number): void {
    if (slot === this.slots.usedCount) {
      this.slots.allocate();
      this.slots.setHistory(slot, -1);
    } else {
      this.#supersede(slot, this.slots.isDead(slot), main);
    }
    this.slots.setLive(slot, main, sub, create, version);
  }

  /** While rebuilding: a stored tombstone, possibly of a key whose puts were all compacted. */
  restoreTombstone(key: Key, slot: number, main: number, sub: number): void {
    if (slot === this.slots.usedCount) {
      this.slots.allocate();
      this.slots.setHistory(slot, -1);
    } else if (!this.slots.isDead(slot)) {
      this.#supersede(slot, false, main);
    }
    // Else the put in between is compacted away, and its readers with it.
    this.slots.setDead(slot, main, sub);
    this.#tombstones.push(main, sub, key);
  }

  /** Ends rebuilding: the tree of all keys. */
  adopt(root: TreeNode): void {
    this.#tree.adopt(root);
  }

  /**
   * Finds what a reader at (main, subEnd) sees of `key` and leaves it in `foundMain` and `foundSub`.
   * Returns false when the reader sees no such key.
   */
  look(key: Key, main: number, subEnd: number = allSubs): boolean {
    const slot = this.#tree.find(key);
    if (slot < 0) return false;
    const position = this.#tree.visible(slot, main, subEnd);
    if (position === invisible) return false;
    this.foundMain = position < 0 ? this.slots.main(slot) : this.#history.main(position);
    this.foundSub = position < 0 ? this.slots.sub(slot) : this.#history.sub(position);
    this.foundNewest = position < 0;
    return true;
  }

  foundMain = 0;
  foundSub = 0;
  /** There is no later revision of the key that `look` found. */
  foundNewest = false;

  /** The leaf of the last `look`, and the key's place in it. */
  get foundLeaf(): TreeNode {
    return this.#tree.foundLeaf;
  }

  get foundPlace(): number {
    return this.#tree.foundPlace;
  }

  /** The next keys of a walk; see `KeyTree.collect`. */
  collect(walk: KeyWalk, takeMax: number, visitMax: number): void {
    this.#tree.collect(walk, takeMax, visitMax);
  }

  /** Goes on counting; see `KeyTree.count`. */
  count(walk: KeyWalk, visitMax: number): void {
    this.#tree.count(walk, visitMax);
  }

  /** Of entry `i` of a walk's batch. */
  mainOf(walk: KeyWalk, i: number): number {
    const position = walk.positions[i]!;
    return position < 0 ? this.slots.main(walk.slots[i]!) : this.#history.main(position);
  }

  subOf(walk: KeyWalk, i: number): number {
    const position = walk.positions[i]!;
    return position < 0 ? this.slots.sub(walk.slots[i]!) : this.#history.sub(position);
  }

  /** Whether a key was deleted at exactly this main revision, as far as that is not compacted. */
  hasTombstoneAt(main: number): boolean {
    return this.#tombstones.has(main);
  }

  /**
   * Removes up to `itemCount` records that no reader at `bound` or later needs: revisions superseded up to
   * `bound`, and deletions before it (the one *at* `bound` stays, so that a watch from there sees it).
   * True when there are no more.
   */
  removeGarbage(bound: number, itemCount: number, sink: GarbageSink): boolean {
    const history = this.#history;
    let left = itemCount;
    while (history.recordCount > 0) {
      const position = history.firstPosition;
      if (history.supersededAt(position) > bound) break;
      if (left-- <= 0) return false;
      if (!history.isTombstone(position)) {
        sink.remove(history.main(position), history.sub(position), false);
      }
      history.removeFirst();
    }
    const tombstones = this.#tombstones;
    while (tombstones.count > 0 && tombstones.firstMain < bound) {
      if (left-- <= 0) return false;
      const main = tombstones.firstMain;
      const sub = tombstones.firstSub;
      sink.remove(main, sub, true);
      this.#forget(tombstones.firstKey, main, sub);
      tombstones.removeFirst();
    }
    return true;
  }

  /** Checks the invariants; for tests. */
  check(): void {
    if (this.#tree.check() !== this.slots.usedCount) throw new Error("slots and keys differ");
  }

  #insert(key: Key, main: number, sub: number, create: number, version: number): number {
    const slot = this.slots.allocate();
    this.slots.setHistory(slot, -1);
    this.slots.setLive(slot, main, sub, create, version);
    this.#tree.changeLocated(1, main);
    this.#tree.insertLocated(key, slot);
    return slot;
  }

  #supersede(slot: number, isTombstone: boolean, at: number): void {
    const slots = this.slots;
    slots.setHistory(
      slot,
      this.#history.append(slots.main(slot), slots.sub(slot), isTombstone, at, slots.history(slot)),
    );
  }

  /** A deletion is compacted: the key goes, unless it came back meanwhile. */
  #forget(key: Key, main: number, sub: number): void {
    const slot = this.#tree.locate(key);
    if (slot < 0 || !this.slots.isDead(slot)) return;
    if (this.slots.main(slot) !== main || this.slots.sub(slot) !== sub) return;
    this.#tree.removeLocated();
    this.slots.release(slot);
  }
}

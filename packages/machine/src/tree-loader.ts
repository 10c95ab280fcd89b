// Builds a key tree from the keys of an arena that are in order: packed leaves, and above each `fill` nodes another
// one as soon as they are there. Nodes are left with some room, so that the first insertions do not split all of them.

import type { Key } from "@etcd-ts/base";
import type { KeyArena } from "./key-arena.ts";
import { allocateWords } from "./key-record.ts";
import type { KeySlots } from "./key-slots.ts";
import { encode, newLeaf, noSlots, packedLeaf, sharedLength, TreeNode } from "./tree-node.ts";

const fill = 56;
/** 64 KiB, the share of some thirty leaves: it is given back when none of them is packed any more. */
const packedWords = 1 << 14;

/** The nodes of a level that have no parent yet, up to `fill`. */
class Level {
  readonly nodes: TreeNode[] = [];
  /** The lowest key under each. */
  readonly lows: Key[] = [];
  /** Nodes that the level has had. */
  count = 0;
}

export class TreeLoader {
  readonly #slots: KeySlots;
  readonly #arena: KeyArena;
  /** Leaves first. */
  readonly #levels: Level[] = [new Level()];
  /** Of the next leaf: positions in the arena, and words that they take. */
  readonly #positions: Uint32Array = new Uint32Array(fill);
  #count = 0;
  #words = 0;
  /** Its lowest key. */
  #low: Key = "";
  #packed: Uint32Array = new Uint32Array(0);
  #packedEnd = 0;

  constructor(slots: KeySlots, arena: KeyArena) {
    this.#slots = slots;
    this.#arena = arena;
  }

  /** Keys must come in order. */
  add(position: number): void {
    if (this.#count === fill) this.#closeLeaf(this.#arena.key(position));
    else if (this.#count === 0) this.#low = this.#arena.key(position);
    this.#positions[this.#count++] = position;
    this.#words += this.#arena.wordCount(position);
  }

  /** The root of the tree. */
  finish(): TreeNode {
    if (this.#count === 0) return newLeaf();
    this.#closeLeaf(undefined);
    for (let height = 0; ; height++) {
      const level = this.#levels[height]!;
      if (level.count === 1) return level.nodes[0]!;
      this.#addParent(height, undefined);
    }
  }

  /** `high`: the lowest key of the next leaf. */
  #closeLeaf(high: Key | undefined): void {
    const slots = this.#slots;
    const arena = this.#arena;
    if (this.#packedEnd + this.#words > this.#packed.length) {
      this.#packed = allocateWords(Math.max(packedWords, this.#words));
      this.#packedEnd = 0;
    }
    const leaf = packedLeaf(this.#packed, this.#packedEnd, this.#count);
    for (let i = 0; i < this.#count; i++) {
      const position = this.#positions[i]!;
      this.#packedEnd = arena.copy(position, this.#packed, this.#packedEnd);
      const slot = arena.slot(position);
      const isDead = slots.isDead(slot);
      if (!isDead) leaf.live++;
      // The last birth or death: of a key that lives, the put that began its life.
      const changed = isDead ? slots.main(slot) : slots.create(slot);
      if (changed > leaf.changed) leaf.changed = changed;
    }
    this.#addNode(0, leaf, this.#low, high);
    if (high !== undefined) this.#low = high;
    this.#count = 0;
    this.#words = 0;
  }

  /** Adds a node with the keys from `low` on and below `high`, and settles what it may skip. */
  #addNode(height: number, node: TreeNode, low: Key, high: Key | undefined): void {
    this.#levels[height] ??= new Level();
    const level = this.#levels[height];
    if (level.nodes.length === fill) this.#addParent(height, low);
    // The first and the last node of a level have a side without bound.
    const isInside = level.count > 0 && high !== undefined;
    node.skip = isInside ? sharedLength(low, high) : 0;
    encode(node);
    level.nodes.push(node);
    level.lows.push(low);
    level.count++;
  }

  /** Puts a node above what stands in a level. `high`: the lowest key behind. */
  #addParent(height: number, high: Key | undefined): void {
    const level = this.#levels[height]!;
    const children = level.nodes.splice(0);
    const [low, ...keys] = level.lows.splice(0);
    const parent = new TreeNode(0, [], keys, noSlots, children);
    for (const child of children) {
      parent.live += child.live;
      if (child.changed > parent.changed) parent.changed = child.changed;
    }
    this.#addNode(height + 1, parent, low!, high);
  }
}

// Builds a key tree from keys that are in order: leaves first, then level upon level. Nodes are left with
// some room, so that the first insertions do not split all of them.

import type { Key } from "@etcd-ts/base";
import type { KeySlots } from "./key-slots.ts";
import { encode, newLeaf, noChildren, noSlots, sharedLength, TreeNode } from "./tree-node.ts";

const fill = 56;

/** Nodes of one level, in order. */
class Level {
  readonly nodes: TreeNode[] = [];
  /** The lowest key under each node. */
  readonly lows: Key[] = [];
}

export class TreeLoader {
  readonly #slots: KeySlots;
  readonly #leaves: Level = new Level();
  #keys: Key[] = [];
  #leafSlots: number[] = [];

  constructor(slots: KeySlots) {
    this.#slots = slots;
  }

  /** Keys must come in order. */
  add(key: Key, slot: number): void {
    if (this.#keys.length === fill) this.#closeLeaf(key);
    this.#keys.push(key);
    this.#leafSlots.push(slot);
  }

  /** The root of the tree. */
  finish(): TreeNode {
    if (this.#keys.length > 0) this.#closeLeaf(undefined);
    let level = this.#leaves;
    if (level.nodes.length === 0) return newLeaf();
    while (level.nodes.length > 1) level = above(level);
    return level.nodes[0]!;
  }

  /** `high`: the lowest key of the next leaf. */
  #closeLeaf(high: Key | undefined): void {
    const leaf = new TreeNode(0, [], this.#keys, this.#leafSlots, noChildren);
    for (const slot of this.#leafSlots) {
      const isDead = this.#slots.isDead(slot);
      if (!isDead) leaf.live++;
      // The last birth or death: of a key that lives, the put that began its life.
      const changed = isDead ? this.#slots.main(slot) : this.#slots.create(slot);
      if (changed > leaf.changed) leaf.changed = changed;
    }
    addNode(this.#leaves, leaf, this.#keys[0]!, high);
    this.#keys = [];
    this.#leafSlots = [];
  }
}

function above(level: Level): Level {
  const upper = new Level();
  for (let start = 0; start < level.nodes.length; start += fill) {
    const children = level.nodes.slice(start, start + fill);
    const keys = level.lows.slice(start + 1, start + fill);
    const node = new TreeNode(0, [], keys, noSlots, children);
    for (const child of children) {
      node.live += child.live;
      if (child.changed > node.changed) node.changed = child.changed;
    }
    addNode(upper, node, level.lows[start]!, level.lows[start + fill]);
  }
  return upper;
}

/** Adds a node with the keys from `low` on and below `high`, and settles what it may skip. */
function addNode(level: Level, node: TreeNode, low: Key, high: Key | undefined): void {
  // The first and the last node of a level have a side without bound.
  const isInside = level.nodes.length > 0 && high !== undefined;
  node.skip = isInside ? sharedLength(low, high) : 0;
  encode(node);
  level.nodes.push(node);
  level.lows.push(low);
}

// An ordered map from `Key` to bytes with cheap snapshots: a B+ tree whose nodes are shared between the
// live tree and its snapshots, and copied the first time the live tree changes them afterwards.
//
// Every node carries the `Edition` in which it was made. A node of the tree's present edition belongs to
// the live tree alone and is changed in place; any other is copied first. `snapshot` hands out the root
// and starts a new edition, so it costs nothing but the copies of the paths that change later.

import type { Bytes, Key } from "@etcd-ts/base";

const itemsMax = 64;
const itemsMergeBelow = 16;

/** Identity of a span of changes between two snapshots. */
type Edition = object;

interface Leaf {
  readonly edition: Edition;
  readonly children: undefined;
  readonly keys: Key[];
  readonly values: Bytes[];
}

interface Branch {
  readonly edition: Edition;
  readonly children: Node[];
  /** `keys[i]` is a lower bound of `children[i]`; `keys[0]` is not looked at. Same length. */
  readonly keys: Key[];
  readonly values: undefined;
}

type Node = Leaf | Branch;

/** Returns false to stop. */
export type VisitItem = (key: Key, value: Bytes) => boolean | undefined;

/** An unchanging state of a tree. */
export class TreeSnapshot {
  readonly root: Node;
  readonly count: number;
  /** Bytes of all keys and values. */
  readonly bytes: number;

  constructor(root: Node, count: number, bytes: number) {
    this.root = root;
    this.count = count;
    this.bytes = bytes;
  }

  get(key: Key): Bytes | undefined {
    return find(this.root, key);
  }

  scan(from: Key, to: Key | undefined, limit: number, visit: VisitItem): void {
    walk(this.root, from, to, limit, visit);
  }
}

export const emptyTree: TreeSnapshot = new TreeSnapshot(
  { edition: {}, children: undefined, keys: [], values: [] },
  0,
  0,
);

export class SortedTree {
  #root: Node;
  #edition: Edition = {};
  #count: number;
  #bytes: number;
  /** Set by the recursive functions when the key existed: length of the value it had; -1 otherwise. */
  #previousBytes = -1;

  constructor(start: TreeSnapshot = emptyTree) {
    this.#root = start.root;
    this.#count = start.count;
    this.#bytes = start.bytes;
  }

  get count(): number {
    return this.#count;
  }

  get(key: Key): Bytes | undefined {
    return find(this.#root, key);
  }

  put(key: Key, value: Bytes): void {
    this.#previousBytes = -1;
    const root = this.#own(this.#root);
    const split = this.#put(root, key, value, true);
    if (split === undefined) this.#root = root;
    else {
      const low: Key = root.keys[0] as Key;
      this.#root = {
        edition: this.#edition,
        children: [root, split],
        keys: [low, split.keys[0] as Key],
        values: undefined,
      };
    }
    if (this.#previousBytes >= 0) this.#bytes += value.length - this.#previousBytes;
    else {
      this.#count++;
      this.#bytes += key.length + value.length;
    }
  }

  /** False when there is no such key. */
  delete(key: Key): boolean {
    const had = find(this.#root, key);
    if (had === undefined) return false;
    let root = this.#own(this.#root);
    this.#delete(root, key);
    while (root.children !== undefined && root.children.length === 1) {
      root = root.children[0] as Node;
    }
    this.#root = root;
    this.#count--;
    this.#bytes -= key.length + had.length;
    return true;
  }

  /** `visit` must not change the tree. */
  scan(from: Key, to: Key | undefined, limit: number, visit: VisitItem): void {
    walk(this.#root, from, to, limit, visit);
  }

  snapshot(): TreeSnapshot {
    this.#edition = {};
    return new TreeSnapshot(this.#root, this.#count, this.#bytes);
  }

  #own(node: Node): Node {
    if (node.edition === this.#edition) return node;
    const edition = this.#edition;
    const keys = node.keys.slice();
    return node.children === undefined
      ? { edition, children: undefined, keys, values: node.values.slice() }
      : { edition, children: node.children.slice(), keys, values: undefined };
  }

  /** Returns the new right sibling when `node`, which is ours, had to be split. */
  #put(node: Node, key: Key, value: Bytes, atRightEdge: boolean): Node | undefined {
    if (node.children === undefined) {
      const at = lowerBound(node.keys, key);
      if (node.keys[at] === key) {
        this.#previousBytes = (node.values[at] as Bytes).length;
        node.values[at] = value;
        return undefined;
      }
      const appending = atRightEdge && at === node.keys.length;
      node.keys.splice(at, 0, key);
      node.values.splice(at, 0, value);
      if (node.keys.length <= itemsMax) return undefined;
      // Keys mostly come in ascending order: then the left node stays full.
      const cut = appending ? itemsMax : node.keys.length >> 1;
      return {
        edition: this.#edition,
        children: undefined,
        keys: node.keys.splice(cut),
        values: node.values.splice(cut),
      };
    }
    const at = childIndex(node.keys, key);
    const last = node.children.length - 1;
    const child = this.#own(node.children[at] as Node);
    node.children[at] = child;
    const split = this.#put(child, key, value, atRightEdge && at === last);
    if (split === undefined) return undefined;
    node.children.splice(at + 1, 0, split);
    node.keys.splice(at + 1, 0, split.keys[0] as Key);
    if (node.children.length <= itemsMax) return undefined;
    const cut = atRightEdge && at === last ? itemsMax : node.children.length >> 1;
    return {
      edition: this.#edition,
      children: node.children.splice(cut),
      keys: node.keys.splice(cut),
      values: undefined,
    };
  }

  #delete(node: Node, key: Key): void {
    if (node.children === undefined) {
      const at = lowerBound(node.keys, key);
      node.keys.splice(at, 1);
      node.values.splice(at, 1);
      return;
    }
    const at = childIndex(node.keys, key);
    const child = this.#own(node.children[at] as Node);
    node.children[at] = child;
    this.#delete(child, key);
    if (isEmpty(child)) {
      // A branch always keeps one child, so that the root's collapse ends in a leaf.
      if (node.children.length > 1) {
        node.children.splice(at, 1);
        node.keys.splice(at, 1);
      }
    } else if (child.keys.length < itemsMergeBelow && at + 1 < node.children.length) {
      this.#merge(node, at, child);
    }
  }

  /** Takes the right neighbour of `child` into it when both fit well into one node. */
  #merge(parent: Branch, at: number, child: Node): void {
    const right = parent.children[at + 1] as Node;
    if (child.keys.length + right.keys.length > itemsMax >> 1) return;
    if (child.children === undefined && right.children === undefined) {
      child.keys.push(...right.keys);
      child.values.push(...right.values);
    } else if (child.children !== undefined && right.children !== undefined) {
      // The neighbour's first lower bound is not kept up to date inside it, but here.
      child.keys.push(parent.keys[at + 1] as Key, ...right.keys.slice(1));
      child.children.push(...right.children);
    }
    parent.children.splice(at + 1, 1);
    parent.keys.splice(at + 1, 1);
  }
}

function isEmpty(node: Node): boolean {
  if (node.children === undefined) return node.keys.length === 0;
  return node.children.length === 1 && isEmpty(node.children[0] as Node);
}

/** First position whose key is >= `key`. */
function lowerBound(keys: readonly Key[], key: Key): number {
  let low = 0;
  let high = keys.length;
  // Appending is the usual case.
  if (high > 0 && (keys[high - 1] as Key) < key) return high;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((keys[middle] as Key) < key) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The child that holds `key`: the last one whose lower bound is <= `key`, else the first. */
function childIndex(keys: readonly Key[], key: Key): number {
  let low = 1;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((keys[middle] as Key) <= key) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

function find(root: Node, key: Key): Bytes | undefined {
  let node = root;
  while (node.children !== undefined) node = node.children[childIndex(node.keys, key)] as Node;
  const at = lowerBound(node.keys, key);
  return node.keys[at] === key ? node.values[at] : undefined;
}

function walk(root: Node, from: Key, to: Key | undefined, limit: number, visit: VisitItem): void {
  let left = limit;
  const into = (node: Node): boolean => {
    if (node.children !== undefined) {
      for (let i = childIndex(node.keys, from); i < node.children.length; i++) {
        if (!into(node.children[i] as Node)) return false;
      }
      return true;
    }
    for (let i = lowerBound(node.keys, from); i < node.keys.length; i++) {
      const key = node.keys[i] as Key;
      if (left <= 0 || (to !== undefined && key >= to)) return false;
      left--;
      if (visit(key, node.values[i] as Bytes) === false) return false;
    }
    return true;
  };
  if (left > 0) into(root);
}

// A walk through the history, for several groups of watchers together.

import type { Key } from "@etcd-ts/base";
import { Interests } from "./interests.ts";
import type { WatchHistory, WatchSource } from "./source.ts";
import type { WatchGroup } from "./watcher.ts";

/** One walk through the history with the groups that take part in it. */
export class CatchUp {
  readonly groups: Set<WatchGroup> = new Set();
  readonly interests: Interests<WatchGroup> = new Interests();
  history: WatchHistory;
  /** Where the present walk began. */
  from: number;
  /** Records read so far, about. */
  itemCount = 0;
  walkCount = 1;

  constructor(groups: readonly WatchGroup[], source: WatchSource) {
    let from = Number.MAX_SAFE_INTEGER;
    for (const group of groups) {
      this.groups.add(group);
      this.interests.add(group);
      from = Math.min(from, group.nextRevision);
    }
    this.from = from;
    this.history = source.history(from, this.#wants);
  }

  /**
   * Everything before `next` was looked at. A walk that ended early (the store was replaced) may not have come to
   * where the first of those begins that are left, and what lies before may be compacted by now.
   */
  goOn(source: WatchSource, next: number): void {
    let first = Number.MAX_SAFE_INTEGER;
    for (const group of this.groups) first = Math.min(first, group.nextRevision);
    this.walkCount += 1;
    this.from = Math.max(next, first);
    this.history = source.history(this.from, this.#wants);
  }

  drop(group: WatchGroup): void {
    if (this.groups.delete(group)) this.interests.remove(group);
  }

  readonly #wants = (key: Key): boolean => this.interests.has(key);
}

// A stable sort in slices: runs of some hundred items by the engine's own sort, then merging passes that
// can stop after any item. For sorted ranges over many keys, which must not hold the loop.

const runLength = 256;
/** What sorting a run costs, in moves for each of its items. */
const runMovesPerItem = 8;

export class MergeSorter<T> {
  #from: T[];
  #to: T[] = [];
  readonly #compare: (a: T, b: T) => number;
  /** Length of the sorted runs in `#from`; 0: not sorted into runs yet. */
  #width = 0;
  /** Where the present pass stands: the first item of the pair of runs, and the heads of both. */
  #pair = 0;
  #left = 0;
  #right = 0;

  /** Takes the array over. */
  constructor(items: T[], compare: (a: T, b: T) => number) {
    this.#from = items;
    this.#compare = compare;
  }

  get done(): boolean {
    return this.#width > 0 && this.#width >= this.#from.length;
  }

  /** Valid once done. */
  get sorted(): T[] {
    return this.#from;
  }

  /** Moves up to about `moveCount` items and returns how many. */
  step(moveCount: number): number {
    let moves = 0;
    while (!this.done && moves < moveCount) {
      moves += this.#width === 0 ? this.#sortRun() : this.#merge(moveCount - moves);
    }
    return moves;
  }

  #sortRun(): number {
    const items = this.#from;
    const run = items.slice(this.#pair, this.#pair + runLength).sort(this.#compare);
    for (let i = 0; i < run.length; i++) items[this.#pair + i] = run[i]!;
    this.#pair += runLength;
    if (this.#pair >= items.length) {
      this.#pair = 0;
      this.#width = runLength;
      this.#right = runLength;
    }
    return run.length * runMovesPerItem + 1;
  }

  /** Goes on with the present pass for up to `moveCount` items; returns the number moved. */
  #merge(moveCount: number): number {
    const from = this.#from;
    const to = this.#to;
    const width = this.#width;
    let moved = 0;
    while (moved < moveCount) {
      const leftEnd = Math.min(this.#pair + width, from.length);
      const rightEnd = Math.min(this.#pair + 2 * width, from.length);
      while (moved < moveCount && (this.#left < leftEnd || this.#right < rightEnd)) {
        const takeLeft =
          this.#right >= rightEnd ||
          (this.#left < leftEnd && this.#compare(from[this.#left]!, from[this.#right]!) <= 0);
        to.push(takeLeft ? from[this.#left++]! : from[this.#right++]!);
        moved++;
      }
      if (this.#left < leftEnd || this.#right < rightEnd) return moved;
      this.#pair += 2 * width;
      this.#left = this.#pair;
      this.#right = this.#pair + width;
      if (this.#pair >= from.length) {
        this.#from = to;
        this.#to = [];
        this.#width = 2 * width;
        this.#pair = 0;
        this.#left = 0;
        this.#right = this.#width;
        return Math.max(moved, 1);
      }
    }
    return moved;
  }
}

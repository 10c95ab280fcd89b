// Hot path: objects by numbers that are given out in ascending order, for tables into which something goes and out of
// which it comes again a hundred thousand times a second: open streams, requests on their way.
//
// A `Map` is the wrong thing for that. It makes itself a new inner table after every few deletions, and the old one
// keeps what it held, and a reference to the next one. Once such a table has become old in the heap, the collector of
// young objects takes everything behind it for alive, table after table: each transaction left 1.5 KB in the old
// generation, which then had to be marked twice a second.
//
//     ids      ·  ·  ·  7  9  ·  13  ·        holes where something was deleted, nothing before `start`
//     items    -  -  -  a  b  -  c   -
//                      start       end
//
// Looking at both ends first finds nearly everything at once: calls of one connection mostly come one at a time, and
// what went through the log comes out in the order in which it went in.

const firstRoom = 4;
const keptRoomMax = 1024;

export class IdTable<T extends object> {
  #ids: number[] = new Array<number>(firstRoom).fill(0);
  #items: (T | undefined)[] = new Array<T | undefined>(firstRoom).fill(undefined);
  /** The place of the lowest id. */
  #start = 0;
  #end = 0;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(id: number): T | undefined {
    const at = this.#find(id);
    return at < 0 ? undefined : this.#items[at];
  }

  /** In place of what had this id. An id that is not above all others costs a move of those above it. */
  set(id: number, item: T): void {
    const known = this.#find(id);
    if (known >= 0) {
      if (this.#items[known] === undefined) this.#size++;
      this.#items[known] = item;
      return;
    }
    if (this.#end === this.#ids.length) this.#makeRoom();
    const ids = this.#ids;
    const items = this.#items;
    let at = this.#end++;
    for (; at > this.#start && ids[at - 1]! > id; at--) {
      ids[at] = ids[at - 1]!;
      items[at] = items[at - 1];
    }
    ids[at] = id;
    items[at] = item;
    this.#size++;
  }

  /** False when there was none. */
  delete(id: number): boolean {
    const at = this.#find(id);
    const items = this.#items;
    if (at < 0 || items[at] === undefined) return false;
    items[at] = undefined;
    this.#size--;
    if (this.#size === 0) {
      this.clear();
      return true;
    }
    while (items[this.#start] === undefined) this.#start++;
    while (items[this.#end - 1] === undefined) this.#end--;
    return true;
  }

  clear(): void {
    if (this.#size > 0) this.#items.fill(undefined);
    // Room for thousands is not kept for those that may come.
    if (this.#ids.length > keptRoomMax) {
      this.#ids = new Array<number>(firstRoom).fill(0);
      this.#items = new Array<T | undefined>(firstRoom).fill(undefined);
    }
    this.#start = 0;
    this.#end = 0;
    this.#size = 0;
  }

  /** The one with the lowest id. */
  first(): T | undefined {
    return this.#size === 0 ? undefined : this.#items[this.#start];
  }

  /** In the order of their ids, as they are now: later changes do not show. */
  values(): T[] {
    const values: T[] = [];
    for (let at = this.#start; at < this.#end; at++) {
      const item = this.#items[at];
      if (item !== undefined) values.push(item);
    }
    return values;
  }

  /** The place of this id, which may be a hole; -1: it has none. */
  #find(id: number): number {
    if (this.#size === 0) return -1;
    const ids = this.#ids;
    let low = this.#start;
    if (ids[low] === id) return low;
    let high = this.#end - 1;
    if (ids[high] === id) return high;
    if (id < ids[low]! || id > ids[high]!) return -1;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (ids[middle]! < id) low = middle + 1;
      else high = middle;
    }
    return ids[low] === id ? low : -1;
  }

  /** Closes the holes; doubles, when that would not leave half of the room. */
  #makeRoom(): void {
    const ids = this.#ids;
    const items = this.#items;
    const room = this.#size * 2 > ids.length ? ids.length * 2 : ids.length;
    const isLarger = room > ids.length;
    const newIds = isLarger ? new Array<number>(room).fill(0) : ids;
    const newItems = isLarger ? new Array<T | undefined>(room).fill(undefined) : items;
    let to = 0;
    for (let from = this.#start; from < this.#end; from++) {
      const item = items[from];
      if (item === undefined) continue;
      newIds[to] = ids[from]!;
      newItems[to++] = item;
    }
    if (!isLarger) items.fill(undefined, to);
    this.#ids = newIds;
    this.#items = newItems;
    this.#start = 0;
    this.#end = to;
  }
}

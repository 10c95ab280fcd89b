// Hot: pieces of memory of one size, for what waits for flow control and for what is on its way to a host. They are used
// again: the engine counts memory outside its heap, and new pieces all the time would have it collect garbage all the time
// (a third of the CPU of a server with a thousand watchers of one key).

import { allocateBytes, type Bytes, type Connection } from "@etcd-ts/base";

export const segmentBytes = 65_536;
/** 16 MiB, of what nobody uses and of what hosts still hold. */
const keptMax = 256;
/** Of those that hosts hold, how many are looked at before new memory is taken. */
const looksMax = 4;

/** A segment that a host holds until all bytes of that connection are written. */
interface Lent {
  readonly segment: Bytes;
  readonly connection: Connection;
}

const free: Bytes[] = [];
/** In the order in which they were lent, but for those that were asked for in vain. */
const lent: Lent[] = [];

/** Uninitialised bytes, all of a segment. */
export function takeSegment(): Bytes {
  const segment = free.pop();
  if (segment !== undefined) return segment;
  for (let looks = Math.min(looksMax, lent.length); looks > 0; looks--) {
    const first = lent.shift()!;
    if (first.connection.isWritten) return first.segment;
    lent.push(first);
  }
  return allocateBytes(segmentBytes);
}

/** Nobody uses it any more. */
export function giveSegment(segment: Bytes): void {
  if (free.length < keptMax) free.push(segment);
}

/** Its bytes were handed to the host of a connection. */
export function lendSegment(segment: Bytes, connection: Connection): void {
  if (lent.length === keptMax) lent.shift();
  lent.push({ segment, connection });
}

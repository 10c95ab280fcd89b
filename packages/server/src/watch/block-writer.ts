// Hot path: the responses of a group. They differ in nothing but the watch id, and ids of equal length make them
// equally long. So the first one is composed, doubled until there are enough, and the ids are written over:
//
//     prefix  header  id 1  events │ prefix  header  id 2  events │ …         one copy for each power of two
//
// The transport takes such a block as a whole.

import { allocateBytes, type Bytes } from "@etcd-ts/base";
import { encodeEvents, tagWatchId } from "./encoding.ts";
import type { WatchGroup } from "./watcher.ts";

const prefixBytes = 5;
/** Longer responses go alone. */
const blockBytes = 256 * 1024;
/** A stream that is full still gets so much at once, before the rest of the group has to wait. */
const burstBytes = 2 * 1024 * 1024;

export class BlockWriter {
  readonly #block: Bytes = allocateBytes(blockBytes);

  /**
   * Sends each watcher a response with the first `count` fields that the group has collected. Returns how many have got
   * it: all, unless their stream filled up.
   */
  send(group: WatchGroup, header: Bytes, count: number): number {
    const { watchers, sink, collected } = group;
    let fieldBytes = 0;
    for (let i = 0; i < count; i++) fieldBytes += collected[i]!.length;
    let given = 0;
    let bytes = 0;
    while (given < watchers.length) {
      if (bytes >= burstBytes && !sink.isWritable) break;
      const first = watchers[given]!;
      const idBytes = idFieldBytes(first.shortId);
      const stride = prefixBytes + header.length + idBytes + fieldBytes;
      if (first.shortId < 0 || stride > blockBytes) {
        sink.send(encodeEvents(header, first.id, collected, 0, count, false));
        given += 1;
        bytes += stride;
        continue;
      }
      const end = Math.min(watchers.length, given + Math.floor(blockBytes / stride));
      let next = given + 1;
      while (next < end && idFieldBytes(watchers[next]!.shortId) === idBytes) next += 1;
      this.#compose(group, header, count, given, next, stride, idBytes);
      const total = (next - given) * stride;
      sink.sendPrefixed(this.#block.subarray(0, total), next - given);
      given = next;
      bytes += total;
    }
    return given;
  }

  #compose(
    group: WatchGroup,
    header: Bytes,
    fieldCount: number,
    start: number,
    end: number,
    stride: number,
    idBytes: number,
  ): void {
    const block = this.#block;
    const { watchers, collected } = group;
    const size = stride - prefixBytes;
    block[0] = 0;
    block[1] = size >>> 24;
    block[2] = size >>> 16;
    block[3] = size >>> 8;
    block[4] = size;
    block.set(header, prefixBytes);
    const idAt = prefixBytes + header.length;
    if (idBytes > 0) block[idAt] = tagWatchId;
    let at = idAt + idBytes;
    for (let i = 0; i < fieldCount; i++) {
      const field = collected[i]!;
      block.set(field, at);
      at += field.length;
    }
    const count = end - start;
    for (let filled = 1; filled < count; filled *= 2) {
      block.copyWithin(filled * stride, 0, Math.min(filled, count - filled) * stride);
    }
    if (idBytes === 0) return;
    let position = idAt + 1;
    for (let i = start; i < end; i++) {
      let rest = watchers[i]!.shortId;
      let to = position;
      for (; rest > 127; rest >>>= 7) block[to++] = (rest & 127) | 128;
      block[to] = rest;
      position += stride;
    }
  }
}

/** Of an id below 2^28; zero is left out. -1 stands for none of these. */
function idFieldBytes(id: number): number {
  if (id <= 0) return id;
  return id < 128 ? 2 : id < 16_384 ? 3 : id < 2_097_152 ? 4 : 5;
}

// Hot path: bytes from a socket without an allocation in native code for each chunk.
//
// Node's own way: 64 KiB from malloc for every read, cut to the size of what came, wrapped into an
// ArrayBuffer that the collector must follow and free on its helper threads. `net.connect` has an option for
// one reused buffer (`onread`), accepted sockets do not; what that option does is set two properties on the
// socket and call one method of its handle. We do the same. All sockets share the buffer, as a chunk is copied out
// of it before the callback returns: small ones side by side into slabs, large ones each to an array of its own.
//
// The properties are symbols, found by their descriptions. Where a Node release has others, `receiveInto`
// says so and the caller reads in the ordinary way: slower, and nothing else.

import type { Socket } from "node:net";
import type { Bytes } from "@etcd-ts/base";

const sharedBytes = 64 << 10;
/** Whoever keeps a chunk keeps its slab: small enough that many slow connections cannot hold much. */
const slabBytes = 16 << 10;
const slabChunkMax = 4 << 10;

/** What `onread` leads to inside node:net. */
interface Internals {
  readonly buffer: symbol;
  readonly callback: symbol;
  readonly generator: symbol;
}

interface ReadingHandle {
  readonly useUserBuffer?: (buffer: Uint8Array) => void;
}

type SocketFields = Record<symbol, unknown> & { readonly _handle?: ReadingHandle | null };

let internals: Internals | undefined;
let shared: Buffer | undefined;
let slab: Buffer | undefined;
let slabUsed = 0;

/**
 * From now on what arrives goes to `receive`, which may keep the chunks and returns false to stop reading.
 * False when this Node does not work that way. `end`, `error` and `close` are emitted as ever.
 */
export function receiveInto(socket: Socket, receive: (chunk: Bytes) => boolean): boolean {
  const fields = socket as unknown as SocketFields;
  const handle = fields._handle;
  internals ??= find(socket);
  if (internals === undefined || typeof handle?.useUserBuffer !== "function") return false;
  shared ??= Buffer.allocUnsafeSlow(sharedBytes);
  fields[internals.buffer] = shared;
  fields[internals.callback] = (count: number) => receive(copied(count));
  fields[internals.generator] = null;
  handle.useUserBuffer(shared);
  return true;
}

/** After `receiveInto`: gives the chunks to the socket's own stream again. */
export function receiveByStream(socket: Socket): void {
  if (internals === undefined) return;
  const fields = socket as unknown as SocketFields;
  fields[internals.callback] = (count: number) => socket.push(copied(count));
}

function copied(count: number): Bytes {
  const from = shared as Buffer;
  if (count > slabChunkMax) {
    const own = Buffer.allocUnsafeSlow(count);
    from.copy(own, 0, 0, count);
    return own;
  }
  if (slab === undefined || slabUsed + count > slabBytes) {
    slab = Buffer.allocUnsafeSlow(slabBytes);
    slabUsed = 0;
  }
  const start = slabUsed;
  slabUsed += count;
  from.copy(slab, start, 0, count);
  return slab.subarray(start, slabUsed);
}

function find(socket: Socket): Internals | undefined {
  const symbols = Object.getOwnPropertySymbols(socket);
  const named = (name: string): symbol | undefined => symbols.find((it) => it.description === name);
  const buffer = named("kBuffer");
  const callback = named("kBufferCb");
  const generator = named("kBufferGen");
  if (buffer === undefined || callback === undefined || generator === undefined) return undefined;
  return { buffer, callback, generator };
}

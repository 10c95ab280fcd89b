// Hot path: bytes to a socket's handle, past the Writable machinery of node:streams (which queues, counts,
// wraps and calls back on the next tick, though the kernel takes nearly every write at once).
//
//     write ──► handle.writeBuffer ──┬─ taken by the kernel: done
//                                    └─ not all of it: libuv keeps the rest
//
// The request object that `writeBuffer` needs has a class that node:net does not export: we learn it from the
// first write that goes the ordinary way. One object serves until a write has to wait, which takes it: only
// then does it get an async id.
//
// The order holds since both ways lead to the same handle, whose writes libuv keeps in order; and
// `socket.end()` waits for them, as the shutdown stands behind them there.

import type { Socket } from "node:net";
import { getSystemErrorName } from "node:util";
import type { Bytes } from "@etcd-ts/base";

interface WriteRequest {
  oncomplete: (this: WriteRequest, status: number) => void;
  /** Kept until the bytes have gone. */
  buffer: Bytes | undefined;
  writer: SocketWriter | undefined;
  /** -1 while no write has taken it. */
  getAsyncId(): number;
}

interface WritingHandle {
  /** 0, or a negative system error. */
  writeBuffer(request: WriteRequest, bytes: Bytes): number;
}

interface SocketFields {
  readonly _handle?: WritingHandle | null;
}

let requestClass: (new () => WriteRequest) | undefined;
let spare: WriteRequest | undefined;

export class SocketWriter {
  readonly #socket: Socket;
  /** Bytes of writes that libuv has not finished. */
  pendingBytes = 0;

  constructor(socket: Socket) {
    this.#socket = socket;
    if (requestClass === undefined) learn(handleOf(socket));
  }

  /** True when the bytes are on their way; false when the caller must write to the socket itself. */
  write(bytes: Bytes): boolean {
    const socket = this.#socket;
    const handle = handleOf(socket);
    if (requestClass === undefined || !handle || socket.connecting) return false;
    // What Node still holds goes first, and it has its own words for a socket that is not open.
    if (socket.writableLength > 0 || !socket.writable) return false;
    const request = spare ?? newRequest(requestClass);
    spare = undefined;
    const error = handle.writeBuffer(request, bytes);
    if (request.getAsyncId() === -1) spare = request;
    else {
      request.buffer = bytes;
      request.writer = this;
      this.pendingBytes += bytes.length;
    }
    if (error !== 0) socket.destroy(writeError(error));
    return true;
  }

  /** @internal */
  finished(bytes: Bytes, status: number): void {
    this.pendingBytes -= bytes.length;
    if (status < 0 && !this.#socket.destroyed) this.#socket.destroy(writeError(status));
  }
}

function onComplete(this: WriteRequest, status: number): void {
  this.writer?.finished(this.buffer as Bytes, status);
}

function newRequest(from: new () => WriteRequest): WriteRequest {
  const request = new from();
  request.oncomplete = onComplete;
  request.buffer = undefined;
  request.writer = undefined;
  return request;
}

function handleOf(socket: Socket): WritingHandle | null | undefined {
  return (socket as unknown as SocketFields)._handle;
}

function learn(handle: WritingHandle | null | undefined): void {
  if (!handle || typeof handle.writeBuffer !== "function") return;
  const write = handle.writeBuffer;
  handle.writeBuffer = (request, bytes) => {
    delete (handle as { writeBuffer?: unknown }).writeBuffer;
    if (typeof request.getAsyncId === "function") {
      requestClass ??= request.constructor as new () => WriteRequest;
    }
    return write.call(handle, request, bytes);
  };
}

function writeError(status: number): Error {
  const code = getSystemErrorName(status);
  return Object.assign(new Error(`write ${code}`), { code, errno: status, syscall: "write" });
}

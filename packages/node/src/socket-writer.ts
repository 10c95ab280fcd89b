// Hot path: bytes to a socket's handle, past the Writable machinery of node:streams (which queues, counts,
// wraps and calls back on the next tick, though the kernel takes nearly every write at once).
//
//     write ──► handle.writeBuffer ──┬─ taken by the kernel: done
//                                    └─ not all of it: libuv keeps the rest
//
// A write that has to wait is a request object, and Node has two ways to come by it, which the first write that goes
// the ordinary way teaches us:
//
//     Node 20, 22    writeBuffer(request, bytes) ──► error code. One object serves until a write has to wait, which
//                    takes it: only then does it get an async id
//     late 24, 26    writeBuffer(null, bytes) ──► error code, or the request of a write that has to wait
//
// Where a release does it in yet another way, everything goes the ordinary way: slower, and nothing else.
//
// The order holds since both ways lead to the same handle, whose writes libuv keeps in order; and
// `socket.end()` waits for them, as the shutdown stands behind them there.

import type { Socket } from "node:net";
import { constants } from "node:os";
import { getSystemErrorName } from "node:util";
import type { Bytes } from "@etcd-ts/base";

interface WriteRequest {
  oncomplete: (this: WriteRequest, status: number) => void;
  /** Kept until the bytes have gone. */
  buffer: Bytes | undefined;
  writer: SocketWriter | undefined;
  /** In late releases: how the write ended, when it did so within the call. */
  writeStatus?: number | null;
  /** -1 while no write has taken it, and when the write could not be begun. */
  getAsyncId(): number;
}

interface WritingHandle {
  /** 0, a negative system error, or the request that libuv has kept. */
  writeBuffer(request: WriteRequest | null, bytes: Bytes): number | WriteRequest;
}

interface SocketFields {
  readonly _handle?: WritingHandle | null;
}

let requestClass: (new () => WriteRequest) | undefined;
let makesRequests = false;
let spare: WriteRequest | undefined;

export class SocketWriter {
  readonly #socket: Socket;
  /** Bytes of writes that libuv has not finished. */
  pendingBytes = 0;

  constructor(socket: Socket) {
    this.#socket = socket;
    if (requestClass === undefined && !makesRequests) learn(handleOf(socket));
  }

  /** True when the bytes are on their way; false when the caller must write to the socket itself. */
  write(bytes: Bytes): boolean {
    const socket = this.#socket;
    const handle = handleOf(socket);
    if (!handle || socket.connecting) return false;
    // What Node still holds goes first, and it has its own words for a socket that is not open.
    if (socket.writableLength > 0 || !socket.writable) return false;
    if (makesRequests) this.#writeAnew(handle, bytes);
    else if (requestClass !== undefined) this.#writeWith(requestClass, handle, bytes);
    else return false;
    return true;
  }

  #writeWith(kind: new () => WriteRequest, handle: WritingHandle, bytes: Bytes): void {
    const request = spare ?? new kind();
    spare = undefined;
    request.oncomplete = onComplete;
    const error = handle.writeBuffer(request, bytes) as number;
    if (request.getAsyncId() === -1) spare = request;
    else this.#wait(request, bytes);
    if (error !== 0) this.#socket.destroy(writeError(error));
  }

  #writeAnew(handle: WritingHandle, bytes: Bytes): void {
    const result = handle.writeBuffer(null, bytes);
    if (typeof result === "number") {
      if (result !== 0) this.#socket.destroy(writeError(result));
    } else if (result.getAsyncId() === -1) {
      // Why it could not be begun is told to Node's own modules alone.
      this.#socket.destroy(writeError(-constants.errno.EIO));
    } else {
      result.oncomplete = onComplete;
      this.#wait(result, bytes);
      if (typeof result.writeStatus === "number") result.oncomplete(result.writeStatus);
    }
  }

  #wait(request: WriteRequest, bytes: Bytes): void {
    request.buffer = bytes;
    request.writer = this;
    this.pendingBytes += bytes.length;
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

function handleOf(socket: Socket): WritingHandle | null | undefined {
  return (socket as unknown as SocketFields)._handle;
}

function learn(handle: WritingHandle | null | undefined): void {
  if (!handle || typeof handle.writeBuffer !== "function") return;
  const write = handle.writeBuffer;
  handle.writeBuffer = (request, bytes) => {
    delete (handle as { writeBuffer?: unknown }).writeBuffer;
    if (request === null) makesRequests = true;
    else if (typeof request?.getAsyncId === "function") {
      requestClass = request.constructor as new () => WriteRequest;
    }
    return write.call(handle, request, bytes);
  };
}

function writeError(status: number): Error {
  const code = getSystemErrorName(status);
  return Object.assign(new Error(`write ${code}`), { code, errno: status, syscall: "write" });
}

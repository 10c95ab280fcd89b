// Hot path: a socket as a `Connection`.
//
// Reading. `socket-reader.ts` brings the chunks past Node's Readable machinery. Where it cannot (TLS, and
// Node releases that look different inside), we replace `push` on the instance, to which Node hands each
// chunk. The "data" listener stays registered: should even that not be called, data takes the long way and
// nothing breaks; the contract suite looks at all of them.
//
//      kernel ──► shared buffer ──► copy ──┐
//      kernel ──► push(chunk) ─────────────┴─► onData      paused: the chunk in flight is kept, reading stops
//                     └─ null ──► Readable ──► "end" ──► onEnd
//
// Writing. The parts written in one callback of the event loop leave in one system call at its end (a
// process.nextTick for all connections together): small parts are copied into one buffer, which goes to the
// handle directly (`socket-writer.ts`), large ones go out in one writev.

import type { Socket } from "node:net";
import {
  type Bytes,
  type Connection,
  type ConnectionHandler,
  emptyBytes,
  type NetError,
  type TlsInfo,
} from "@etcd-ts/base";
import { receiveByStream, receiveInto } from "./socket-reader.ts";
import { SocketWriter } from "./socket-writer.ts";
import { netError } from "./system-errors.ts";
import { tlsFailure } from "./tls.ts";

/** More than this in the host's queue, and `write` says so. */
export const highWaterBytes: number = 64 << 10;
/** Up to here copying is cheaper than a writev of many parts. */
const copyBytesMax = 16 << 10;

const ignoring: ConnectionHandler = {
  onData() {},
  onDrain() {},
  onEnd() {},
  onClose() {},
};

export interface ConnectionNames {
  readonly remoteAddress: string;
  readonly localAddress: string;
  /** For error texts: `read tcp 127.0.0.1:1->127.0.0.1:2`. */
  readonly network: "tcp" | "unix";
}

export class NodeConnection implements Connection {
  readonly remoteAddress: string;
  localAddress: string;
  tls: TlsInfo | undefined = undefined;
  readonly #network: "tcp" | "unix";
  readonly #socket: Socket;
  /** Absent on TLS. */
  readonly #writer: SocketWriter | undefined;
  #handler: ConnectionHandler = ignoring;
  #open: boolean;
  #pending: Bytes[] = [];
  #pendingBytes = 0;
  #flushQueued = false;
  #drainWanted = false;
  #ending = false;
  #destroyed = false;
  #closed = false;
  #detached = false;
  #paused = false;
  #kept: Bytes[] = [];
  #endKept = false;
  #failure: Error | undefined = undefined;
  /** Chunks come past the socket's stream. */
  #direct = false;

  readonly #dialling: string;

  /** `open` is false for a dialled socket that is not connected yet; `dialling` says what is tried. */
  constructor(socket: Socket, names: ConnectionNames, open: boolean, dialling: string) {
    this.#socket = socket;
    this.remoteAddress = names.remoteAddress;
    this.localAddress = names.localAddress;
    this.#network = names.network;
    this.#open = open;
    this.#dialling = dialling;
    this.#writer = "encrypted" in socket ? undefined : new SocketWriter(socket);
    socket.on("error", this.#onError);
    socket.on("close", this.#onClose);
  }

  /** Before this no callback comes; to be called once, in the callback in which the socket appeared. */
  start(handler: ConnectionHandler): void {
    if (this.#detached) return;
    this.#handler = handler;
    const socket = this.#socket;
    // What Node has buffered already goes before what it pushes from now on.
    while (socket.readableLength > 0) this.#kept.push(socket.read() as Bytes);
    if (this.#kept.length > 0) process.nextTick(this.#deliverKept);
    if (this.#writer !== undefined) this.#direct = receiveInto(socket, (it) => this.#receive(it));
    const push = socket.push;
    socket.push = (chunk: Bytes | null): boolean => {
      if (chunk === null) return push.call(socket, null);
      return this.#receive(chunk);
    };
    socket.on("data", this.#onData);
    socket.on("end", this.#onEnd);
  }

  opened(localAddress: string, tls: TlsInfo | undefined): void {
    this.#open = true;
    this.localAddress = localAddress;
    this.tls = tls;
    if (!this.#destroyed) this.#handler.onOpen?.();
  }

  fail(error: Error): void {
    this.#failure ??= error;
    this.#drop();
    this.#socket.destroy();
  }

  write(bytes: Bytes): boolean {
    if (this.#ending || this.#destroyed || this.#detached || bytes.length === 0) return true;
    this.#pending.push(bytes);
    this.#pendingBytes += bytes.length;
    this.#queueFlush();
    const handedBytes = this.#socket.writableLength + (this.#writer?.pendingBytes ?? 0);
    if (this.#pendingBytes + handedBytes <= highWaterBytes) return true;
    this.#drainWanted = true;
    return false;
  }

  get isWritten(): boolean {
    // libuv lets go of what it has not written when the handle is closed, not before.
    if (this.#destroyed || this.#detached) return this.#closed;
    return (
      this.#pending.length === 0 &&
      this.#socket.writableLength === 0 &&
      (this.#writer?.pendingBytes ?? 0) === 0
    );
  }

  pause(): void {
    if (this.#destroyed || this.#detached) return;
    this.#paused = true;
  }

  resume(): void {
    if (!this.#paused || this.#destroyed || this.#detached) return;
    this.#paused = false;
    if (this.#kept.length > 0 || this.#endKept) process.nextTick(this.#deliverKept);
    else this.#readOn();
  }

  end(): void {
    if (this.#ending || this.#destroyed || this.#detached) return;
    this.#ending = true;
    this.#queueFlush();
  }

  destroy(): void {
    if (this.#destroyed || this.#detached) return;
    this.#drop();
    const socket = this.#socket;
    const plainTcp = this.#network === "tcp" && !("encrypted" in socket);
    // While the end is on its way to the kernel, Node cannot reset: the socket would stay open for ever.
    const shuttingDown = socket.writableEnded && !socket.writableFinished;
    if (plainTcp && this.#open && !socket.destroyed && !shuttingDown) socket.resetAndDestroy();
    else socket.destroy();
  }

  detach(unconsumed: Bytes): Socket {
    this.#flush();
    this.#detached = true;
    const socket = this.#socket;
    // Gives the prototype's method back.
    delete (socket as { push?: unknown }).push;
    if (this.#direct) receiveByStream(socket);
    socket.off("data", this.#onData);
    socket.off("end", this.#onEnd);
    socket.off("error", this.#onError);
    socket.off("close", this.#onClose);
    socket.pause();
    for (let i = this.#kept.length - 1; i >= 0; i--) socket.unshift(this.#kept[i] as Bytes);
    if (unconsumed.length > 0) socket.unshift(unconsumed);
    // Nothing went through the Readable while we took the chunks, so it still believes that it waits for
    // the first one; an empty one puts it right.
    socket.push(emptyBytes);
    this.#kept = [];
    this.#handler = ignoring;
    return socket;
  }

  /** False tells Node to stop reading. */
  #receive(chunk: Bytes): boolean {
    // While something is kept and nobody paused, its delivery is under way.
    if (this.#paused || this.#kept.length > 0) {
      this.#kept.push(chunk);
      return !this.#paused;
    }
    this.#handler.onData(chunk);
    return !this.#paused;
  }

  readonly #onData = (chunk: Bytes): void => {
    if (!this.#receive(chunk)) this.#socket.pause();
  };

  readonly #onEnd = (): void => {
    if (this.#destroyed || this.#detached) return;
    if (this.#paused || this.#kept.length > 0) this.#endKept = true;
    else this.#handler.onEnd();
  };

  readonly #deliverKept = (): void => {
    while (this.#kept.length > 0 && !this.#paused && !this.#destroyed && !this.#detached) {
      this.#handler.onData(this.#kept.shift() as Bytes);
    }
    if (this.#paused || this.#destroyed || this.#detached) return;
    if (this.#endKept) {
      this.#endKept = false;
      this.#handler.onEnd();
    } else this.#readOn();
  };

  #readOn(): void {
    const socket = this.#socket;
    if (socket.isPaused()) socket.resume();
    // Starts the handle again when `push` stopped it; a no-op while it is reading.
    else if (this.#open && !socket.destroyed) socket._read(highWaterBytes);
  }

  #queueFlush(): void {
    if (this.#flushQueued) return;
    this.#flushQueued = true;
    if (dirty.push(this) === 1) process.nextTick(flushDirty);
  }

  /** @internal */
  flushQueued(): void {
    this.#flushQueued = false;
    if (this.#detached || this.#destroyed) return;
    this.#flush();
    if (this.#ending) this.#socket.end();
  }

  #flush(): void {
    const parts = this.#pending;
    const socket = this.#socket;
    if (parts.length === 0) return;
    const sent = this.#drainWanted ? this.#onSent : undefined;
    if (parts.length === 1 || this.#pendingBytes <= copyBytesMax) {
      const bytes =
        parts.length === 1 ? (parts[0] as Bytes) : Buffer.concat(parts, this.#pendingBytes);
      // Who waits for the drain is told by the stream.
      if (sent !== undefined || !this.#writer?.write(bytes)) socket.write(bytes, sent);
    } else {
      socket.cork();
      const last = parts.length - 1;
      for (let i = 0; i < last; i++) socket.write(parts[i] as Bytes);
      socket.write(parts[last] as Bytes, sent);
      socket.uncork();
    }
    parts.length = 0;
    this.#pendingBytes = 0;
  }

  readonly #onSent = (error?: Error | null): void => {
    if (error || !this.#drainWanted || this.#pendingBytes > 0 || this.#socket.writableLength > 0)
      return;
    if (this.#destroyed || this.#detached) return;
    this.#drainWanted = false;
    this.#handler.onDrain();
  };

  #drop(): void {
    this.#destroyed = true;
    this.#pending.length = 0;
    this.#pendingBytes = 0;
    this.#kept = [];
    // Data that the kernel has handed over already ends here.
    this.#paused = true;
  }

  readonly #onError = (error: Error): void => {
    if (this.#destroyed) return;
    const names = `${this.#network} ${this.localAddress}->${this.remoteAddress}`;
    this.#failure ??=
      tlsFailure(error) ??
      (this.#open ? netError(`connection ${names}`, error) : dialError(this.#dialling, error));
  };

  readonly #onClose = (): void => {
    const handler = this.#handler;
    const byUs = this.#destroyed && this.#failure === undefined;
    this.#drop();
    this.#closed = true;
    this.#handler = ignoring;
    handler.onClose(byUs ? undefined : this.#failure);
  };
}

/** Where a name has several addresses, Node tries them in turn and gives all failures: the last one counts. */
function dialError(dialling: string, error: Error): NetError {
  const tried = error instanceof AggregateError ? (error.errors as unknown[]) : [];
  const cause = (tried.at(-1) ?? error) as {
    readonly syscall?: unknown;
    readonly hostname?: unknown;
  };
  if (cause.syscall === "getaddrinfo") return netError(`dial tcp: lookup ${cause.hostname}`, cause);
  return netError(`${dialling}: connect`, cause);
}

let dirty: NodeConnection[] = [];
let spare: NodeConnection[] = [];

function flushDirty(): void {
  const connections = dirty;
  dirty = spare;
  for (let i = 0; i < connections.length; i++) (connections[i] as NodeConnection).flushQueued();
  connections.length = 0;
  spare = connections;
}

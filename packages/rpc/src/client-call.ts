// A call as its user sees it, from the moment it is made to its one end. It may wait for a connection,
// run on one (`ClientAttempt`), and move to another when the server says that it did not touch it.
//
//     waiting ──► running ──► ended
//        ▲           │ refused, or above the last stream of a GOAWAY
//        └───────────┘
//
// A stream can only move while all that it has sent is still at hand, and nothing has come back: both
// are bounded by `replayBytesMax`.

import type { Bytes } from "@etcd-ts/base";
import type { ClientAttempt } from "./client-attempt.ts";
import type {
  CallOptions,
  CancelSignal,
  ClientStream,
  ClientStreamHandler,
  UnaryHandler,
} from "./client-types.ts";
import type { DeadlineEntry, DeadlineWheel } from "./deadline-wheel.ts";
import { type Metadata, RpcError, Status } from "./status.ts";

const replayBytesMax = 256 << 10;
const noMetadata: Metadata = [];

/** What a call needs of its channel. */
export interface CallOwner {
  readonly wheel: DeadlineWheel;
  readonly sendBytesMax: number;
  soon(run: () => void): void;
  nowMs(): number;
  /** Makes an attempt, now or when there is a connection, or fails the call in a later turn. */
  submit(call: ClientCall): void;
}

export class ClientCall implements ClientStream, DeadlineEntry {
  readonly owner: CallOwner;
  readonly path: string;
  readonly metadata: Metadata;
  readonly waitForReady: boolean;
  readonly compress: boolean;
  /** Unary calls have one, streams the other. */
  readonly #unary: UnaryHandler | undefined;
  readonly #stream: ClientStreamHandler | undefined;
  readonly #tag: unknown;
  deadlineMs: number | undefined = undefined;
  wheelNext: DeadlineEntry | undefined = undefined;
  wheelPrevious: DeadlineEntry | undefined = undefined;
  wheelSlot = -1;
  ended = false;
  paused = false;
  /** The user was told to wait before there was an attempt. */
  wantsDrain = false;
  /** No more messages come from the user. */
  sendClosed = false;
  attempt: ClientAttempt | undefined = undefined;
  /** Times that a server refused it. */
  refusals = 0;
  /** Messages so far, for the next attempt; undefined when it cannot move any more. */
  sent: Bytes[] | undefined = [];
  #sentBytes = 0;
  /** The message of a unary answer. */
  #message: Bytes | undefined = undefined;
  #signal: CancelSignal | undefined = undefined;
  #onAbort: (() => void) | undefined = undefined;

  constructor(
    owner: CallOwner,
    path: string,
    options: CallOptions,
    unary: UnaryHandler | undefined,
    stream: ClientStreamHandler | undefined,
    tag: unknown,
  ) {
    this.owner = owner;
    this.path = path;
    this.metadata = options.metadata ?? noMetadata;
    this.waitForReady = options.waitForReady === true;
    this.compress = options.compress === true;
    this.#unary = unary;
    this.#stream = stream;
    this.#tag = tag;
  }

  get isUnary(): boolean {
    return this.#unary !== undefined;
  }

  /** `message` is that of a unary call. */
  start(options: CallOptions, message: Bytes | undefined): void {
    if (options.timeoutMs !== undefined) {
      this.deadlineMs = this.owner.nowMs() + options.timeoutMs;
      if (options.timeoutMs <= 0) {
        this.failSoon(Status.deadlineExceeded, "context deadline exceeded");
        return;
      }
      this.owner.wheel.add(this);
    }
    const { signal } = options;
    if (signal !== undefined) {
      if (signal.aborted) {
        this.failSoon(Status.cancelled, "context canceled");
        return;
      }
      this.#signal = signal;
      this.#onAbort = () => this.cancel();
      signal.addEventListener("abort", this.#onAbort);
    }
    if (message !== undefined) {
      if (message.length > this.owner.sendBytesMax) {
        this.#tooLarge(message);
        return;
      }
      this.sent!.push(message);
      this.sendClosed = true;
    }
    this.owner.submit(this);
  }

  // --- what the user does --------------------------------------------------------------------------

  send(message: Bytes): boolean {
    if (this.ended || this.sendClosed) return true;
    if (message.length > this.owner.sendBytesMax) {
      this.#tooLarge(message);
      return true;
    }
    if (this.sent !== undefined) {
      this.sent.push(message);
      this.#sentBytes += message.length + 64;
      if (this.attempt === undefined) {
        this.wantsDrain = this.#sentBytes > replayBytesMax;
        return !this.wantsDrain;
      }
      if (this.#sentBytes > replayBytesMax) this.sent = undefined;
    }
    return this.attempt!.send(message);
  }

  closeSend(): void {
    if (this.ended || this.sendClosed) return;
    this.sendClosed = true;
    this.attempt?.closeSend();
  }

  cancel(message = "context canceled"): void {
    if (this.ended) return;
    this.attempt?.abandon();
    this.end(new RpcError(Status.cancelled, message), noMetadata);
  }

  pause(): void {
    this.paused = true;
    this.attempt?.pause();
  }

  resume(): void {
    this.paused = false;
    this.attempt?.resume();
  }

  get queuedBytes(): number {
    if (this.attempt !== undefined) return this.attempt.queuedBytes;
    return this.sent === undefined ? 0 : this.#sentBytes;
  }

  // --- what its attempt says -----------------------------------------------------------------------

  onHeaders(metadata: Metadata): void {
    this.sent = undefined;
    this.#stream?.onHeaders?.(metadata);
  }

  onMessage(message: Bytes): void {
    if (this.#stream !== undefined) {
      this.#stream.onMessage(message);
    } else if (this.#message === undefined) {
      this.#message = message;
    } else {
      this.attempt?.abandon();
      this.end(
        new RpcError(Status.internal, "more than one message in a unary answer"),
        noMetadata,
      );
    }
  }

  onDrain(): void {
    if (!this.ended) this.#stream?.onDrain?.();
  }

  /** The one end. `error` undefined: OK. */
  end(error: RpcError | undefined, trailers: Metadata): void {
    if (this.ended) return;
    this.ended = true;
    this.attempt = undefined;
    this.sent = undefined;
    if (this.wheelSlot >= 0) this.owner.wheel.remove(this);
    if (this.#onAbort !== undefined) {
      this.#signal!.removeEventListener("abort", this.#onAbort);
      this.#onAbort = undefined;
    }
    if (this.#stream !== undefined) {
      this.#stream.onEnd(error, trailers);
      return;
    }
    let failure = error;
    if (failure === undefined && this.#message === undefined) {
      failure = new RpcError(Status.internal, "no message in a unary answer", trailers);
    }
    const message = failure === undefined ? this.#message : undefined;
    this.#unary!.onResult(failure, message, this.#tag);
  }

  onDeadline(): void {
    if (this.ended) return;
    this.attempt?.abandon();
    this.end(new RpcError(Status.deadlineExceeded, "context deadline exceeded"), noMetadata);
  }

  /** For failures that are found while the user's call is still on the stack. */
  failSoon(code: number, message: string): void {
    this.owner.soon(() => {
      this.attempt?.abandon();
      this.end(new RpcError(code, message), noMetadata);
    });
  }

  #tooLarge(message: Bytes): void {
    this.sendClosed = true;
    this.failSoon(
      Status.resourceExhausted,
      `trying to send message larger than max (${message.length} vs. ${this.owner.sendBytesMax})`,
    );
  }
}

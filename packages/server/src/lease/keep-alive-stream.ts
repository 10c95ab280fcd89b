// One LeaseKeepAlive stream. Requests are answered one by one in their order; one that has to wait (the
// lease is not applied here yet, it just expired, its checkpoint must go first, our leadership must be
// proved) holds back those behind it on the same stream, and nobody else.

import {
  decodeLeaseKeepAliveRequest,
  encodeLeaseKeepAliveResponse,
  LeaseKeepAliveResponse,
} from "@etcd-ts/api";
import type { Bytes } from "@etcd-ts/base";
import type { ServerCall, StreamHandler } from "@etcd-ts/rpc";
import { catalogue } from "../errors.ts";
import { type Refusal, undecodableInStream } from "../refusals.ts";
import type { LeaseAuthority } from "./authority.ts";

/** Requests of one stream that may wait; a client that sends more without reading is held back. */
const waitingMax = 1000;

export class KeepAliveStream implements StreamHandler {
  readonly #call: ServerCall;
  readonly #authority: LeaseAuthority;
  readonly #onClose: (stream: KeepAliveStream) => void;
  /** Lease ids in the order of their requests; the first one is being worked on. */
  #waiting: bigint[] = [];
  #working = false;
  /** `#workOff` is on the stack: an answer that comes at once must not call it again from inside. */
  #isWorkingOff = false;
  #halfClosed = false;
  #closed = false;
  #paused = false;
  #blocked = false;

  constructor(
    call: ServerCall,
    authority: LeaseAuthority,
    onClose: (stream: KeepAliveStream) => void,
  ) {
    this.#call = call;
    this.#authority = authority;
    this.#onClose = onClose;
  }

  onMessage(message: Bytes): void {
    if (this.#closed) return;
    let id: bigint;
    try {
      id = decodeLeaseKeepAliveRequest(message).id;
    } catch (error) {
      this.#fail(undecodableInStream((error as Error).message));
      return;
    }
    this.#waiting.push(id);
    if (!this.#working) this.#workOff();
    this.#holdBack();
  }

  onHalfClose(): void {
    this.#halfClosed = true;
    this.#finishWhenDone();
  }

  onCancel(): void {
    this.#close();
  }

  onDrain(): void {
    this.#blocked = false;
    this.#holdBack();
    if (!this.#working) this.#workOff();
  }

  /** The server stops. */
  stop(): void {
    this.#fail(catalogue.stopped);
  }

  #workOff(): void {
    if (this.#isWorkingOff) return;
    this.#isWorkingOff = true;
    while (!this.#closed && !this.#blocked && !this.#working && this.#waiting.length > 0) {
      const id = this.#waiting[0] as bigint;
      const answer = this.#authority.renewNow(id);
      if (answer === undefined) {
        this.#working = true;
        this.#authority.renewLater(id, this.#answered, this.#isClosed);
      } else {
        this.#waiting.shift();
        this.#send(id, answer.ttlSeconds, answer.revision);
      }
    }
    this.#isWorkingOff = false;
    this.#finishWhenDone();
  }

  readonly #isClosed = (): boolean => this.#closed;

  readonly #answered = (result: { ttlSeconds: number; revision: number } | Refusal): void => {
    this.#working = false;
    if (this.#closed) return;
    if ("code" in result) {
      this.#fail(result);
      return;
    }
    this.#send(this.#waiting.shift() as bigint, result.ttlSeconds, result.revision);
    this.#workOff();
    this.#holdBack();
  };

  #send(id: bigint, ttlSeconds: number, revision: number): void {
    const response = new LeaseKeepAliveResponse();
    response.header = this.#authority.header(revision);
    response.id = id;
    response.ttl = ttlSeconds;
    if (!this.#call.send(encodeLeaseKeepAliveResponse(response))) this.#blocked = true;
  }

  #holdBack(): void {
    const wanted = this.#blocked || this.#waiting.length >= waitingMax;
    if (wanted === this.#paused || this.#closed) return;
    this.#paused = wanted;
    if (wanted) this.#call.pause();
    else this.#call.resume();
  }

  #finishWhenDone(): void {
    if (!this.#halfClosed || this.#closed || this.#waiting.length > 0) return;
    this.#close();
    this.#call.finish();
  }

  #fail(refusal: Refusal): void {
    if (this.#closed) return;
    this.#close();
    this.#call.fail(refusal.code, refusal.message);
  }

  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#waiting = [];
    this.#onClose(this);
  }
}

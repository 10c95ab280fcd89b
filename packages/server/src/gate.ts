// The checks before every call, in etcd's order:
//
//     1  capability   the cluster version is known                    else "not capable"
//     2  learner      only what a learner may serve                   else "rpc not supported for learner"
//     3  api version  metadata `client-api-version` is UTF-8          else "invalid client api version"
//     4  leader       metadata `hasleader: true` and there is one     else "no leader"
//
// Streams that asked for a leader are watched: after three checks without one, an election timeout apart,
// they end with the same error.

import { type Host, type Timer, WireError } from "@etcd-ts/base";
import type { ServerCall, StreamHandler, StreamMethod, UnaryMethod } from "@etcd-ts/rpc";
import { catalogue } from "./errors.ts";
import { LabelledCounts } from "./metric-types.ts";
import { type Refusal, undecodableInStream } from "./refusals.ts";

/** What the gate looks at. */
export interface GateState {
  /** "" while it is not known. */
  readonly clusterVersion: string;
  readonly isLearner: boolean;
  /** 0n: unknown. */
  readonly leaderId: bigint;
}

const checksWithoutLeaderMax = 3;

/** What of a call's kind a learner serves: nothing, everything, or what the predicate says. */
export type LearnerRule = "refused" | "served" | ((message: Uint8Array) => boolean);

class LeaderWatch {
  readonly call: ServerCall;
  readonly handler: StreamHandler;
  checksWithout = 0;

  constructor(call: ServerCall, handler: StreamHandler) {
    this.call = call;
    this.handler = handler;
  }
}

export class CallGate {
  readonly #host: Host;
  readonly #state: GateState;
  readonly #electionMs: number;
  readonly #watches: Set<LeaderWatch> = new Set();
  #timer: Timer | undefined;
  /** By type and client api version. */
  readonly clientRequests: LabelledCounts = new LabelledCounts(2, 64);
  // The usual case, one version for all, must not join strings: it counts here until it changes.
  #lastVersion: string | undefined = "";
  #lastUnaryCount = 0;
  #lastStreamCount = 0;

  constructor(host: Host, state: GateState, electionMs: number) {
    this.#host = host;
    this.#state = state;
    this.#electionMs = electionMs;
  }

  unary(
    handle: (call: ServerCall, message: Uint8Array) => void,
    learner: LearnerRule = "refused",
  ): UnaryMethod {
    return {
      kind: "unary",
      handle: (call, message) => {
        const allowed = learner === "served" || (learner !== "refused" && learner(message));
        const refusal = this.#check(call, allowed, true);
        if (refusal === undefined) handle(call, message);
        else call.fail(refusal.code, refusal.message);
      },
    };
  }

  stream(
    type: StreamMethod["type"],
    open: (call: ServerCall) => StreamHandler,
    learner: "refused" | "served" = "refused",
  ): StreamMethod {
    return {
      kind: "stream",
      type,
      open: (call) => {
        const refusal = this.#check(call, learner === "served", false);
        if (refusal !== undefined) {
          call.fail(refusal.code, refusal.message);
          return ignoreStream;
        }
        const handler = new DecodingHandler(call, open(call));
        if (call.metadata("hasleader") === "true") this.#watch(call, handler);
        return handler;
      },
    };
  }

  /** Makes the counts complete before they are read. */
  settleCounts(): void {
    const label = this.#lastVersion ?? "unknown";
    if (this.#lastUnaryCount > 0) this.clientRequests.add(this.#lastUnaryCount, "unary", label);
    if (this.#lastStreamCount > 0) this.clientRequests.add(this.#lastStreamCount, "stream", label);
    this.#lastUnaryCount = 0;
    this.#lastStreamCount = 0;
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#watches.clear();
  }

  #check(call: ServerCall, learnerServes: boolean, isUnary: boolean): Refusal | undefined {
    const state = this.#state;
    if (state.clusterVersion === "") return catalogue.notCapable;
    if (state.isLearner && !learnerServes) return catalogue.notSupportedForLearner;
    const version = call.metadata("client-api-version");
    if (version !== this.#lastVersion) {
      if (version !== undefined && !isUtf8(version)) return catalogue.invalidClientApiVersion;
      this.settleCounts();
      this.#lastVersion = version;
    }
    if (isUnary) this.#lastUnaryCount++;
    else this.#lastStreamCount++;
    if (state.leaderId === 0n && call.metadata("hasleader") === "true") return catalogue.noLeader;
    return undefined;
  }

  #watch(call: ServerCall, handler: StreamHandler): void {
    this.#watches.add(new LeaderWatch(call, handler));
    this.#timer ??= this.#host.timers.after(this.#electionMs, this.#checkLeader);
  }

  readonly #checkLeader = (): void => {
    this.#timer = undefined;
    const hasLeader = this.#state.leaderId !== 0n;
    for (const watch of this.#watches) {
      if (watch.call.ended) {
        this.#watches.delete(watch);
      } else if (hasLeader) {
        watch.checksWithout = 0;
      } else if (++watch.checksWithout >= checksWithoutLeaderMax) {
        this.#watches.delete(watch);
        watch.call.fail(catalogue.noLeader.code, catalogue.noLeader.message);
        // The transport tells nothing of an end that the server chose; the service must let go too.
        watch.handler.onCancel();
      }
    }
    if (this.#watches.size > 0) {
      this.#timer = this.#host.timers.after(this.#electionMs, this.#checkLeader);
    }
  };
}

/** A message that cannot be decoded ends its stream, whatever the service. */
class DecodingHandler implements StreamHandler {
  readonly #call: ServerCall;
  readonly #inner: StreamHandler;

  constructor(call: ServerCall, inner: StreamHandler) {
    this.#call = call;
    this.#inner = inner;
  }

  onMessage(message: Uint8Array): void {
    try {
      this.#inner.onMessage(message);
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      const refusal = undecodableInStream(error.message);
      this.#call.fail(refusal.code, refusal.message);
      this.#inner.onCancel();
    }
  }

  onHalfClose(): void {
    this.#inner.onHalfClose();
  }

  onCancel(): void {
    this.#inner.onCancel();
  }

  onDrain(): void {
    this.#inner.onDrain();
  }
}

/** For a call that was refused before it began. */
export const ignoreStream: StreamHandler = {
  onMessage() {},
  onHalfClose() {},
  onCancel() {},
  onDrain() {},
};

/** Whether latin1 text, one char per byte, is valid UTF-8. */
export function isUtf8(latin1: string): boolean {
  for (let i = 0; i < latin1.length; ) {
    const first = latin1.charCodeAt(i);
    if (first < 0x80) {
      i++;
      continue;
    }
    const extra = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : 1;
    if (first < 0xc2 || first > 0xf4) return false;
    for (let k = 1; k <= extra; k++) {
      const next = latin1.charCodeAt(i + k);
      if (!(next >= 0x80 && next <= 0xbf)) return false;
      if (k === 1) {
        if (first === 0xe0 && next < 0xa0) return false;
        if (first === 0xed && next > 0x9f) return false;
        if (first === 0xf0 && next < 0x90) return false;
        if (first === 0xf4 && next > 0x8f) return false;
      }
    }
    i += extra + 1;
  }
  return true;
}

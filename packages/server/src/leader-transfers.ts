// MoveLeader: raft is asked, and the caller is answered when this member sees the new leader, which it looks
// for every heartbeat interval. There is no limit but the caller's own.

import type { Host, Timer } from "@etcd-ts/base";
import type { ServerCall } from "@etcd-ts/rpc";
import { catalogue } from "./errors.ts";
import type { Replica } from "./replica.ts";

interface Transfer {
  readonly call: ServerCall;
  readonly target: bigint;
  readonly done: () => void;
}

export class LeaderTransfers {
  readonly #host: Host;
  readonly #replica: Replica;
  readonly #heartbeatMs: number;
  readonly #waiting: Set<Transfer> = new Set();
  #timer: Timer | undefined;

  constructor(host: Host, replica: Replica, heartbeatMs: number) {
    this.#host = host;
    this.#replica = replica;
    this.#heartbeatMs = heartbeatMs;
  }

  begin(call: ServerCall, target: bigint, done: () => void): void {
    if (this.#replica.leader === target) {
      done();
      return;
    }
    const transfer: Transfer = { call, target, done };
    this.#waiting.add(transfer);
    call.onCancel = () => {
      this.#waiting.delete(transfer);
    };
    this.#replica.transferLeader(target);
    this.#timer ??= this.#host.timers.after(this.#heartbeatMs, this.#look);
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    const { code, message } = catalogue.stopped;
    for (const { call } of this.#waiting) call.fail(code, message);
    this.#waiting.clear();
  }

  readonly #look = (): void => {
    this.#timer = undefined;
    for (const transfer of this.#waiting) {
      if (this.#replica.leader !== transfer.target) continue;
      this.#waiting.delete(transfer);
      transfer.done();
    }
    if (this.#waiting.size > 0) {
      this.#timer = this.#host.timers.after(this.#heartbeatMs, this.#look);
    }
  };
}

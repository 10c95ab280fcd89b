// MoveLeader: raft is asked, and the caller is answered when this member sees the new leader, which it looks
// for every heartbeat interval. There is no limit but the caller's own deadline; when that comes, etcd answers
// with a text of its own, so we do just before the transport would with its. (A client that minds its
// deadline itself sees neither.)

import type { Host, Timer } from "@etcd-ts/base";
import type { ServerCall } from "@etcd-ts/rpc";
import { catalogue } from "./errors.ts";
import type { Replica } from "./replica.ts";

interface Transfer {
  readonly call: ServerCall;
  readonly target: bigint;
  readonly done: () => void;
  /** For the caller's deadline. */
  deadline: Timer | undefined;
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
    const { clock, timers } = this.#host;
    const transfer: Transfer = { call, target, done, deadline: undefined };
    this.#waiting.add(transfer);
    call.onCancel = () => this.#forget(transfer);
    if (call.deadlineMs !== undefined) {
      const leftMs = Math.max(0, call.deadlineMs - clock.monotonicMs());
      transfer.deadline = timers.after(Math.floor(leftMs), () => {
        this.#forget(transfer);
        const { code, message } = catalogue.leaderTransferTimeout;
        call.fail(code, message);
      });
    }
    this.#replica.transferLeader(target);
    this.#timer ??= timers.after(this.#heartbeatMs, this.#look);
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    const { code, message } = catalogue.stopped;
    for (const transfer of this.#waiting) {
      this.#forget(transfer);
      transfer.call.fail(code, message);
    }
  }

  #forget(transfer: Transfer): void {
    transfer.deadline?.cancel();
    this.#waiting.delete(transfer);
  }

  readonly #look = (): void => {
    this.#timer = undefined;
    for (const transfer of this.#waiting) {
      if (this.#replica.leader !== transfer.target) continue;
      this.#forget(transfer);
      transfer.done();
    }
    if (this.#waiting.size > 0) {
      this.#timer = this.#host.timers.after(this.#heartbeatMs, this.#look);
    }
  };
}

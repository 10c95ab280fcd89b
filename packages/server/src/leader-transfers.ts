// Handing leadership over: when a client asks for it (MoveLeader), and before this member stops.
//
// MoveLeader: raft is asked, and the caller is answered when this member sees the new leader, which it looks
// for every heartbeat interval. There is no limit but the caller's own deadline; when that comes, etcd answers
// with a text of its own, so we do just before the transport would with its. (A client that minds its
// deadline itself sees neither.)

import type { Host, Timer } from "@etcd-ts/base";
import type { ServerCall } from "@etcd-ts/rpc";
import { durationText } from "./duration-text.ts";
import { catalogue } from "./errors.ts";
import { hexId } from "./ids.ts";
import type { Refusal } from "./refusals.ts";
import type { Replica } from "./replica.ts";

interface Transfer {
  readonly target: bigint;
  readonly done: () => void;
  readonly failed: (refusal: Refusal) => void;
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
    const failed = ({ code, message }: Refusal) => call.fail(code, message);
    const { clock } = this.#host;
    const leftMs =
      call.deadlineMs === undefined
        ? undefined
        : Math.max(0, Math.floor(call.deadlineMs - clock.monotonicMs()));
    const transfer = this.#begin(target, leftMs, done, failed);
    call.onCancel = () => this.#forget(transfer);
  }

  /** To the best successor, before this member stops. Resolves when that leads, nobody does, or it took too long. */
  handOver(memberId: bigint, timeoutMs: number): Promise<void> {
    const { log, clock } = this.#host;
    const target = this.#replica.successor();
    if (target === undefined) {
      log.warn("leadership transfer failed", {
        "local-member-id": hexId(memberId),
        error: catalogue.unhealthy.message,
      });
      return Promise.resolve();
    }
    const startMs = clock.monotonicMs();
    log.info("leadership transfer starting", {
      "local-member-id": hexId(memberId),
      "current-leader-member-id": hexId(memberId),
      "transferee-member-id": hexId(target),
    });
    return new Promise((resolve) => {
      const done = () => {
        log.info("leadership transfer finished", {
          "local-member-id": hexId(memberId),
          "old-leader-member-id": hexId(memberId),
          "new-leader-member-id": hexId(target),
          took: durationText(clock.monotonicMs() - startMs),
        });
        resolve();
      };
      this.#begin(target, timeoutMs, done, ({ message }) => {
        log.warn("leadership transfer failed", {
          "local-member-id": hexId(memberId),
          error: message,
        });
        resolve();
      });
    });
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    for (const transfer of this.#waiting) {
      this.#forget(transfer);
      transfer.failed(catalogue.stopped);
    }
  }

  #begin(
    target: bigint,
    timeoutMs: number | undefined,
    done: () => void,
    failed: (refusal: Refusal) => void,
  ): Transfer {
    const transfer: Transfer = { target, done, failed, deadline: undefined };
    if (this.#replica.leader === target) {
      done();
      return transfer;
    }
    const { timers } = this.#host;
    this.#waiting.add(transfer);
    if (timeoutMs !== undefined) {
      transfer.deadline = timers.after(timeoutMs, () => {
        this.#forget(transfer);
        failed(catalogue.leaderTransferTimeout);
      });
    }
    this.#replica.transferLeader(target);
    this.#timer ??= timers.after(this.#heartbeatMs, this.#look);
    return transfer;
  }

  #forget(transfer: Transfer): void {
    transfer.deadline?.cancel();
    this.#waiting.delete(transfer);
  }

  readonly #look = (): void => {
    this.#timer = undefined;
    for (const transfer of this.#waiting) {
      if (this.#replica.leader === transfer.target) {
        this.#forget(transfer);
        transfer.done();
      }
    }
    if (this.#waiting.size > 0) {
      this.#timer = this.#host.timers.after(this.#heartbeatMs, this.#look);
    }
  };
}

// When this member should not lead any longer, and to whom it hands over. Beside clients who ask for it and a
// stop in good order (`leader-transfers.ts`) there are two reasons:
//
// - The disk under its log hangs (`disk-watch.ts`). It hands over, and after another election timeout it
//   steps down whoever leads then; and as long as the disk hangs it does not stand for election.
// - It is to be removed from the cluster. It hands over before it proposes that: once removed it could take
//   no proposals any more, and would not hear who leads after it.

import type { Log } from "@etcd-ts/base";
import { Message, MessageType, type RawNode, type Status } from "@etcd-ts/raft";
import type { DiskWatch } from "./disk-watch.ts";
import { hexId } from "./ids.ts";

export interface HandOverParts {
  readonly log: Log;
  readonly id: bigint;
  readonly raft: RawNode;
  readonly disk: DiskWatch;
  readonly electionMs: number;
  /** See `PeerTransport`. */
  readonly activeSinceMs: (id: bigint) => number | undefined;
}

export class HandOver {
  readonly #parts: HandOverParts;
  /** Monotonic ms of the attempt because the disk hangs; 0: there is none. */
  #hungMs = 0;
  /** Monotonic ms of the attempt because this member is to be removed; 0: there is none. */
  #removalMs = 0;

  constructor(parts: HandOverParts) {
    this.#parts = parts;
  }

  /** The voter to which leadership can be handed over with the least delay, if there is one that works. */
  successor(): bigint | undefined {
    return bestSuccessor(this.#parts.raft.status(), this.#parts.activeSinceMs);
  }

  /**
   * With every tick; whether raft's clock may go on. Without it nobody stands for election. A leader's goes
   * on in any case: its heartbeats keep the others quiet until one of them leads.
   */
  tick(nowMs: number, isLeader: boolean): boolean {
    const { disk } = this.#parts;
    disk.tick();
    const { isHung } = disk;
    if (isHung && isLeader) this.#yield(nowMs);
    else this.#hungMs = 0;
    return !isHung || isLeader;
  }

  /**
   * By a leader, before it proposes its own removal: true while another one may be about to take over; then
   * ask again with the next tick.
   */
  beforeRemoval(nowMs: number): boolean {
    if (this.#removalMs !== 0) return nowMs - this.#removalMs < this.#parts.electionMs;
    const target = this.successor();
    if (target === undefined) return false;
    this.#removalMs = nowMs;
    this.#parts.raft.transferLeader(target);
    return true;
  }

  leaderChanged(): void {
    this.#removalMs = 0;
  }

  #yield(nowMs: number): void {
    const { raft, log, disk, id, electionMs, activeSinceMs } = this.#parts;
    const status = raft.status();
    if (status.configuration.incoming.length < 2) return;
    const fields = {
      "local-member-id": hexId(id),
      "waiting-ticks": disk.waitedTicks,
    };
    if (this.#hungMs === 0) {
      this.#hungMs = nowMs;
      const target = bestSuccessor(status, activeSinceMs);
      log.warn("the disk of the log does not answer; handing leadership over", {
        ...fields,
        "transferee-member-id": target === undefined ? "none" : hexId(target),
      });
      if (target !== undefined) raft.transferLeader(target);
    } else if (nowMs - this.#hungMs >= electionMs) {
      log.warn("the disk of the log does not answer; stepping down", fields);
      // To enter a higher term is always safe, and no leader survives it.
      const message = new Message();
      message.type = MessageType.MsgAppResp;
      message.from = id;
      message.to = id;
      message.term = status.term + 1;
      raft.step(message);
    }
  }
}

/**
 * A voter that works: the one with the most of our log first, since a transfer waits until the target has
 * all of it; of equals the one that has been connected for the longest time.
 */
function bestSuccessor(
  status: Status,
  activeSinceMs: (id: bigint) => number | undefined,
): bigint | undefined {
  let best: { readonly id: bigint; readonly match: number; readonly sinceMs: number } | undefined;
  for (const [id, { match, isLearner }] of status.progress) {
    const sinceMs = activeSinceMs(id);
    if (id === status.id || isLearner || sinceMs === undefined) continue;
    const isBetter =
      best === undefined || match > best.match || (match === best.match && sinceMs < best.sinceMs);
    if (isBetter) best = { id, match, sinceMs };
  }
  return best?.id;
}

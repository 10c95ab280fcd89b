// What an applied membership change means outside of the machine: links to peers, and etcd's log lines.

import type { Host, Timer } from "@etcd-ts/base";
import type { ConfChangeOutcome } from "@etcd-ts/machine";
import { hexId } from "./ids.ts";
import type { PeerTransport } from "./peer-transport.ts";

const removedStopMs = 1000;
const unlinkMs = 1000;

export interface EffectParts {
  readonly host: Host;
  readonly memberId: bigint;
  readonly clusterId: bigint;
  readonly transport: PeerTransport;
  /** This member is no longer one, and may lead. */
  leaveLeadership(): void;
  /** This member is no longer one; called a moment after the change is applied. */
  onRemoved(): void;
}

export class MembershipEffects {
  readonly #parts: EffectParts;
  readonly #timers: Set<Timer> = new Set();

  constructor(parts: EffectParts) {
    this.#parts = parts;
  }

  stop(): void {
    for (const timer of this.#timers) timer.cancel();
    this.#timers.clear();
  }

  #later(delayMs: number, run: () => void): void {
    const timer = this.#parts.host.timers.after(delayMs, () => {
      this.#timers.delete(timer);
      run();
    });
    this.#timers.add(timer);
  }

  applied({ kind, member }: ConfChangeOutcome): void {
    if (kind === "none" || member === undefined) return;
    const { host, memberId, clusterId, transport } = this.#parts;
    const isSelf = member.id === memberId;
    const id = hexId(member.id);
    const log = (message: string, more: Record<string, unknown>) =>
      host.log.info(message, {
        "cluster-id": hexId(clusterId),
        "local-member-id": hexId(memberId),
        ...more,
      });
    switch (kind) {
      case "added":
        if (!isSelf) transport.addPeer(member.id, member.peerUrls);
        log("added member", {
          "added-peer-id": id,
          "added-peer-peer-urls": member.peerUrls,
          "added-peer-is-learner": member.isLearner,
        });
        break;
      case "promoted":
        log("promote member", { "promoted-member-id": id });
        break;
      case "updated":
        if (!isSelf) transport.updatePeer(member.id, member.peerUrls);
        log("updated member", {
          "updated-remote-peer-id": id,
          "updated-remote-peer-urls": member.peerUrls,
        });
        break;
      case "removed":
        if (!isSelf) {
          // It should hear first that the change is committed, which is on its way at this moment.
          this.#later(unlinkMs, () => transport.removePeer(member.id));
          log("removed member", { "removed-remote-peer-id": id });
          break;
        }
        host.log.warn("the member has been permanently removed from the cluster");
        this.#parts.leaveLeadership();
        this.#later(removedStopMs, () => this.#parts.onRemoved());
        break;
      default:
        kind satisfies never;
    }
  }
}

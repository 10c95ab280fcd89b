// The way to the other members, as the replica loop sees it. A member without peers has nobody to send to;
// links to real peers implement the same interface.

import type { Message } from "@etcd-ts/raft";
import type { PeerSeams } from "./peers/seams.ts";

export interface PeerTransport {
  /** The member is there; before the first `addPeer`. */
  start(seams: PeerSeams): void;
  /** Sends at some time, or drops: raft repeats what matters. Must not call back from inside. */
  send(message: Message): void;
  addPeer(id: bigint, peerUrls: readonly string[]): void;
  updatePeer(id: bigint, peerUrls: readonly string[]): void;
  removePeer(id: bigint): void;
  /** A member known by its URLs alone, until it is a peer: only messages to it, one by one. */
  addRemote(id: bigint, peerUrls: readonly string[]): void;
  /** Entries that a peer will need behind a snapshot that is under way: the log is not shortened meanwhile. */
  readonly holdsLog: boolean;
  /** Monotonic ms since when this peer has been connected without a break; undefined when it is not. */
  activeSinceMs(id: bigint): number | undefined;
  stop(): void;
}

/** For a member on its own: whoever it is told of is never reached. */
export class NoPeers implements PeerTransport {
  readonly holdsLog: boolean = false;
  start(_seams: PeerSeams): void {}
  send(_message: Message): void {
    // Nobody listens; a message to an unreachable peer is lost, as on any network.
  }
  addPeer(_id: bigint, _peerUrls: readonly string[]): void {}
  updatePeer(_id: bigint, _peerUrls: readonly string[]): void {}
  removePeer(_id: bigint): void {}
  addRemote(_id: bigint, _peerUrls: readonly string[]): void {}
  activeSinceMs(_id: bigint): number | undefined {
    return undefined;
  }
  stop(): void {}
}

// A transport that hands everything on to another one. Whoever wants to meddle with messages overrides `send`.

import type { Message } from "@etcd-ts/raft";
import type { PeerSeams, PeerTransport } from "@etcd-ts/server";

export class TransportRelay implements PeerTransport {
  readonly inner: PeerTransport;
  seams: PeerSeams | undefined;
  isStopped = false;

  constructor(inner: PeerTransport) {
    this.inner = inner;
  }

  start(seams: PeerSeams): void {
    this.seams = seams;
    this.inner.start(seams);
  }

  send(message: Message): void {
    this.inner.send(message);
  }

  addPeer(id: bigint, peerUrls: readonly string[]): void {
    this.inner.addPeer(id, peerUrls);
  }

  updatePeer(id: bigint, peerUrls: readonly string[]): void {
    this.inner.updatePeer(id, peerUrls);
  }

  removePeer(id: bigint): void {
    this.inner.removePeer(id);
  }

  addRemote(id: bigint, peerUrls: readonly string[]): void {
    this.inner.addRemote(id, peerUrls);
  }

  get holdsLog(): boolean {
    return this.inner.holdsLog;
  }

  activeSinceMs(id: bigint): number | undefined {
    return this.inner.activeSinceMs(id);
  }

  stop(): void {
    this.isStopped = true;
    this.inner.stop();
  }
}

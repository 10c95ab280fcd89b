// The links of one member to all others: etcd's peer protocol ("rafthttp"), both sides of it.
//
//     PeerLinks ─┬─ Peer (one for each other member)       streams, pipeline, snapshots, probes
//                ├─ Remote (a member known by its URLs)    pipeline
//                └─ PeerServer (at the peer listener)      streams, messages, snapshots, side endpoints
//
// The links exist before their member does, since the listener must be open before anybody may find the
// member in the cluster: `accept` may be used at once and answers 503 until `start`.

import type { TlsClientOptions } from "@etcd-ts/base";
import { assert, type Connection, type ConnectionHandler, type Host } from "@etcd-ts/base";
import type { Message } from "@etcd-ts/raft";
import { Http1Server, type ServerExchange, type ServerExchangeHandler } from "@etcd-ts/rpc/http1";
import { serverVersion } from "../config.ts";
import { hexId } from "../ids.ts";
import type { MetricFamily } from "../metric-types.ts";
import type { PeerTransport } from "../peer-transport.ts";
import { idleMs, type LinkContext } from "./link-context.ts";
import { Peer, Remote } from "./peer.ts";
import { noBody, PeerAnswering } from "./peer-answers.ts";
import { answerFields } from "./peer-headers.ts";
import { PeerMetrics } from "./peer-metrics.ts";
import { PeerServer } from "./peer-server.ts";
import type { PeerSeams } from "./seams.ts";
import { SideEndpoints } from "./side-endpoints.ts";
import { EntryFrames } from "./stream-codecs.ts";
import { parseVersion } from "./versions.ts";

export interface PeerLinksOptions {
  readonly host: Host;
  /** As this member advertises them. */
  readonly peerUrls: readonly string[];
  readonly electionMs: number;
  /** How long a connection may be silent, and take nothing; five seconds when absent. */
  readonly readIdleMs?: number;
  readonly writeIdleMs?: number;
  /** For `https` peers: certificate, CA, … */
  readonly clientTls?: TlsClientOptions;
  /** `M.m.p`; what this member is in the eyes of others. */
  readonly serverVersion?: string;
}

const snapshotCountMax = 16;
/** The log is not compacted for so long after a snapshot was sent: its receiver needs what comes behind it. */
const snapshotGraceMs = 30_000;
const remoteCountMax = 64;

export class PeerLinks implements PeerTransport {
  readonly #options: PeerLinksOptions;
  readonly #server: Http1Server;
  readonly #peers: Map<bigint, Peer> = new Map();
  readonly #remotes: Map<bigint, Remote> = new Map();
  readonly #unreachable: Set<bigint> = new Set();
  readonly metrics: PeerMetrics = new PeerMetrics();
  #context: LinkContext | undefined;
  #peerServer: PeerServer | undefined;
  #snapshotCount = 0;
  #lastSnapshotMs = Number.NEGATIVE_INFINITY;
  #removed = false;
  #stopped = false;

  constructor(options: PeerLinksOptions) {
    assert(
      parseVersion(options.serverVersion ?? serverVersion) !== undefined,
      "the announced version is three numbers",
    );
    this.#options = options;
    this.#server = new Http1Server({
      host: options.host,
      timeouts: {
        readIdleMs: options.readIdleMs ?? idleMs,
        writeIdleMs: options.writeIdleMs ?? idleMs,
      },
      handle: (exchange) => this.#handle(exchange),
      onMalformed: (error, remoteAddress) => {
        options.host.log.warn("rejected connection on peer endpoint", {
          "remote-addr": remoteAddress,
          error: error.message,
        });
      },
    });
  }

  /** The member is there. Before peers are added. */
  start(seams: PeerSeams): void {
    assert(this.#context === undefined, "the links are started once");
    const { host, peerUrls, electionMs, clientTls } = this.#options;
    const version = this.#options.serverVersion ?? serverVersion;
    const { memberId, clusterId } = seams;
    const own = { memberId, clusterId, serverVersion: version, peerUrls };
    const context: LinkContext = {
      host,
      log: host.log.named("rafthttp"),
      seams,
      own,
      dialTimeoutMs: 1000 + electionMs,
      readIdleMs: this.#options.readIdleMs ?? idleMs,
      writeIdleMs: this.#options.writeIdleMs ?? idleMs,
      clientTls,
      metrics: this.metrics,
      frames: new EntryFrames(),
      unreachable: (id) => this.#reportUnreachable(id),
      removed: () => this.#reportRemoved(),
    };
    const answering = new PeerAnswering(answerFields(own));
    const side = new SideEndpoints({
      clock: host.clock,
      answering,
      answers: seams.answers,
      clusterId,
      serverVersion: version,
    });
    const directory = {
      peer: (id: bigint) => this.#peers.get(id),
      addRemote: (id: bigint, urls: readonly string[]) => this.addRemote(id, urls),
    };
    this.#context = context;
    this.#peerServer = new PeerServer(context, directory, answering, side);
  }

  /** For the peer listener's `ListenOptions.accept`. */
  accept(connection: Connection): ConnectionHandler {
    return this.#server.attach(connection);
  }

  // --- PeerTransport ----------------------------------------------------------------------------------

  send(message: Message): void {
    if (this.#stopped) return;
    const peer = this.#peers.get(message.to);
    if (peer !== undefined) peer.send(message);
    else this.#remotes.get(message.to)?.send(message); // to a removed member: lost
  }

  addPeer(id: bigint, peerUrls: readonly string[]): void {
    const context = this.#context;
    assert(context !== undefined, "the links are started before peers are added");
    if (this.#stopped || id === context.own.memberId || this.#peers.has(id)) return;
    this.#remotes.get(id)?.stop();
    this.#remotes.delete(id);
    const owner = {
      mayBeginSnapshot: () => this.#snapshotCount < snapshotCountMax,
      snapshotBegan: () => {
        this.#snapshotCount++;
      },
      snapshotEnded: () => {
        this.#snapshotCount--;
        this.#lastSnapshotMs = context.host.clock.monotonicMs();
      },
    };
    this.#peers.set(id, new Peer(context, owner, id, peerUrls));
    this.metrics.knownPeers.set(1, hexId(context.own.memberId), hexId(id));
  }

  /** A member that is not (yet) one in our view: only messages to it, one by one. */
  addRemote(id: bigint, peerUrls: readonly string[]): void {
    const context = this.#context;
    assert(context !== undefined, "the links are started before remotes are added");
    if (this.#stopped || id === context.own.memberId || this.#peers.has(id)) return;
    if (this.#remotes.has(id)) return;
    const oldest = this.#remotes.keys().next();
    if (this.#remotes.size >= remoteCountMax && !oldest.done) {
      this.#remotes.get(oldest.value)?.stop();
      this.#remotes.delete(oldest.value);
    }
    this.#remotes.set(id, new Remote(context, id, peerUrls));
  }

  updatePeer(id: bigint, peerUrls: readonly string[]): void {
    this.#peers.get(id)?.urls.update(peerUrls);
  }

  removePeer(id: bigint): void {
    const peer = this.#peers.get(id);
    if (peer === undefined) return;
    this.#peers.delete(id);
    peer.stop();
    this.metrics.knownPeers.set(0, hexId(this.#context!.own.memberId), hexId(id));
  }

  activeSinceMs(id: bigint): number | undefined {
    return this.#peers.get(id)?.status.activeSinceMs;
  }

  /** Everything ends; nothing is reported any more. The listener is somebody else's. */
  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    for (const peer of this.#peers.values()) peer.stop();
    for (const remote of this.#remotes.values()) remote.stop();
    this.#server.stop();
    this.#unreachable.clear();
  }

  // --- for the member ---------------------------------------------------------------------------------

  /** Entries that a peer will need behind a snapshot must stay in the log. */
  get holdsLog(): boolean {
    const { clock } = this.#options.host;
    return this.#snapshotCount > 0 || clock.monotonicMs() - this.#lastSnapshotMs < snapshotGraceMs;
  }

  /** Both streams each way are up. */
  isFullyConnected(id: bigint): boolean {
    return this.#peers.get(id)?.isFullyConnected ?? false;
  }

  metricFamilies(): readonly MetricFamily[] {
    return this.metrics.families(() => this.#refreshMetrics());
  }

  // --- inside -----------------------------------------------------------------------------------------

  #handle(exchange: ServerExchange): ServerExchangeHandler {
    if (this.#peerServer === undefined) {
      // Without a version on the answer a stock member that dials would not even look at the status.
      const version = this.#options.serverVersion ?? serverVersion;
      exchange.respond(503, [["X-Server-Version", version]]);
      return noBody;
    }
    return this.#peerServer.handle(exchange);
  }

  /** Raft hears of it once a turn, from the event loop. */
  #reportUnreachable(id: bigint): void {
    if (this.#stopped) return;
    if (this.#unreachable.size === 0) {
      this.#options.host.timers.soon(() => {
        const ids = [...this.#unreachable];
        this.#unreachable.clear();
        if (this.#stopped) return;
        for (const unreachable of ids) this.#context!.seams.reportUnreachable(unreachable);
      });
    }
    this.#unreachable.add(id);
  }

  #reportRemoved(): void {
    if (this.#removed) return;
    this.#removed = true;
    this.#options.host.timers.soon(() => {
      if (!this.#stopped) this.#context!.seams.removedFromCluster();
    });
  }

  #refreshMetrics(): void {
    const context = this.#context;
    if (context === undefined) return;
    const local = hexId(context.own.memberId);
    for (const [id, { status }] of this.#peers) {
      this.metrics.activePeers.set(status.activeSinceMs === undefined ? 0 : 1, local, hexId(id));
      this.metrics.disconnectedPeers.set(status.disconnectCount, local, hexId(id));
    }
  }
}

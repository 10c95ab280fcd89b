// What all parts of the links share.

import type { Host, Log, TlsClientOptions } from "@etcd-ts/base";
import { Agent, type FieldList } from "@etcd-ts/rpc/http1";
import { type Introduction, requestFields } from "./peer-headers.ts";
import type { PeerMetrics } from "./peer-metrics.ts";
import type { PeerUrl } from "./peer-url.ts";
import type { PeerSeams } from "./seams.ts";
import type { EntryFrames } from "./stream-codecs.ts";

export interface LinkContext {
  readonly host: Host;
  readonly log: Log;
  readonly seams: PeerSeams;
  readonly own: Introduction;
  readonly dialTimeoutMs: number;
  /** A stream without a byte, and one that takes none, is given up after so long. */
  readonly readIdleMs: number;
  readonly writeIdleMs: number;
  readonly clientTls: TlsClientOptions | undefined;
  readonly metrics: PeerMetrics;
  /** What several followers get alike. */
  readonly frames: EntryFrames;
  /** Messages to this peer got lost. May be called from anywhere; raft hears of it from the event loop. */
  unreachable(id: bigint): void;
  /** A peer says that this member was removed. */
  removed(): void;
}

/** A listener of a member drops sockets that are idle for five seconds unless told otherwise; so do we, and a dialled stream, too. */
export const idleMs = 5000;
/** On every stream, whatever else is sent. */
export const heartbeatMs: number = idleMs / 3;
export const streamPath = "/raft/stream";
export const pipelinePath = "/raft";
export const snapshotPath = "/raft/snapshot";
export const probingPath = "/raft/probing";

/** TLS as the URL wants it. */
export function tlsFor(
  url: PeerUrl,
  tls: TlsClientOptions | undefined,
): TlsClientOptions | undefined {
  if (!url.isTls) return undefined;
  return { ...tls, alpn: ["http/1.1"] };
}

export function ownFields(context: LinkContext): FieldList {
  return requestFields(context.own);
}

const keptByDefault = 8;

/**
 * Connections for short requests, by URL. A request on a kept connection may arrive twice, as it is repeated when
 * that breaks; what must not arrive twice goes by agents that keep none.
 */
export class Agents {
  readonly #context: Pick<LinkContext, "host" | "dialTimeoutMs" | "clientTls">;
  readonly #keptCountMax: number;
  readonly #agents: Map<string, Agent> = new Map();
  #stopped = false;

  constructor(
    context: Pick<LinkContext, "host" | "dialTimeoutMs" | "clientTls">,
    keptCountMax: number = keptByDefault,
  ) {
    this.#context = context;
    this.#keptCountMax = keptCountMax;
  }

  of(url: PeerUrl): Agent {
    let agent = this.#agents.get(url.text);
    if (agent === undefined) {
      const { host, dialTimeoutMs, clientTls } = this.#context;
      agent = new Agent({
        host,
        address: url.address,
        authority: url.authority,
        tls: tlsFor(url, clientTls),
        dialTimeoutMs,
        readIdleMs: 0,
        writeIdleMs: idleMs,
        keepMs: idleMs / 2,
        keptCountMax: this.#keptCountMax,
      });
      this.#agents.set(url.text, agent);
      if (this.#stopped) agent.stop();
    }
    return agent;
  }

  stop(): void {
    this.#stopped = true;
    for (const agent of this.#agents.values()) agent.stop();
  }
}

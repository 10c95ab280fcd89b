// One member as a process: listeners, member, rpc server and HTTP put together, and taken apart again.
//
//     links to the other members ──► bind peer and client listeners ──► open the member ──► serve metrics
//         ──► member is ready ──► serve clients ──► (signal) ──► GOAWAY, wait for running calls
//         ──► stop the member ──► closed
//
// Other members reach the links from the moment in which the peer listener is bound: they must be able to
// before anybody may find this member in the cluster.

import type { Backend } from "@etcd-ts/machine";
import { type Http1Server, type NodeHost, serveHttp1 } from "@etcd-ts/node";
import type { RpcServer } from "@etcd-ts/rpc";
import {
  createCompactionPart,
  createLeasePart,
  createWatchPart,
  Member,
  type MemberPart,
  type MetricFamily,
  memberMetrics,
  rpcMetrics,
} from "@etcd-ts/server";
import { defragmentAtStart } from "./bootstrap-defrag.ts";
import { createClientRpc } from "./client-rpc.ts";
import type { Config, FlagName, ParsedConfig } from "./config.ts";
import { debugVars } from "./debug-vars.ts";
import { parseFeatureGates } from "./feature-gates.ts";
import { HandlingTimes } from "./handling-times.ts";
import { type FrontKind, type FrontRequest, HttpFront, http1Handler } from "./http-front.ts";
import { planClientListeners, planMetricsListeners, planPeerListeners } from "./listen-plan.ts";
import type { ListenerTls } from "./listener-tls.ts";
import { type Acceptor, DaemonListener, httpOnly } from "./listeners.ts";
import { memberOptions } from "./member-options.ts";
import { metricsText } from "./metrics-text.ts";
import { openFileLimit, reservedFileCount } from "./open-files.ts";
import { createPeerSide, type PeerSide } from "./peer-side.ts";
import type { Profiles } from "./pprof.ts";
import { buildFamilies, processFamilies, scrapeFamilies } from "./process-metrics.ts";
import { parseRetention } from "./retention.ts";
import { startFields } from "./start-line.ts";
import { urlTexts } from "./url.ts";

export interface DaemonSetup {
  readonly host: NodeHost;
  readonly parsed: ParsedConfig;
  readonly ownVersion: string;
  /** Whether the data folder holds a member already. */
  readonly hasData: boolean;
  openBackend(folder: string): Promise<Backend>;
  /** `what` cannot go on: say so and end the process. */
  onFailed(what: "listener" | "member", error: Error): void;
  /** The member was removed from the cluster. */
  onRemoved(): void;
}

const httpGraceMs = 1000;
const pollMs = 10;

export class Daemon {
  readonly #setup: DaemonSetup;
  readonly #config: Config;
  #peerListeners: DaemonListener[] = [];
  #clientListeners: DaemonListener[] = [];
  #metricsListeners: DaemonListener[] = [];
  #http: Http1Server[] = [];
  #peers: PeerSide | undefined;
  #member: Member | undefined;
  #profiles: Profiles | undefined;
  #rpc: RpcServer | undefined;
  #stopping: Promise<void> | undefined;

  constructor(setup: DaemonSetup) {
    this.#setup = setup;
    this.#config = setup.parsed.config;
  }

  /** Resolves when clients are served. Whatever it rejects with is for the operator to read. */
  async start(): Promise<void> {
    const { host, parsed, ownVersion, hasData } = this.#setup;
    const config = this.#config;
    const tls = await tlsOf(parsed, host);
    const peers = createPeerSide(host, config, tls.peerDial);
    this.#peers = peers;
    await this.#bindListeners(tls, peers);
    host.log.info("starting an etcd server", startFields(config, ownVersion, hasData));
    const member = await this.#openMember(peers);
    if (config["enable-pprof"]) {
      const { Profiles } = await import("./pprof.ts");
      this.#profiles = await Profiles.start(host);
      host.log.info("pprof is enabled", { path: "/debug/pprof" });
    }
    const front = this.#createFront(member, peers);
    for (const { addressText } of this.#peerListeners) {
      host.log.info("serving peer traffic", { address: addressText });
    }
    await this.#serveMetrics(tls, front);
    host.log.info("now serving peer/client/metrics", {
      "local-member-id": member.memberId,
      "initial-advertise-peer-urls": urlTexts(config["initial-advertise-peer-urls"]),
      "listen-peer-urls": urlTexts(config["listen-peer-urls"]),
      "advertise-client-urls": urlTexts(config["advertise-client-urls"]),
      "listen-client-urls": urlTexts(config["listen-client-urls"]),
      "listen-metrics-urls": urlTexts(config["listen-metrics-urls"]),
    });
    await member.ready();
    this.#serveClients(front);
  }

  /** Ends in good order; idempotent. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  /** Gives the sockets up at once, for a process that ends without a good order. */
  abandonSockets(): void {
    for (const listener of [
      ...this.#peerListeners,
      ...this.#clientListeners,
      ...this.#metricsListeners,
    ]) {
      void listener.close();
    }
  }

  async #bindListeners(tls: ListenerTls, { links }: PeerSide): Promise<void> {
    const { host } = this.#setup;
    const config = this.#config;
    const reusePort = config["socket-reuse-port"];
    const unlimited = { connectionCountMax: Number.POSITIVE_INFINITY, reusePort };
    const failed = (error: Error): void => this.#setup.onFailed("listener", error);
    host.log.info("configuring peer listeners", {
      "listen-peer-urls": urlTexts(config["listen-peer-urls"]),
    });
    const peers = planPeerListeners(config, tls.peer !== undefined, host.log);
    for (const planned of peers) {
      const listener = new DaemonListener(host, "peer", planned);
      listener.serve((connection) => links.accept(connection));
      await listener.bind(tls.peer, unlimited, failed);
      this.#peerListeners.push(listener);
    }
    host.log.info("configuring client listeners", {
      "listen-client-urls": urlTexts(config["listen-client-urls"]),
    });
    const limited = { connectionCountMax: openFileLimit() - reservedFileCount, reusePort };
    const clients = planClientListeners(config, tls.client !== undefined, host.log);
    for (const planned of clients) {
      const listener = new DaemonListener(host, "client", planned);
      await listener.bind(planned.grpc ? tls.client : tls.clientHttp1, limited, failed);
      this.#clientListeners.push(listener);
    }
  }

  async #openMember({ links, requests }: PeerSide): Promise<Member> {
    const { host } = this.#setup;
    const config = this.#config;
    const retention = parseRetention(
      config["auto-compaction-mode"],
      config["auto-compaction-retention"],
    );
    const member = await Member.open({
      host,
      options: memberOptions(config),
      transport: links,
      requests,
      openBackend: async (folder) => {
        const backend = await this.#setup.openBackend(folder);
        await defragmentAtStart(backend, config["bootstrap-defrag-threshold-megabytes"], host);
        return backend;
      },
      createParts: (context) => {
        const compaction = createCompactionPart(context, retention);
        return [
          createWatchPart(context),
          createLeasePart(context),
          ...(compaction === undefined ? [] : [compaction]),
          this.#flushPart(),
        ];
      },
      onFailed: (error) => this.#setup.onFailed("member", error),
      onRemoved: () => this.#setup.onRemoved(),
    });
    this.#member = member;
    return member;
  }

  /** What a turn of the replica loop answered goes out at its end, not a turn later. */
  #flushPart(): MemberPart {
    return {
      methods: {},
      turnEnded: () => this.#rpc?.flush(),
      stop() {},
    };
  }

  #createFront(member: Member, { links }: PeerSide): HttpFront {
    const { host } = this.#setup;
    const config = this.#config;
    const profiles = this.#profiles;
    const handling = config.metrics === "extensive" ? new HandlingTimes(host.clock) : undefined;
    const rpc = this.#createRpc(member, handling, () => front);
    this.#rpc = rpc;
    const families: MetricFamily[] = [
      ...memberMetrics(member),
      ...links.metricFamilies(),
      ...rpcMetrics(
        () => rpc.methodStats.values(),
        () => [rpc.counters],
      ),
      ...(handling === undefined ? [] : [handling.family]),
      ...processFamilies(host),
      ...buildFamilies(parseFeatureGates(config["feature-gates"])),
    ];
    const front: HttpFront = new HttpFront({
      endpoints: member.http,
      metrics: () => metricsText([...families, ...scrapeFamilies(front.scrapes)]),
      debugVars: () => debugVars(member),
      ...(profiles === undefined
        ? {}
        : { profiles: (request: FrontRequest) => profiles.handle(request) }),
      gatewayWanted: config["enable-grpc-gateway"],
      cors: config.cors,
      hostWhitelist: config["host-whitelist"],
      log: host.log,
    });
    return front;
  }

  #createRpc(
    member: Member,
    handling: HandlingTimes | undefined,
    front: () => HttpFront,
  ): RpcServer {
    const servesHttp = this.#config["listen-client-http-urls"].length === 0;
    const http = servesHttp ? { http1: this.#http1(front, "client"), front } : undefined;
    return createClientRpc(
      this.#setup.host,
      this.#config,
      member.methods,
      http,
      handling?.observer,
    );
  }

  #http1(front: () => HttpFront, kind: FrontKind): Http1Server {
    const { log } = this.#setup.host;
    const server = serveHttp1((request, response) => {
      http1Handler(front(), kind, log)(request, response);
    });
    this.#http.push(server);
    return server;
  }

  async #serveMetrics(tls: ListenerTls, front: HttpFront): Promise<void> {
    const { host } = this.#setup;
    const planned = planMetricsListeners(this.#config, tls.clientHttp1 !== undefined);
    if (planned.length === 0) return;
    const http = this.#http1(() => front, "metrics");
    for (const plan of planned) {
      const listener = new DaemonListener(host, "metrics", plan);
      await listener.bind(
        tls.clientHttp1,
        {
          connectionCountMax: Number.POSITIVE_INFINITY,
          reusePort: this.#config["socket-reuse-port"],
        },
        (error) => this.#setup.onFailed("listener", error),
      );
      this.#metricsListeners.push(listener);
      listener.serve(httpOnly(http));
      host.log.info("serving metrics", { address: listener.addressText });
    }
  }

  #serveClients(front: HttpFront): void {
    const { log } = this.#setup.host;
    const http = httpOnly(this.#http1(() => front, "client"));
    const rpc: Acceptor = (connection) => (this.#rpc as RpcServer).attach(connection);
    for (const listener of this.#clientListeners) {
      const { planned, addressText } = listener;
      listener.serve(planned.grpc ? rpc : http);
      log.info("ready to serve client requests");
      const traffic = planned.grpc ? (planned.http ? "grpc+http" : "grpc") : "http";
      const fields = { traffic, address: addressText };
      if (planned.plain) {
        log.info("serving client traffic insecurely; this is strongly discouraged!", fields);
      }
      if (planned.secure) log.info("serving client traffic securely", fields);
    }
  }

  async #stop(): Promise<void> {
    const { log } = this.#setup.host;
    const config = this.#config;
    const fields = {
      name: config.name,
      "data-dir": config["data-dir"],
      "advertise-peer-urls": urlTexts(config["initial-advertise-peer-urls"]),
      "advertise-client-urls": urlTexts(config["advertise-client-urls"]),
    };
    log.info("closing etcd server", fields);
    const requestTimeoutMs = 5000 + 2 * config["election-timeout"];
    for (const listener of [...this.#clientListeners, ...this.#metricsListeners]) {
      await listener.close();
    }
    // Calls that run may finish; streams, which need not end by themselves, end with the member.
    const rpcClosed = this.#rpc?.close({ graceMs: requestTimeoutMs });
    await this.#callsEnded(requestTimeoutMs);
    await this.#member?.stop();
    await rpcClosed;
    // The member stopped them, if there was one.
    this.#peers?.links.stop();
    this.#peers?.requests.stop();
    this.#profiles?.stop();
    await Promise.all(this.#http.map((server) => server.close(httpGraceMs)));
    for (const listener of this.#peerListeners) {
      log.info("stopping serving peer traffic", { address: listener.addressText });
      await listener.close();
      log.info("stopped serving peer traffic", { address: listener.addressText });
    }
    log.info("closed etcd server", fields);
  }

  /** Waits until no call but bidirectional streams runs. */
  async #callsEnded(limitMs: number): Promise<void> {
    const { clock, timers } = this.#setup.host;
    const endMs = clock.monotonicMs() + limitMs;
    while (this.#runningCallCount() > 0 && clock.monotonicMs() < endMs) {
      await new Promise<void>((resolve) => timers.after(pollMs, resolve));
    }
  }

  #runningCallCount(): number {
    let running = 0;
    for (const stats of this.#rpc?.methodStats.values() ?? []) {
      if (stats.type === "bidi_stream") continue;
      running += stats.started - stats.handled.reduce((sum, count) => sum + count, 0);
    }
    return running;
  }
}

/** Without any of these flags there is no TLS and nothing to say about it, whatever the others are. */
const tlsFlags: readonly FlagName[] = [
  "cert-file",
  "key-file",
  "auto-tls",
  "peer-cert-file",
  "peer-key-file",
  "peer-client-cert-file",
  "peer-client-key-file",
  "peer-trusted-ca-file",
  "peer-auto-tls",
  "cipher-suites",
];

/** What has to do with TLS is loaded where a flag speaks of it. */
async function tlsOf(parsed: ParsedConfig, host: NodeHost): Promise<ListenerTls> {
  if (!tlsFlags.some((name) => parsed.given.has(name))) {
    return { client: undefined, clientHttp1: undefined, peer: undefined, peerDial: undefined };
  }
  const { listenerTls } = await import("./listener-tls.ts");
  return await listenerTls(parsed, host);
}

// One member as a process: listeners, member, rpc server and HTTP put together, and taken apart again.
//
//     bind peer and client listeners ──► open the member ──► serve peers, metrics ──► member is ready
//         ──► serve clients ──► (signal) ──► GOAWAY, wait for running calls ──► stop the member ──► closed

import { DiskError } from "@etcd-ts/base";
import type { Backend } from "@etcd-ts/machine";
import { gzip, type Http1Server, type NodeHost, serveHttp1 } from "@etcd-ts/node";
import { RpcServer, type RpcServerObserver } from "@etcd-ts/rpc";
import {
  createCompactionPart,
  createLeasePart,
  createWatchPart,
  Member,
  type MemberPart,
  type MetricFamily,
  memberMetrics,
  RequestStats,
  rpcMetrics,
} from "@etcd-ts/server";
import { type Config, milliseconds, type ParsedConfig } from "./config.ts";
import { debugVars } from "./debug-vars.ts";
import { parseFeatureGates } from "./feature-gates.ts";
import { HandlingTimes } from "./handling-times.ts";
import { HttpFront, http1Handler, http2Handler } from "./http-front.ts";
import { planClientListeners, planMetricsListeners, planPeerListeners } from "./listen-plan.ts";
import { type ListenerTls, listenerTls } from "./listener-tls.ts";
import { DaemonListener } from "./listeners.ts";
import { memberListJson } from "./member-list-json.ts";
import { memberOptions } from "./member-options.ts";
import { metricsText } from "./metrics-text.ts";
import {
  buildFamilies,
  openFileLimits,
  processFamilies,
  scrapeFamilies,
} from "./process-metrics.ts";
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

/** gRPC's own overhead on top of the largest request, as in etcd. */
const grpcOverheadBytes = 512 << 10;
const recommendedRequestBytes = 10 << 20;
/** Descriptors that are kept back from each listener's connections. */
const reservedFileCount = 150;
const httpGraceMs = 1000;
const pollMs = 10;

export class Daemon {
  readonly #setup: DaemonSetup;
  readonly #config: Config;
  #peerListeners: DaemonListener[] = [];
  #clientListeners: DaemonListener[] = [];
  #metricsListeners: DaemonListener[] = [];
  #http: Http1Server[] = [];
  #member: Member | undefined;
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
    const tls = listenerTls(parsed, host.clock.wallMs(), host.log);
    await this.#bindListeners(tls);
    host.log.info("starting an etcd server", startFields(config, ownVersion, hasData));
    const member = await this.#openMember();
    const front = this.#createFront(member);
    this.#servePeers(front);
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

  async #bindListeners(tls: ListenerTls): Promise<void> {
    const { host } = this.#setup;
    const config = this.#config;
    const countMax = openFileLimits().soft - reservedFileCount;
    const failed = (error: Error): void => this.#setup.onFailed("listener", error);
    host.log.info("configuring peer listeners", {
      "listen-peer-urls": urlTexts(config["listen-peer-urls"]),
    });
    const peers = planPeerListeners(config, tls.peer !== undefined, host.log);
    for (const planned of peers) {
      const listener = new DaemonListener(host, "peer", planned);
      await listener.bind(tls.peer, Number.POSITIVE_INFINITY, failed);
      this.#peerListeners.push(listener);
    }
    host.log.info("configuring client listeners", {
      "listen-client-urls": urlTexts(config["listen-client-urls"]),
    });
    const clients = planClientListeners(config, tls.client !== undefined, host.log);
    for (const planned of clients) {
      const listener = new DaemonListener(host, "client", planned);
      await listener.bind(planned.grpc ? tls.client : tls.clientHttp1, countMax, failed);
      this.#clientListeners.push(listener);
    }
  }

  async #openMember(): Promise<Member> {
    const { host } = this.#setup;
    const config = this.#config;
    const retention = parseRetention(
      config["auto-compaction-mode"],
      config["auto-compaction-retention"],
    );
    const member = await Member.open({
      host,
      options: memberOptions(config),
      openBackend: (folder) => this.#setup.openBackend(folder),
      createParts: (context) => {
        const compaction = createCompactionPart(context, retention);
        return [
          createWatchPart(context),
          createLeasePart(context),
          ...(compaction === undefined ? [] : [compaction]),
          this.#flushPart(),
        ];
      },
      onFailed: (error) => this.#memberFailed(error),
      onRemoved: () => this.#setup.onRemoved(),
    });
    this.#member = member;
    return member;
  }

  #memberFailed(error: Error): void {
    // LMDB's library has its own say on standard error when a write fails, without an end of line.
    if (error instanceof DiskError && error.path.endsWith(".mdb")) process.stderr.write("\n");
    this.#setup.onFailed("member", error);
  }

  /** What a turn of the replica loop answered goes out at its end, not a turn later. */
  #flushPart(): MemberPart {
    return {
      methods: {},
      turnEnded: () => this.#rpc?.flush(),
      stop() {},
    };
  }

  #createFront(member: Member): HttpFront {
    const { host } = this.#setup;
    const config = this.#config;
    const handling = config.metrics === "extensive" ? new HandlingTimes(host.clock) : undefined;
    const rpc = this.#createRpc(member, handling, () => front);
    this.#rpc = rpc;
    const families: MetricFamily[] = [
      ...memberMetrics(member),
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
      memberList: () => memberListJson(member),
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
    const { host } = this.#setup;
    const config = this.#config;
    const requestBytes = config["max-request-bytes"];
    if (requestBytes > recommendedRequestBytes) {
      host.log.warn("exceeded recommended request limit", {
        "max-request-bytes": requestBytes,
        "recommended-request-bytes": recommendedRequestBytes,
      });
    }
    const stats = this.#requestStats();
    const observer = joined(handling?.observer, stats?.observer);
    const http = config["listen-client-http-urls"].length === 0;
    const http1 = http ? this.#http1(front, "client") : undefined;
    return new RpcServer({
      host,
      methods: stats?.wrap(member.methods) ?? member.methods,
      limits: {
        receiveBytesMax: requestBytes + grpcOverheadBytes,
        concurrentStreams: config["max-concurrent-streams"],
      },
      keepalive: keepaliveOf(config),
      gzip: {
        gzip: gzip.compress,
        gunzip: (bytes, bytesMax) => {
          try {
            return gzip.decompress(bytes, bytesMax);
          } catch (error) {
            if (error instanceof RangeError) return undefined;
            throw error;
          }
        },
      },
      ...(http1 === undefined
        ? {}
        : {
            onHttp1: (connection, firstBytes) => http1.adopt(connection.detach(firstBytes)),
            onHttp2: (exchange) => http2Handler(front(), exchange, host.log),
          }),
      ...(observer === undefined ? {} : { observer }),
    });
  }

  /** In a log of level debug every call is told of. */
  #requestStats(): RequestStats | undefined {
    const config = this.#config;
    if (config["log-level"] !== "debug") return undefined;
    const warnAfterMs = milliseconds(config["warning-unary-request-duration"]);
    return new RequestStats(this.#setup.host, warnAfterMs);
  }

  #http1(front: () => HttpFront, kind: "client" | "peer" | "metrics"): Http1Server {
    const { log } = this.#setup.host;
    const server = serveHttp1((request, response) => {
      http1Handler(front(), kind, log)(request, response);
    });
    this.#http.push(server);
    return server;
  }

  #servePeers(front: HttpFront): void {
    const http = this.#http1(() => front, "peer");
    for (const listener of this.#peerListeners) {
      this.#setup.host.log.info("serving peer traffic", { address: listener.addressText });
      listener.serve({ http });
    }
  }

  async #serveMetrics(tls: ListenerTls, front: HttpFront): Promise<void> {
    const { host } = this.#setup;
    const planned = planMetricsListeners(this.#config, tls.clientHttp1 !== undefined);
    if (planned.length === 0) return;
    const http = this.#http1(() => front, "metrics");
    for (const plan of planned) {
      const listener = new DaemonListener(host, "metrics", plan);
      await listener.bind(tls.clientHttp1, Number.POSITIVE_INFINITY, (error) =>
        this.#setup.onFailed("listener", error),
      );
      this.#metricsListeners.push(listener);
      listener.serve({ http });
      host.log.info("serving metrics", { address: listener.addressText });
    }
  }

  #serveClients(front: HttpFront): void {
    const { log } = this.#setup.host;
    const http = this.#http1(() => front, "client");
    for (const listener of this.#clientListeners) {
      const { planned, addressText } = listener;
      listener.serve(this.#rpc === undefined ? { http } : { http, rpc: this.#rpc });
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

/** Both observers as one, of the ends of calls. */
function joined(
  first: RpcServerObserver | undefined,
  second: RpcServerObserver | undefined,
): RpcServerObserver | undefined {
  if (first === undefined || second === undefined) return first ?? second;
  return {
    callEnded: (stats, call, code) => {
      first.callEnded?.(stats, call, code);
      second.callEnded?.(stats, call, code);
    },
  };
}

/** 0 asks for the gRPC library's own defaults. */
function keepaliveOf(config: Config): {
  minTimeMs: number;
  intervalMs: number;
  timeoutMs: number;
} {
  const minTimeMs = milliseconds(config["grpc-keepalive-min-time"]);
  const intervalMs = milliseconds(config["grpc-keepalive-interval"]);
  const timeoutMs = milliseconds(config["grpc-keepalive-timeout"]);
  const given = intervalMs > 0 && timeoutMs > 0;
  return {
    minTimeMs: minTimeMs > 0 ? minTimeMs : 300_000,
    intervalMs: given ? intervalMs : 7_200_000,
    timeoutMs: given ? timeoutMs : 20_000,
  };
}

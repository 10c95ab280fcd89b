// The gRPC server of the client listeners, as the flags want it.

import { gzip, type Http1Server, type NodeHost } from "@etcd-ts/node";
import { type MethodTable, RpcServer, type RpcServerObserver } from "@etcd-ts/rpc";
import { RequestStats } from "@etcd-ts/server";
import { type Config, milliseconds } from "./config.ts";
import { type HttpFront, http2Handler } from "./http-front.ts";

/** gRPC's own overhead on top of the largest request, as in etcd. */
const grpcOverheadBytes = 512 << 10;
const recommendedRequestBytes = 10 << 20;

/** Where requests that are no gRPC calls go, when the listeners serve both. */
export interface HttpBeside {
  readonly http1: Http1Server;
  front(): HttpFront;
}

export function createClientRpc(
  host: NodeHost,
  config: Config,
  methods: MethodTable,
  http: HttpBeside | undefined,
  handling: RpcServerObserver | undefined,
): RpcServer {
  const requestBytes = config["max-request-bytes"];
  if (requestBytes > recommendedRequestBytes) {
    host.log.warn("exceeded recommended request limit", {
      "max-request-bytes": requestBytes,
      "recommended-request-bytes": recommendedRequestBytes,
    });
  }
  const stats = requestStats(host, config);
  const observer = joined(handling, stats?.observer);
  return new RpcServer({
    host,
    methods: stats?.wrap(methods) ?? methods,
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
    ...(http === undefined
      ? {}
      : {
          onHttp1: (connection, firstBytes) => http.http1.adopt(connection.detach(firstBytes)),
          onHttp2: (exchange) => http2Handler(http.front(), exchange, host.log),
        }),
    ...(observer === undefined ? {} : { observer }),
  });
}

/** In a log of level debug every call is told of. */
function requestStats(host: NodeHost, config: Config): RequestStats | undefined {
  if (config["log-level"] !== "debug") return undefined;
  return new RequestStats(host, milliseconds(config["warning-unary-request-duration"]));
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

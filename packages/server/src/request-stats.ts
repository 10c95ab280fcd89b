// "request stats": a line in the log about a request of a client, as a warning when it was slow. For the log
// level debug there is one for every unary call, with all that can be known of it (`RequestStats`): its methods
// are wrapped, each answer is looked at. Otherwise only slow ones are of interest, and the hot path must not pay
// for them: what `RequestTimes` measures anyway is told, without the answer.

import {
  decodeDeleteRangeResponse,
  decodeRangeResponse,
  decodeTxnRequest,
  decodeTxnResponse,
} from "@etcd-ts/api";
import { type Bytes, emptyBytes, type Host, type LogFields } from "@etcd-ts/base";
import type { MethodTable, RpcServerObserver, ServerCall, UnaryMethod } from "@etcd-ts/rpc";
import { durationText } from "./duration-text.ts";
import { requestContent } from "./request-content.ts";

/** What both kinds of line begin with. */
export function requestTimesFields(
  host: Host,
  path: string,
  startedMs: number,
  nowMs: number,
): LogFields {
  const start = host.clock.wallMs() - (host.clock.monotonicMs() - startedMs);
  return {
    "start time": new Date(start).toISOString(),
    "time spent": durationText(nowMs - startedMs),
    "response type": path,
  };
}

interface Seen {
  readonly request: Bytes;
  response: Bytes;
}

interface Sizes {
  readonly requestCount: number;
  readonly responseCount: number;
}

/** Of every unary call that a server answers. */
export class RequestStats {
  readonly #host: Host;
  readonly #warnAfterMs: number;
  readonly #running: Map<ServerCall, Seen> = new Map();
  /** Hears of the end of each call, however it ends. */
  readonly observer: RpcServerObserver = {
    callEnded: (_stats, call) => this.#ended(call),
  };

  constructor(host: Host, warnAfterMs: number) {
    this.#host = host;
    this.#warnAfterMs = warnAfterMs;
  }

  /** The same methods, under observation. */
  wrap(methods: MethodTable): MethodTable {
    return Object.fromEntries(
      Object.entries(methods).map(([path, method]) => [
        path,
        method.kind === "unary" ? this.#wrapUnary(method) : method,
      ]),
    );
  }

  #wrapUnary(method: UnaryMethod): UnaryMethod {
    return {
      kind: "unary",
      handle: (call, request) => {
        const seen: Seen = { request, response: emptyBytes };
        this.#running.set(call, seen);
        const respond = call.respond;
        call.respond = (response) => {
          seen.response = response;
          respond.call(call, response);
        };
        method.handle(call, request);
      },
    };
  }

  #ended(call: ServerCall): void {
    const seen = this.#running.get(call);
    if (seen === undefined) return;
    this.#running.delete(call);
    const { log, clock } = this.#host;
    const nowMs = clock.monotonicMs();
    const sizes = countsOf(call.path, seen);
    const fields = {
      ...requestTimesFields(this.#host, call.path, call.startedMs, nowMs),
      remote: call.remoteAddress,
      "request count": sizes?.requestCount ?? -1,
      "request size": sizes === undefined ? -1 : seen.request.length,
      "response count": sizes?.responseCount ?? -1,
      "response size": sizes === undefined ? -1 : seen.response.length,
      "request content": requestContent(call.path, seen.request),
    };
    if (nowMs - call.startedMs > this.#warnAfterMs) log.warn("request stats", fields);
    else log.debug("request stats", fields);
  }
}

/** What etcd counts, for keys and values only. A call that failed has an empty answer. */
function countsOf(path: string, { request, response }: Seen): Sizes | undefined {
  switch (path) {
    case "/etcdserverpb.KV/Range":
      return { requestCount: 0, responseCount: decodeRangeResponse(response).count };
    case "/etcdserverpb.KV/Put":
      return { requestCount: 1, responseCount: 0 };
    case "/etcdserverpb.KV/DeleteRange":
      return { requestCount: 0, responseCount: decodeDeleteRangeResponse(response).deleted };
    case "/etcdserverpb.KV/Txn": {
      if (response.length === 0) return { requestCount: 0, responseCount: 0 };
      const { success, failure } = decodeTxnRequest(request);
      const branch = decodeTxnResponse(response).succeeded ? success : failure;
      return { requestCount: branch.length, responseCount: 0 };
    }
    default:
      return undefined;
  }
}

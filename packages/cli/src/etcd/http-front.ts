// The HTTP side of the listeners: checks that etcd applies to every request of a client listener, the
// endpoints, metrics, 404. One function from request to answer, used by HTTP/1.1 (node:http on adopted
// sockets) and by HTTP/2 behind TLS (the rpc server's exchanges).

import type { IncomingMessage, ServerResponse } from "node:http";
import type { Log } from "@etcd-ts/base";
import type { HttpExchange, HttpHandler } from "@etcd-ts/rpc";
import { getOnly, type HttpAnswer, type HttpEndpoints } from "@etcd-ts/server";
import { splitHostPort } from "../shared/go-url.ts";

export type FrontKind = "client" | "metrics";

export interface FrontRequest {
  readonly kind: FrontKind;
  readonly secure: boolean;
  readonly method: string;
  readonly target: string;
  /** By lower-case name. */
  header(name: string): string | undefined;
}

export interface FrontAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array;
}

export interface FrontOptions {
  readonly endpoints: HttpEndpoints;
  /** The text of `/metrics`. */
  metrics(): string;
  /** The JSON of `/debug/vars`. */
  debugVars(): string;
  /** With `--enable-pprof`. Resolves with undefined where the path is none of a profile. */
  profiles?(request: FrontRequest): Promise<FrontAnswer | undefined>;
  /** `--enable-grpc-gateway` was not switched off. */
  readonly gatewayWanted: boolean;
  readonly cors: readonly string[];
  readonly hostWhitelist: readonly string[];
  readonly log: Log;
}

const plainText = {
  "Content-Type": "text/plain; charset=utf-8",
  "X-Content-Type-Options": "nosniff",
} as const;

const corsHeaders = {
  "Access-Control-Allow-Headers": "accept, content-type, authorization",
  "Access-Control-Allow-Methods": "POST, GET, OPTIONS, PUT, DELETE",
} as const;

/** gzip pays from about a packet on. */
const gzipBytesMin = 1400;

export class HttpFront {
  readonly #options: FrontOptions;
  readonly #anyOrigin: boolean;
  readonly #anyHost: boolean;
  /** Scrapes by status, for `promhttp_metric_handler_requests_total`. */
  readonly scrapes: { ok: number; inFlight: number } = { ok: 0, inFlight: 0 };

  constructor(options: FrontOptions) {
    this.#options = options;
    const all = (list: readonly string[]): boolean =>
      list.length === 0 || list.includes("*") || list.every((item) => item === "");
    this.#anyOrigin = all(options.cors);
    this.#anyHost = all(options.hostWhitelist);
  }

  async answer(received: FrontRequest): Promise<FrontAnswer> {
    const { target, authority } = originForm(received.target);
    const request = { ...received, target };
    if (request.kind === "metrics") return redirected(request) ?? this.#metricsListener(request);
    const host = authority ?? received.header("host") ?? "";
    if (!request.secure && !this.#allowsHost(host)) return this.#misdirected(host);
    const cors = this.#cors(received.header("origin"));
    if (request.method === "OPTIONS") return { status: 200, headers: cors, body: "" };
    const answer = redirected(request) ?? (await this.#client(request));
    return { ...answer, headers: { ...cors, ...answer.headers } };
  }

  async #client(request: FrontRequest): Promise<FrontAnswer> {
    const path = pathOf(request.target);
    if (path === "/metrics") return this.#metrics(request);
    if (path === "/debug/vars") return this.#debugVars(request);
    return (
      (await this.#options.endpoints.handle(request)) ??
      (await this.#options.profiles?.(request)) ??
      (path.startsWith("/v3/") && this.#options.gatewayWanted ? noGateway() : notFound())
    );
  }

  #debugVars(request: FrontRequest): FrontAnswer {
    const headers = { "Content-Type": "application/json; charset=utf-8" };
    return getOnly(request) ?? { status: 200, headers, body: this.#options.debugVars() };
  }

  async #metricsListener(request: FrontRequest): Promise<FrontAnswer> {
    const path = pathOf(request.target);
    if (path === "/metrics") return this.#metrics(request);
    if (path === "/version") return notFound();
    return (await this.#options.endpoints.handle(request)) ?? notFound();
  }

  #metrics(request: FrontRequest): FrontAnswer {
    this.scrapes.inFlight += 1;
    const text = this.#options.metrics();
    this.scrapes.inFlight -= 1;
    this.scrapes.ok += 1;
    const headers = {
      "Content-Type": "text/plain; version=0.0.4; charset=utf-8; escaping=underscores",
    };
    const acceptsGzip = /\bgzip\b(?!\s*;\s*q=0(\.0*)?\s*(,|$))/.test(
      request.header("accept-encoding") ?? "",
    );
    if (!acceptsGzip || text.length < gzipBytesMin) return { status: 200, headers, body: text };
    const { gzipSync } = process.getBuiltinModule("node:zlib");
    const zipped = { ...headers, "Content-Encoding": "gzip" };
    return { status: 200, headers: zipped, body: gzipSync(text, { level: 1 }) };
  }

  #allowsHost(host: string): boolean {
    if (this.#anyHost) return true;
    const name = splitHostPort(host)?.host ?? host.replace(/^\[|\]$/g, "");
    return this.#options.hostWhitelist.includes(name);
  }

  #misdirected(host: string): FrontAnswer {
    this.#options.log.warn("rejecting HTTP request to prevent DNS rebinding attacks", { host });
    const body = `etcd received your request, but the Host header was unrecognized.

To fix this, choose one of the following options:
- Enable TLS, then any HTTPS request will be allowed.
- Add the hostname you want to use to the whitelist in settings.
  - e.g. etcd --host-whitelist ${JSON.stringify(host)}

This requirement has been added to help prevent "DNS Rebinding" attacks (CVE-2018-5702).
`;
    return { status: 421, headers: plainText, body };
  }

  #cors(origin: string | undefined): Readonly<Record<string, string>> {
    if (this.#anyOrigin) return { ...corsHeaders, "Access-Control-Allow-Origin": "*" };
    if (origin === undefined || !this.#options.cors.includes(origin)) return {};
    return { ...corsHeaders, "Access-Control-Allow-Origin": origin };
  }
}

/** For `serveHttp1`. */
export function http1Handler(
  front: HttpFront,
  kind: FrontKind,
  log: Log,
): (request: IncomingMessage, response: ServerResponse) => void {
  return (message, response) => {
    // What is sent along with a request is of no interest to any endpoint.
    message.resume();
    const request: FrontRequest = {
      kind,
      secure: "encrypted" in message.socket,
      method: message.method ?? "GET",
      target: message.url ?? "/",
      header: (name) => {
        const value = message.headers[name];
        return Array.isArray(value) ? value.join(", ") : value;
      },
    };
    respond(front, request, log, (answer) => {
      if (response.destroyed) return;
      response.writeHead(answer.status, {
        ...answer.headers,
        "Content-Length": String(Buffer.byteLength(answer.body)),
      });
      response.end(message.method === "HEAD" ? "" : answer.body);
    });
  };
}

/** For the rpc server's HTTP/2 requests that are no gRPC calls. */
export function http2Handler(front: HttpFront, exchange: HttpExchange, log: Log): HttpHandler {
  const request: FrontRequest = {
    kind: "client",
    secure: exchange.tls !== undefined,
    method: exchange.method,
    target: exchange.path,
    header: (name) =>
      name === "host"
        ? exchange.authority
        : exchange.headers.find(([header]) => header === name)?.[1],
  };
  respond(front, request, log, (answer) => {
    if (exchange.ended) return;
    const body = Buffer.from(answer.body);
    const headers = Object.entries(answer.headers).map(([name, value]): [string, string] => [
      name.toLowerCase(),
      value,
    ]);
    headers.push(["content-length", String(body.length)]);
    const empty = body.length === 0 || exchange.method === "HEAD";
    exchange.respondHead(answer.status, headers, empty);
    if (empty) return;
    exchange.write(body);
    exchange.end();
  });
  return { onBody() {}, onEnd() {}, onCancel() {}, onDrain() {} };
}

function respond(
  front: HttpFront,
  request: FrontRequest,
  log: Log,
  send: (answer: FrontAnswer) => void,
): void {
  front.answer(request).then(send, (reason: unknown) => {
    const error = reason instanceof Error ? reason : new Error(String(reason));
    log.error("HTTP request failed", { target: request.target, error });
    send({ status: 500, headers: plainText, body: "Internal Server Error\n" });
  });
}

/** Whoever takes us for a proxy sends a whole URL, whose host counts then (RFC 9112 §3.2.2). */
function originForm(target: string): { target: string; authority: string | undefined } {
  const [, authority, rest = ""] = /^https?:\/\/([^/?]*)(.*)$/i.exec(target) ?? [];
  if (authority === undefined) return { target, authority };
  return { target: rest.startsWith("/") ? rest : `/${rest}`, authority };
}

const htmlEscapes: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&#34;",
  "'": "&#39;",
};

/** To the path without empty and dotted parts, as Go's mux does it; undefined when it has none. */
function redirected({ method, target }: FrontRequest): FrontAnswer | undefined {
  const path = pathOf(target);
  const clean = cleanPath(path);
  if (clean === path) return undefined;
  const location = clean + target.slice(path.length);
  if (method !== "GET" && method !== "HEAD") {
    return { status: 301, headers: { Location: location }, body: "" };
  }
  const headers = { Location: location, "Content-Type": "text/html; charset=utf-8" };
  const href = location.replace(/[&<>"']/g, (it) => htmlEscapes[it] ?? it);
  return { status: 301, headers, body: `<a href="${href}">Moved Permanently</a>.\n\n` };
}

function cleanPath(path: string): string {
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  const isFolder = path.endsWith("/") && parts.length > 0;
  return `/${parts.join("/")}${isFolder ? "/" : ""}`;
}

function pathOf(target: string): string {
  const mark = target.indexOf("?");
  return mark < 0 ? target : target.slice(0, mark);
}

function notFound(): HttpAnswer {
  return { status: 404, headers: plainText, body: "404 page not found\n" };
}

/** In the form in which the gateway reports failures; 12 is UNIMPLEMENTED. */
function noGateway(): FrontAnswer {
  const message = "the JSON gateway is not supported by this version of etcd-ts; use gRPC";
  const headers = { "Content-Type": "application/json" };
  return { status: 501, headers, body: `${JSON.stringify({ code: 12, message })}\n` };
}

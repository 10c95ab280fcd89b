// The HTTP/1.1 endpoints of a client listener, as a function from request to answer; the daemon owns the
// sockets. A table of paths, each with what it says and to which verbs.

import type { Log } from "@etcd-ts/base";
import { LabelledCounts } from "./metric-types.ts";
import type { Refusal } from "./refusals.ts";

export interface HttpRequest {
  readonly method: string;
  /** Path and query as in the request line. */
  readonly target: string;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** What the endpoints ask the member. */
export interface HealthSource {
  readonly hasLeader: boolean;
  readonly isLearner: boolean;
  readonly serverVersion: string;
  /** `X.Y.0`, "" until decided. */
  readonly clusterVersion: string;
  readonly storageVersion: string;
  /** Kinds of the active alarms: 1 NOSPACE, 2 CORRUPT, others unknown. */
  alarmKinds(): readonly number[];
  /** A keys-only read of one key; undefined when it succeeded. */
  probeRead(serializable: boolean): Promise<Refusal | undefined>;
}

const plain = {
  "Content-Type": "text/plain; charset=utf-8",
  "X-Content-Type-Options": "nosniff",
} as const;

type Check = (source: HealthSource) => Promise<string | undefined>;

/** Each gives the reason why it failed. */
const checks = {
  data_corruption: async (source) =>
    source.alarmKinds().includes(2) ? "alarm activated: CORRUPT" : undefined,
  serializable_read: async (source) => (await source.probeRead(true))?.message,
  linearizable_read: async (source) => (await source.probeRead(false))?.message,
  non_learner: async (source) => (source.isLearner ? "not supported for learner" : undefined),
} as const satisfies Record<string, Check>;
type CheckName = keyof typeof checks;

const livezChecks: readonly CheckName[] = ["serializable_read"];
const readyzChecks: readonly CheckName[] = [
  "data_corruption",
  "serializable_read",
  "linearizable_read",
  "non_learner",
];

export class HttpEndpoints {
  readonly #source: HealthSource;
  readonly #log: Log;
  healthSuccessCount = 0;
  healthFailureCount = 0;
  /** By type, name. */
  readonly checkStates: LabelledCounts = new LabelledCounts(2);
  /** By type, name, status. */
  readonly checkRuns: LabelledCounts = new LabelledCounts(3);

  constructor(source: HealthSource, log: Log) {
    this.#source = source;
    this.#log = log;
  }

  /** The answer, or undefined when the path is none of ours. `/metrics` is the daemon's. */
  async handle(request: HttpRequest): Promise<HttpAnswer | undefined> {
    const mark = request.target.indexOf("?");
    const path = mark < 0 ? request.target : request.target.slice(0, mark);
    const query = parseQuery(mark < 0 ? "" : request.target.slice(mark + 1));
    if (path === "/version") return getOnly(request) ?? this.#version();
    if (path === "/health") return getOnly(request) ?? (await this.#health(query));
    for (const [type, names] of [
      ["livez", livezChecks],
      ["readyz", readyzChecks],
    ] as const) {
      if (path === `/${type}`) return getOnly(request) ?? (await this.#run(type, names, query));
      const single = names.find((name) => path === `/${type}/${name}`);
      if (single !== undefined) {
        // What is asked for by name is not excluded.
        query.delete("exclude");
        return getOnly(request) ?? (await this.#run(type, [single], query));
      }
    }
    return undefined;
  }

  #version(): HttpAnswer {
    const body = JSON.stringify({
      etcdserver: this.#source.serverVersion,
      etcdcluster: this.#source.clusterVersion || "not_decided",
      storage: this.#source.storageVersion || "unknown",
    });
    return { status: 200, headers: { "Content-Type": "application/json" }, body };
  }

  async #health(query: Query): Promise<HttpAnswer> {
    const serializable = query.get("serializable")?.at(-1) === "true";
    const reason = await this.#healthReason(query.get("exclude") ?? [], serializable);
    const body = JSON.stringify({ health: reason === "" ? "true" : "false", reason });
    if (reason === "") {
      this.healthSuccessCount++;
      return { status: 200, headers: { "Content-Type": plain["Content-Type"] }, body };
    }
    this.healthFailureCount++;
    this.#log.warn("serving /health false", { reason });
    return { status: 503, headers: plain, body: `${body}\n` };
  }

  async #healthReason(excluded: readonly string[], serializable: boolean): Promise<string> {
    for (const kind of this.#source.alarmKinds()) {
      const name = kind === 1 ? "NOSPACE" : kind === 2 ? "CORRUPT" : "UNKNOWN";
      if (!excluded.includes(name)) return `ALARM ${name}`;
    }
    if (!serializable && !this.#source.hasLeader) return "RAFT NO LEADER";
    const refusal = await this.#source.probeRead(serializable);
    return refusal === undefined ? "" : `RANGE ERROR:${refusal.message}`;
  }

  async #run(type: string, names: readonly CheckName[], query: Query): Promise<HttpAnswer> {
    const excluded = new Set(query.get("exclude") ?? []);
    let lines = "";
    let failed = false;
    for (const name of names) {
      if (excluded.delete(name)) continue;
      const reason = await checks[name](this.#source);
      this.checkStates.set(reason === undefined ? 1 : 0, type, name);
      this.checkRuns.add(1, type, name, reason === undefined ? "success" : "error");
      failed ||= reason !== undefined;
      lines += reason === undefined ? `[+]${name} ok\n` : `[-]${name} failed: ${reason}\n`;
    }
    if (excluded.size > 0) {
      this.#log.warn("some health checks cannot be excluded", {
        "missing-health-checks": [...excluded],
      });
    }
    if (failed) return { status: 503, headers: plain, body: `${lines}\n` };
    return { status: 200, headers: plain, body: query.has("verbose") ? `${lines}ok\n` : "ok\n" };
  }
}

/** The refusal of every verb but GET. */
export function getOnly(request: Pick<HttpRequest, "method">): HttpAnswer | undefined {
  if (request.method === "GET") return undefined;
  return { status: 405, headers: { ...plain, Allow: "GET" }, body: "Method Not Allowed\n" };
}

type Query = Map<string, string[]>;

function parseQuery(text: string): Query {
  const query: Query = new Map();
  for (const pair of text.split("&")) {
    if (pair === "") continue;
    const mark = pair.indexOf("=");
    const name = unescaped(mark < 0 ? pair : pair.slice(0, mark));
    const value = mark < 0 ? "" : unescaped(pair.slice(mark + 1));
    const values = query.get(name);
    if (values === undefined) query.set(name, [value]);
    else values.push(value);
  }
  return query;
}

/** A text that is not validly escaped stands for itself. */
function unescaped(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll("+", " "));
  } catch {
    return text;
  }
}

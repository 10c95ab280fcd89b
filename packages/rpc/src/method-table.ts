// Paths to methods, and the answers for paths that lead nowhere.

import { MethodStats } from "./counters.ts";
import { quote } from "./grpc-timeout.ts";
import type { Refusal } from "./request-head.ts";
import type { Method, MethodTable } from "./server-types.ts";
import { Status } from "./status.ts";

export class MethodEntry {
  readonly method: Method;
  readonly stats: MethodStats;

  constructor(path: string, method: Method) {
    this.method = method;
    this.stats = new MethodStats(path, method.kind === "unary" ? "unary" : method.type);
  }
}

export class MethodIndex {
  readonly #entries = new Map<string, MethodEntry>();
  readonly #services = new Set<string>();
  readonly stats: Map<string, MethodStats> = new Map();

  constructor(table: MethodTable) {
    for (const [path, method] of Object.entries(table)) {
      const entry = new MethodEntry(path, method);
      this.#entries.set(path, entry);
      this.#services.add(entry.stats.service);
      this.stats.set(path, entry.stats);
    }
  }

  find(path: string): MethodEntry | Refusal {
    return this.#entries.get(path) ?? this.#unknown(path);
  }

  /** The texts of grpc-go. */
  #unknown(path: string): Refusal {
    const name = path.startsWith("/") ? path.slice(1) : path;
    const slash = name.lastIndexOf("/");
    let message: string;
    if (slash < 0) {
      message = `malformed method name: ${quote(path)}`;
    } else {
      const service = name.slice(0, slash);
      message = this.#services.has(service)
        ? `unknown method ${name.slice(slash + 1)} for service ${service}`
        : `unknown service ${service}`;
    }
    return { httpStatus: 200, code: Status.unimplemented, message };
  }
}

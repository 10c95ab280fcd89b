// Whether a peer can be reached, as far as the last attempt says, and since when.

import type { Clock, Log } from "@etcd-ts/base";
import { hexId } from "../ids.ts";

export class PeerStatus {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #id: bigint;
  #activeSinceMs: number | undefined;
  disconnectCount = 0;

  constructor(clock: Clock, log: Log, id: bigint) {
    this.#clock = clock;
    this.#log = log;
    this.#id = id;
  }

  get activeSinceMs(): number | undefined {
    return this.#activeSinceMs;
  }

  /** Something went through. */
  activate(): void {
    if (this.#activeSinceMs !== undefined) return;
    this.#activeSinceMs = this.#clock.monotonicMs();
    this.#log.info("peer became active", { "peer-id": hexId(this.#id) });
  }

  /** Something did not. */
  deactivate(what: string, reason: string): void {
    if (this.#activeSinceMs === undefined) return;
    this.#activeSinceMs = undefined;
    this.disconnectCount++;
    this.#log.warn("peer became inactive (message send to peer failed)", {
      "peer-id": hexId(this.#id),
      action: what,
      error: reason,
    });
  }
}

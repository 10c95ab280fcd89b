// A session: a lease that is kept alive, so that what is tied to it vanishes with its owner. Locks and
// elections stand on it.

import type { Client } from "./client.ts";
import type { KeepAlive } from "./lease-keeper.ts";
import type { AbortSignalLike, CallOptions } from "./options.ts";

export interface SessionOptions {
  /** Time that the lease outlives its owner. Default 60. */
  readonly ttlSeconds?: number;
  /** Ends the opening. */
  readonly signal?: AbortSignalLike;
}

const ttlSecondsDefault = 60;

export class Session implements AsyncDisposable {
  readonly client: Client;
  readonly leaseId: bigint;
  /** Resolves when the session is over: true when its lease was lost, false when it was closed. */
  readonly ended: Promise<boolean>;
  readonly #renewals: KeepAlive;

  private constructor(client: Client, renewals: KeepAlive) {
    this.client = client;
    this.leaseId = renewals.id;
    this.ended = renewals.ended;
    this.#renewals = renewals;
  }

  static async open(client: Client, options: SessionOptions = {}): Promise<Session> {
    const calls: CallOptions = options.signal === undefined ? {} : { signal: options.signal };
    const ttl = BigInt(options.ttlSeconds ?? ttlSecondsDefault);
    const granted = await client.lease.grant({ ttl }, calls);
    // The lease is fresh: it lives that long without a first renewal.
    const renewals = client.keepAlive(granted.id, { firstAnswerMs: granted.ttl * 1000 });
    return new Session(client, renewals);
  }

  /** The lease is gone: whatever was tied to it may belong to others by now. */
  get isLost(): boolean {
    return this.#renewals.lost;
  }

  /** Stops renewing and leaves the lease to its time. Idempotent. */
  abandon(): void {
    this.#renewals.close();
  }

  /** Stops renewing and revokes the lease, with all keys that are tied to it. */
  async close(): Promise<void> {
    this.abandon();
    if (!this.isLost) await this.client.lease.revoke({ id: this.leaseId });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

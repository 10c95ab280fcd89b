// An election among sessions: the oldest claim under `<name>/` leads, and its value is what the leader
// proclaims. The same keys as etcd's own Go client uses.

import {
  type KeyValue,
  RangeResponse,
  type ResponseHeader,
  SortOrder,
  SortTarget,
} from "@etcd-ts/api";
import { type Bytes, concatBytes, utf8ToBytes } from "@etcd-ts/base";
import type { Client } from "./client.ts";
import { type BytesInput, prefixEnd, toBytes } from "./keys.ts";
import {
  calls,
  claimKey,
  makeClaim,
  olderClaimsGone,
  type WaitOptions,
  withdraw,
  withdrawMsMax,
} from "./mutex.ts";
import type { AbortSignalLike, CallOptions } from "./options.ts";
import type { Session } from "./session.ts";
import { compare, op } from "./txn.ts";

export class Election {
  /** The key of this session's candidacy. */
  readonly key: Bytes;
  readonly #session: Session;
  readonly #prefix: Bytes;
  #revision = 0;

  constructor(session: Session, name: BytesInput) {
    this.#session = session;
    this.#prefix = electionPrefix(name);
    this.key = claimKey(this.#prefix, session.leaseId);
  }

  /** Grows with every leader; 0 while this session does not lead. */
  get fencingRevision(): number {
    return this.#revision;
  }

  /** Resolves when this session leads, with `value` proclaimed. Rejects as `Mutex.lock` does. */
  async campaign(value: BytesInput, options: WaitOptions = {}): Promise<void> {
    const bytes = toBytes(value);
    const claim = await makeClaim(this.#session, this.key, bytes, options.signal);
    this.#revision = claim.revision;
    try {
      if (claim.existed) await this.proclaim(bytes);
      await olderClaimsGone(
        this.#session,
        this.#prefix,
        claim.revision,
        claim.header,
        options.signal,
      );
    } catch (error) {
      await withdraw(this.resign({ timeoutMs: withdrawMsMax }));
      throw error;
    }
  }

  /** Changes what the leader says; throws when it leads no longer. */
  async proclaim(value: BytesInput): Promise<void> {
    // Revision 0 would compare equal to a key that is not there.
    if (this.#revision === 0) throw new Error("election: not leader");
    const response = await this.#session.client.txn({
      compare: [compare.createRevision(this.key, "=", this.#revision)],
      success: [op.put(this.key, value, { lease: this.#session.leaseId })],
    });
    if (!response.succeeded) {
      this.#revision = 0;
      throw new Error("election: not leader");
    }
  }

  /** Gives leadership, or the candidacy, up. */
  async resign(options: CallOptions = {}): Promise<void> {
    const revision = this.#revision;
    this.#revision = 0;
    if (revision === 0) return;
    await this.#session.client.txn({
      compare: [compare.createRevision(this.key, "=", revision)],
      success: [op.delete({ key: this.key })],
      ...options,
    });
  }
}

/**
 * The leaders of an election, one after the other, and everything that each proclaims: responses of one pair.
 * Waits while there is no leader.
 */
export async function* observeElection(
  client: Client,
  name: BytesInput,
  options: WaitOptions = {},
): AsyncGenerator<RangeResponse, void, void> {
  const prefix = electionPrefix(name);
  const { signal } = options;
  for (;;) {
    const leader = await firstClaim(client, prefix, signal);
    if (leader.kv === undefined) {
      await nextPut(client, prefix, leader.revision + 1, signal);
      continue;
    }
    yield pairResponse(leader.header, leader.kv);
    await using watch = client.watch({
      key: leader.kv.key,
      startRevision: leader.revision + 1,
      ...calls(signal),
    });
    following: for await (const response of watch.responses()) {
      for (const event of response.events) {
        if (event.type !== 0 || event.kv === undefined) break following; // It resigned, or was lost.
        yield pairResponse(response.header, event.kv);
      }
    }
  }
}

function electionPrefix(name: BytesInput): Bytes {
  return concatBytes([toBytes(name), utf8ToBytes("/")]);
}

async function firstClaim(
  client: Client,
  prefix: Bytes,
  signal: AbortSignalLike | undefined,
): Promise<{
  readonly kv: KeyValue | undefined;
  readonly header: ResponseHeader | undefined;
  readonly revision: number;
}> {
  const response = await client.kv.range(
    {
      key: prefix,
      rangeEnd: prefixEnd(prefix),
      sortOrder: SortOrder.ASCEND,
      sortTarget: SortTarget.CREATE,
      limit: 1n,
    },
    calls(signal),
  );
  const { header } = response;
  return { kv: response.kvs[0], header, revision: header?.revision ?? 0 };
}

/** Waits until somebody puts a key under the prefix. */
async function nextPut(
  client: Client,
  prefix: Bytes,
  startRevision: number,
  signal: AbortSignalLike | undefined,
): Promise<void> {
  await using watch = client.watch({ prefix, startRevision, except: "deletes", ...calls(signal) });
  for await (const _event of watch) return;
}

function pairResponse(header: ResponseHeader | undefined, kv: KeyValue): RangeResponse {
  return Object.assign(new RangeResponse(), { header, kvs: [kv], count: 1 });
}

// A lock among sessions, fair in the order in which they asked.
//
// Who wants it puts the key `<name>/<lease id>` and waits until every key under `<name>/` that was created
// before has gone. Etcd's own Go client does it the same way, so both exclude each other. A lock that a
// pause may outlive protects nothing by itself: hand its `fencingRevision` along with what it protects.

import { ApiError, type ResponseHeader, SortOrder, SortTarget } from "@etcd-ts/api";
import { type Bytes, background, concatBytes, utf8ToBytes } from "@etcd-ts/base";
import { RpcError } from "@etcd-ts/rpc";
import { type BytesInput, prefixEnd, toBytes } from "./keys.ts";
import type { AbortSignalLike, CallOptions } from "./options.ts";
import type { Session } from "./session.ts";
import { compare, op } from "./txn.ts";

export interface WaitOptions {
  readonly signal?: AbortSignalLike;
}

/** The session ended while its key waited. */
export class SessionLostError extends Error {
  override readonly name = "SessionLostError";
}

export class Mutex {
  /** The key that stands for this session's claim. */
  readonly key: Bytes;
  readonly #session: Session;
  readonly #prefix: Bytes;
  #revision = 0;
  #header: ResponseHeader | undefined;

  constructor(session: Session, name: BytesInput) {
    this.#session = session;
    this.#prefix = concatBytes([toBytes(name), utf8ToBytes("/")]);
    this.key = claimKey(this.#prefix, session.leaseId);
  }

  /** Grows with every holder; 0 before the lock was held. */
  get fencingRevision(): number {
    return this.#revision;
  }

  /** Of the answer that gave the lock. */
  get header(): ResponseHeader | undefined {
    return this.#header;
  }

  /**
   * Resolves when the lock is held. Rejects with the signal's reason (the claim is withdrawn then),
   * `SessionLostError`, or what calls reject with.
   */
  async lock(options: WaitOptions = {}): Promise<void> {
    const claim = await makeClaim(this.#session, this.key, utf8ToBytes(""), options.signal);
    this.#revision = claim.revision;
    this.#header = claim.header;
    try {
      this.#header = await olderClaimsGone(
        this.#session,
        this.#prefix,
        claim.revision,
        claim.header,
        options.signal,
      );
      const { client } = this.#session;
      if ((await client.get(this.key, calls(options.signal))) === undefined) {
        throw new SessionLostError("mutex: session is expired");
      }
    } catch (error) {
      await withdraw(this.unlock({ timeoutMs: withdrawMsMax }));
      throw error;
    }
  }

  /** Gives the lock back, or withdraws the claim. */
  async unlock(options: CallOptions = {}): Promise<void> {
    this.#revision = 0;
    await this.#session.client.delete(this.key, options);
  }
}

/** Time to take a claim back that came to nothing. */
export const withdrawMsMax = 1_000;

/** Waits for a withdrawal; when it fails, the claim goes with its lease, and the caller has worse news. */
export async function withdraw(task: Promise<unknown>): Promise<void> {
  try {
    await task;
  } catch (error) {
    if (!(error instanceof ApiError) && !(error instanceof RpcError)) throw error;
  }
}

export function claimKey(prefix: Bytes, leaseId: bigint): Bytes {
  return concatBytes([prefix, utf8ToBytes(BigInt.asUintN(64, leaseId).toString(16))]);
}

export interface Claim {
  /** Create revision of the claim's key: its place in the queue. */
  readonly revision: number;
  readonly header: ResponseHeader | undefined;
  /** The key was there before. */
  readonly existed: boolean;
}

/** Puts the session's key, unless it is there. */
export async function makeClaim(
  session: Session,
  key: Bytes,
  value: Bytes,
  signal: AbortSignalLike | undefined,
): Promise<Claim> {
  const response = await session.client.txn({
    compare: [compare.createRevision(key, "=", 0)],
    success: [op.put(key, value, { lease: session.leaseId })],
    failure: [op.get({ key })],
    ...calls(signal),
  });
  const existing = response.responses[0]?.responseRange?.kvs[0];
  const revision = existing?.createRevision ?? response.header?.revision ?? 0;
  return { revision, header: response.header, existed: existing !== undefined };
}

/** Waits until no key under the prefix was created before `revision`. */
export async function olderClaimsGone(
  session: Session,
  prefix: Bytes,
  revision: number,
  header: ResponseHeader | undefined,
  signal: AbortSignalLike | undefined,
): Promise<ResponseHeader | undefined> {
  const { client } = session;
  let last = header;
  for (;;) {
    const response = await client.kv.range(
      {
        key: prefix,
        rangeEnd: prefixEnd(prefix),
        maxCreateRevision: BigInt(revision - 1),
        sortOrder: SortOrder.DESCEND,
        sortTarget: SortTarget.CREATE,
        limit: 1n,
        keysOnly: true,
      },
      calls(signal),
    );
    last = response.header ?? last;
    const ahead = response.kvs[0];
    if (ahead === undefined) return last;
    const startRevision = (response.header?.revision ?? 0) + 1;
    const watch = client.watch({
      key: ahead.key,
      startRevision,
      except: "puts",
      ...calls(signal),
    });
    // Whose lease is gone will never be first.
    let isOver = false;
    const onEnd = session.ended.then(() => {
      isOver = true;
      watch.close();
    });
    background(onEnd, () => watch.close());
    try {
      for await (const _event of watch) break;
    } finally {
      watch.close();
    }
    if (isOver) throw new SessionLostError("mutex: session is expired");
  }
}

export function calls(signal: AbortSignalLike | undefined): CallOptions {
  return signal === undefined ? {} : { signal };
}

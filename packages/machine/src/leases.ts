// Leases as replicated state: who has how much time to live and which keys hang on it. Nobody counts down
// here; that is the leader's lease keeper. Bucket `lease`:
//
//     key     id, 8 bytes big-endian
//     value   leasepb.Lease: 1 id, 2 ttl (s), 3 remaining ttl (s, 0: all of it)
//
// Which keys belong to a lease is not stored: it is in the newest KeyValue of each key and comes back when
// the index is rebuilt. A key knows its lease by a place number in its index slot (0: none), so a key
// without a lease, as most are, costs nothing.

import {
  allocateBytes,
  type Bytes,
  CorruptionError,
  equalBytes,
  type Key,
  sizeVarint,
  sizeVarint64,
  WireError,
  WireReader,
  writeVarint,
  writeVarint64,
} from "@etcd-ts/base";
import type { Backend } from "./backend.ts";

/** Beyond this a grant is refused. */
export const leaseTtlMax = 9_000_000_000;

export class Lease {
  readonly id: bigint;
  /** Seconds that a grant or renewal gives. */
  readonly ttl: number;
  /** Seconds left as of the last checkpoint; 0: there was none. */
  remainingTtl: number;
  /** What key slots hold to name this lease; above 0. */
  readonly place: number;
  readonly #keys: Set<Key> = new Set();

  constructor(id: bigint, ttl: number, remainingTtl: number, place: number) {
    this.id = id;
    this.ttl = ttl;
    this.remainingTtl = remainingTtl;
    this.place = place;
  }

  get keyCount(): number {
    return this.#keys.size;
  }

  /** In byte order. */
  keys(): Key[] {
    return [...this.#keys].sort();
  }

  attach(key: Key): void {
    this.#keys.add(key);
  }

  detach(key: Key): void {
    this.#keys.delete(key);
  }
}

export class Leases {
  readonly #backend: Backend;
  readonly #byId: Map<bigint, Lease> = new Map();
  /** By place; the first is never used. */
  readonly #byPlace: (Lease | undefined)[] = [undefined];
  readonly #freePlaces: number[] = [];

  constructor(backend: Backend) {
    this.#backend = backend;
  }

  get size(): number {
    return this.#byId.size;
  }

  get(id: bigint): Lease | undefined {
    return this.#byId.get(id);
  }

  all(): IterableIterator<Lease> {
    return this.#byId.values();
  }

  /** Adds a lease that does not exist and stores it. */
  grant(id: bigint, ttl: number): Lease {
    const lease = this.#add(id, ttl, 0);
    this.#store(lease);
    return lease;
  }

  /** Removes a lease, whose keys are gone already. */
  remove(lease: Lease): void {
    this.#byId.delete(lease.id);
    this.#byPlace[lease.place] = undefined;
    this.#freePlaces.push(lease.place);
    this.#backend.delete("lease", encodeLeaseKey(lease.id));
  }

  checkpoint(lease: Lease, remainingTtl: number, persist: boolean): void {
    lease.remainingTtl = remainingTtl;
    if (persist) this.#store(lease);
  }

  detach(place: number, key: Key): void {
    this.#byPlace[place]!.detach(key);
  }

  /** While opening: takes a stored lease back; a TTL below the minimum is raised. */
  restore(value: Bytes, ttlMin: number): void {
    const stored = decodeLease(value);
    this.#add(stored.id, Math.max(stored.ttl, ttlMin), stored.remainingTtl);
  }

  #add(id: bigint, ttl: number, remainingTtl: number): Lease {
    const place = this.#freePlaces.pop() ?? this.#byPlace.length;
    const lease = new Lease(id, ttl, remainingTtl, place);
    this.#byPlace[place] = lease;
    this.#byId.set(id, lease);
    return lease;
  }

  #store(lease: Lease): void {
    this.#backend.put("lease", encodeLeaseKey(lease.id), encodeLease(lease));
  }
}

/** Throws `CorruptionError` when this cannot stand in the bucket `lease`. */
export function checkLeaseRecord(key: Bytes, value: Bytes): void {
  const { id } = decodeLease(value);
  if (key.length !== 8 || !equalBytes(key, encodeLeaseKey(id))) {
    throw new CorruptionError("bucket lease", 0, "a lease under another id");
  }
}

function encodeLeaseKey(id: bigint): Bytes {
  const key = allocateBytes(8);
  let rest = BigInt.asUintN(64, id);
  for (let i = 7; i >= 0; i--) {
    key[i] = Number(rest & 255n);
    rest >>= 8n;
  }
  return key;
}

function encodeLease(lease: Lease): Bytes {
  const { id, ttl, remainingTtl } = lease;
  let size = 0;
  if (id !== 0n) size += 1 + sizeVarint64(id);
  if (ttl !== 0) size += 1 + sizeVarint(ttl);
  if (remainingTtl !== 0) size += 1 + sizeVarint64(BigInt(remainingTtl));
  const bytes = allocateBytes(size);
  let at = 0;
  if (id !== 0n) {
    bytes[at] = 0x08;
    at = writeVarint64(bytes, at + 1, id);
  }
  if (ttl !== 0) {
    bytes[at] = 0x10;
    at = writeVarint(bytes, at + 1, ttl);
  }
  if (remainingTtl !== 0) {
    bytes[at] = 0x18;
    writeVarint64(bytes, at + 1, BigInt(remainingTtl));
  }
  return bytes;
}

function decodeLease(bytes: Bytes): { id: bigint; ttl: number; remainingTtl: number } {
  const lease = { id: 0n, ttl: 0, remainingTtl: 0 };
  try {
    const reader = new WireReader(bytes, 0, bytes.length);
    while (reader.position < reader.end) {
      const tag = reader.tag();
      if (tag === 0x08) lease.id = reader.bigInt64();
      else if (tag === 0x10) lease.ttl = reader.int64();
      else if (tag === 0x18) lease.remainingTtl = reader.int64();
      else reader.skip(tag);
    }
  } catch (cause) {
    if (!(cause instanceof WireError)) throw cause;
    throw new CorruptionError("bucket lease", 0, "undecodable lease", { cause });
  }
  return lease;
}

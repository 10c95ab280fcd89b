// Identities: members, the cluster, requests. All are etcd's own, bit for bit, because stock tools and
// stock members compare them.

import { allocateBytes, type Bytes, concatBytes, type Digests, utf8ToBytes } from "@etcd-ts/base";

/**
 * The first eight bytes of SHA-1 over the sorted peer URLs, the cluster token and, for a member that is
 * added to a running cluster, the time of that in seconds.
 */
export function memberIdOf(
  digests: Digests,
  peerUrls: readonly string[],
  clusterToken: string,
  addedAtSeconds?: number,
): bigint {
  const urls = [...peerUrls].sort().join("");
  const time = addedAtSeconds === undefined ? "" : String(addedAtSeconds);
  return firstEight(digests.sha1(utf8ToBytes(urls + clusterToken + time)));
}

/** The first eight bytes of SHA-1 over the ids of the founding members in ascending order. */
export function clusterIdOf(digests: Digests, memberIds: readonly bigint[]): bigint {
  const sorted = [...memberIds].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  return firstEight(digests.sha1(concatBytes(sorted.map(bigEndian))));
}

/** As etcd prints ids: lower-case hexadecimal without leading zeros. */
export function hexId(id: bigint): string {
  return id.toString(16);
}

export function bigEndian(id: bigint): Bytes {
  const bytes = allocateBytes(8);
  let rest = id;
  for (let i = 7; i >= 0; i--) {
    bytes[i] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  return bytes;
}

function firstEight(digest: Bytes): bigint {
  let id = 0n;
  for (let i = 0; i < 8; i++) id = (id << 8n) | BigInt(digest[i]!);
  return id;
}

const low48 = 2 ** 48;

/**
 * Request ids: 16 bits of the member id, then 48 bits that start at the time in milliseconds (40 bits)
 * and a counter of 8 and grow by one a request. The 48 bits travel through the hot path as a plain number;
 * the whole id is made where it is written.
 */
export class RequestIds {
  /** The low 16 bits of the member id, which are the top 16 of every request id of this member. */
  readonly high16: number;
  #low: number;

  constructor(memberId: bigint, wallMs: number) {
    this.high16 = Number(memberId & 0xffffn);
    this.#low = (Math.floor(wallMs) % 2 ** 40) * 256;
  }

  /** The low 48 bits of the next id. Never 0. */
  next(): number {
    this.#low += 1;
    if (this.#low >= low48) this.#low = 1;
    return this.#low;
  }

  whole(low: number): bigint {
    return (BigInt(this.high16) << 48n) | BigInt(low);
  }

  /** A lease id: positive, so the top bit is cleared. */
  nextLeaseId(): bigint {
    return this.whole(this.next()) & 0x7fff_ffff_ffff_ffffn;
  }
}

// Draws the operations of a differential run from a seed. It keeps just enough of a model (revision,
// compact revision, keys, leases) to hit interesting places: revisions around the edges, keys that exist,
// leases that do not, ranges that are empty or inverted, and requests that must be refused.

import {
  CompactionRequest,
  Compare,
  DeleteRangeRequest,
  HashKVRequest,
  LeaseGrantRequest,
  LeaseLeasesRequest,
  LeaseRevokeRequest,
  LeaseTimeToLiveRequest,
  PutRequest,
  RangeRequest,
  RequestOp,
  TxnRequest,
  WatchCreateRequest,
} from "@etcd-ts/api";
import { type Bytes, copyBytes, emptyBytes, SeededRandom, utf8ToBytes } from "@etcd-ts/base";

export type Operation =
  | { readonly kind: "put"; readonly request: PutRequest }
  | { readonly kind: "range"; readonly request: RangeRequest }
  | { readonly kind: "delete"; readonly request: DeleteRangeRequest }
  | { readonly kind: "txn"; readonly request: TxnRequest }
  | { readonly kind: "compact"; readonly request: CompactionRequest }
  | { readonly kind: "hashKv"; readonly request: HashKVRequest }
  | { readonly kind: "leaseGrant"; readonly request: LeaseGrantRequest }
  | { readonly kind: "leaseRevoke"; readonly request: LeaseRevokeRequest }
  | { readonly kind: "leaseTimeToLive"; readonly request: LeaseTimeToLiveRequest }
  | { readonly kind: "leaseLeases"; readonly request: LeaseLeasesRequest }
  | { readonly kind: "malformed"; readonly path: string; readonly message: Bytes }
  | { readonly kind: "watch"; readonly request: WatchCreateRequest }
  | { readonly kind: "unwatch"; readonly watchId: bigint };

export interface GeneratorOptions {
  readonly seed: number;
  /** Largest ordinary value; now and then one of `hugeBytes` comes as well. */
  readonly hugeBytes: number;
  /** Releases before 3.5.16 forget a tombstone that stands exactly at the compact revision. */
  readonly compactOnlyAtPuts: boolean;
  /** Unknown sort orders and targets; old releases panic on them. */
  readonly unknownSorts: boolean;
  /**
   * Transactions only read the present: where a write transaction reads a revision that is not there, stock
   * members but the proposing one apply its puts, and a cluster of several falls apart.
   */
  readonly txnsReadPresent?: boolean;
}

const watchCountMax = 12;
const leaseCountMax = 24;

export class Generator {
  readonly #random: SeededRandom;
  readonly #options: GeneratorOptions;
  readonly #keys: Bytes[];
  readonly #leases: bigint[] = [];
  readonly #watches: bigint[] = [];
  /** Revisions whose changes were all puts; candidates for a compaction on old releases. */
  #putRevisions: number[] = [];
  #nextLease = 1000n;
  #nextWatch = 1n;
  #revision = 1;
  #compactRevision = 0;

  constructor(options: GeneratorOptions) {
    this.#random = new SeededRandom(options.seed);
    this.#options = options;
    this.#keys = makeKeys(this.#random);
  }

  /** What the servers answered: keeps the model near the truth. */
  learn(operation: Operation, revision: number, succeeded: boolean): void {
    if (operation.kind === "compact" && succeeded) {
      this.#compactRevision = Number(operation.request.revision);
      this.#putRevisions = this.#putRevisions.filter((it) => it > this.#compactRevision);
    }
    if (operation.kind === "leaseGrant" && succeeded) this.#leases.push(operation.request.id);
    if (operation.kind === "leaseRevoke" && succeeded) {
      const at = this.#leases.indexOf(operation.request.id);
      if (at >= 0) this.#leases.splice(at, 1);
    }
    if (revision > this.#revision) {
      if (operation.kind === "put") this.#putRevisions.push(revision);
      this.#revision = revision;
    }
  }

  next(): Operation {
    const dice = this.#random.below(1000);
    if (dice < 300) return { kind: "put", request: this.#put() };
    if (dice < 540) return { kind: "range", request: this.#range() };
    if (dice < 620) return { kind: "delete", request: this.#delete() };
    if (dice < 790) return { kind: "txn", request: keepStockAlive(this.#txn(0)) };
    if (dice < 800) return this.#compact();
    if (dice < 830) return { kind: "hashKv", request: this.#hashKv() };
    if (dice < 870) return this.#leaseGrant();
    if (dice < 890) return this.#leaseRevoke();
    if (dice < 910) return this.#timeToLive();
    if (dice < 914) return { kind: "leaseLeases", request: new LeaseLeasesRequest() };
    if (dice < 924) return this.#malformed();
    if (dice < 970 && this.#watches.length < watchCountMax) return this.#watch();
    if (dice < 990 && this.#watches.length > 0) {
      const [watchId] = this.#watches.splice(this.#random.below(this.#watches.length), 1);
      return { kind: "unwatch", watchId: watchId as bigint };
    }
    return { kind: "put", request: this.#put() };
  }

  #oneIn(count: number): boolean {
    return this.#random.below(count) === 0;
  }

  #unknown(count: number): boolean {
    return this.#oneIn(count) && this.#options.unknownSorts;
  }

  #key(): Bytes {
    return this.#oneIn(80) ? emptyBytes : this.#random.pick(this.#keys);
  }

  /** A range end in every form that the conventions know, inverted ones included. */
  #rangeEnd(key: Bytes): Bytes {
    switch (this.#random.below(8)) {
      case 0:
      case 1:
      case 2:
        return emptyBytes;
      case 3:
        return new Uint8Array([0]);
      case 4:
        return prefixEnd(key);
      case 5:
        return key;
      default:
        return this.#random.pick(this.#keys);
    }
  }

  #value(): Bytes {
    const dice = this.#random.below(200);
    if (dice === 0) return this.#random.bytes(this.#options.hugeBytes);
    if (dice < 20) return emptyBytes;
    return this.#random.bytes(1 + this.#random.below(64));
  }

  #lease(): bigint {
    if (!this.#oneIn(5)) return 0n;
    if (this.#oneIn(6) || this.#leases.length === 0) return BigInt(this.#random.below(50));
    return this.#random.pick(this.#leases);
  }

  #put(): PutRequest {
    const request = new PutRequest();
    request.key = this.#key();
    request.value = this.#value();
    request.lease = this.#lease();
    request.prevKv = this.#oneIn(4);
    if (this.#oneIn(25)) {
      request.ignoreValue = true;
      if (!this.#oneIn(4)) request.value = emptyBytes;
    }
    if (this.#oneIn(25)) {
      request.ignoreLease = true;
      if (!this.#oneIn(4)) request.lease = 0n;
    }
    return request;
  }

  /** A revision: mostly the latest, else one around the edges of what can be read. */
  #readRevision(): bigint {
    switch (this.#random.below(12)) {
      case 0:
        return BigInt(this.#compactRevision);
      case 1:
        return BigInt(Math.max(this.#compactRevision - 1, 0));
      case 2:
        return BigInt(this.#revision + this.#random.below(3));
      case 3:
      case 4:
        return BigInt(this.#revision - this.#random.below(50));
      case 5:
        return this.#oneIn(4) ? -1n : 0n;
      case 6:
        return this.#oneIn(4) ? 0x7fff_ffff_ffff_ffffn : 0n;
      default:
        return 0n;
    }
  }

  #boundRevision(): bigint {
    return this.#oneIn(10) ? BigInt(this.#random.below(this.#revision + 10)) : 0n;
  }

  #range(): RangeRequest {
    const request = new RangeRequest();
    request.key = this.#key();
    request.rangeEnd = this.#rangeEnd(request.key);
    if (this.#oneIn(3)) request.limit = BigInt(this.#random.below(8) - 1);
    request.revision = this.#readRevision();
    // Ties between equal sort targets come in no particular order, so only unique targets are sorted by,
    // unless nothing is cut off and the comparison can ignore the order.
    if (this.#oneIn(4)) {
      request.sortOrder = this.#random.below(this.#unknown(20) ? 5 : 3);
      request.sortTarget = this.#unknown(20) ? 7 : this.#random.pick([0, 0, 3, 3, 2, 1, 4]);
      // Keys of one transaction tie in their revisions, too.
      if (request.sortTarget !== 0) request.limit = 0n;
    }
    request.serializable = this.#oneIn(3);
    request.keysOnly = this.#oneIn(8);
    request.countOnly = this.#oneIn(8);
    request.minModRevision = this.#boundRevision();
    request.maxModRevision = this.#boundRevision();
    request.minCreateRevision = this.#boundRevision();
    request.maxCreateRevision = this.#boundRevision();
    return request;
  }

  #delete(): DeleteRangeRequest {
    const request = new DeleteRangeRequest();
    request.key = this.#key();
    request.rangeEnd = this.#oneIn(3) ? this.#rangeEnd(request.key) : emptyBytes;
    // Everything goes only now and then, or there would be nothing to read.
    if (request.rangeEnd.length === 1 && request.rangeEnd[0] === 0 && !this.#oneIn(10)) {
      request.rangeEnd = emptyBytes;
    }
    request.prevKv = this.#oneIn(3);
    return request;
  }

  #compare(): Compare {
    const compare = new Compare();
    compare.key = this.#key();
    if (this.#oneIn(4)) compare.rangeEnd = this.#rangeEnd(compare.key);
    compare.result = this.#random.below(this.#oneIn(30) ? 7 : 4);
    compare.target = this.#random.below(this.#oneIn(30) ? 7 : 5);
    const operand = this.#oneIn(40) ? this.#random.below(5) : compare.target;
    switch (operand) {
      case 0:
        compare.version = BigInt(this.#random.below(4));
        break;
      case 1:
        compare.createRevision = this.#boundRevision();
        break;
      case 2:
        compare.modRevision = BigInt(this.#random.below(this.#revision + 2));
        break;
      case 3:
        compare.value = this.#value();
        break;
      case 4:
        compare.lease = this.#lease();
        break;
      default:
    }
    return compare;
  }

  #txn(depth: number): TxnRequest {
    const request = new TxnRequest();
    for (let n = this.#random.below(3); n > 0; n--) request.compare.push(this.#compare());
    const opCountMax = depth === 0 && this.#oneIn(150) ? 135 : 5;
    for (let n = this.#random.below(opCountMax); n > 0; n--) request.success.push(this.#op(depth));
    for (let n = this.#random.below(opCountMax); n > 0; n--) request.failure.push(this.#op(depth));
    return request;
  }

  #op(depth: number): RequestOp {
    const op = new RequestOp();
    const dice = this.#random.below(100);
    if (dice < 45) op.requestPut = this.#put();
    else if (dice < 75) {
      op.requestRange = this.#range();
      if (this.#options.txnsReadPresent === true) op.requestRange.revision = 0n;
    } else if (dice < 88) op.requestDeleteRange = this.#delete();
    else if (dice < 99 && depth < 3) op.requestTxn = this.#txn(depth + 1);
    return op; // with nothing set now and then: an error of its own
  }

  #compact(): Operation {
    const request = new CompactionRequest();
    const candidates = this.#putRevisions.slice(0, -20);
    if (this.#options.compactOnlyAtPuts) {
      request.revision = BigInt(
        candidates.length > 0 ? this.#random.pick(candidates) : this.#compactRevision,
      );
    } else {
      const span = this.#revision - this.#compactRevision + 3;
      request.revision = BigInt(this.#compactRevision + this.#random.below(Math.max(span, 1)));
    }
    // Stock remembers the hash of a compaction at 0 as the answer for "revision 0", the present one.
    if (request.revision === 0n) request.revision = 1n;
    request.physical = this.#oneIn(2);
    return { kind: "compact", request };
  }

  #hashKv(): HashKVRequest {
    const request = new HashKVRequest();
    if (this.#oneIn(2)) {
      // Strictly above the compact revision: old releases refuse the revision itself.
      const span = this.#revision - this.#compactRevision;
      request.revision = BigInt(this.#compactRevision + 1 + this.#random.below(span + 2));
    }
    return request;
  }

  #leaseGrant(): Operation {
    const request = new LeaseGrantRequest();
    const known = this.#leases.length > 0 && this.#oneIn(10);
    if (known || this.#leases.length >= leaseCountMax) request.id = this.#random.pick(this.#leases);
    else request.id = this.#oneIn(12) ? -this.#nextLease++ : this.#nextLease++;
    request.ttl = BigInt(this.#oneIn(12) ? 9_000_000_001 : 3_000 + this.#random.below(100_000));
    return { kind: "leaseGrant", request };
  }

  #leaseRevoke(): Operation {
    const request = new LeaseRevokeRequest();
    request.id =
      this.#leases.length === 0 || this.#oneIn(5) ? 77n : this.#random.pick(this.#leases);
    return { kind: "leaseRevoke", request };
  }

  #timeToLive(): Operation {
    const request = new LeaseTimeToLiveRequest();
    request.id =
      this.#leases.length === 0 || this.#oneIn(5) ? 77n : this.#random.pick(this.#leases);
    request.keys = this.#oneIn(2);
    return { kind: "leaseTimeToLive", request };
  }

  /** Bytes that are no message: both must refuse them alike and live on. */
  #malformed(): Operation {
    const path = this.#random.pick([
      "/etcdserverpb.KV/Put",
      "/etcdserverpb.KV/Range",
      "/etcdserverpb.KV/Txn",
      "/etcdserverpb.KV/DeleteRange",
      "/etcdserverpb.Lease/LeaseGrant",
    ]);
    const message = this.#random.pick([
      new Uint8Array([0x0a, 0x05, 0x61]), // a key longer than the message
      new Uint8Array([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]),
      new Uint8Array([0x0a]),
      new Uint8Array([0x00, 0x01]), // field number 0
    ]);
    return { kind: "malformed", path, message };
  }

  #watch(): Operation {
    const request = new WatchCreateRequest();
    request.watchId = this.#nextWatch++;
    this.#watches.push(request.watchId);
    request.key = this.#random.pick(this.#keys);
    request.rangeEnd = this.#random.pick([
      emptyBytes,
      prefixEnd(request.key),
      new Uint8Array([0]),
      this.#random.pick(this.#keys),
    ]);
    if (this.#oneIn(2)) {
      const span = this.#revision - this.#compactRevision + 4;
      request.startRevision = BigInt(this.#compactRevision + 1 + this.#random.below(span));
      if (this.#oneIn(8))
        request.startRevision = BigInt(this.#random.below(this.#compactRevision + 1));
    }
    request.prevKv = this.#oneIn(2);
    if (this.#oneIn(4)) request.filters = [this.#random.below(2)];
    return { kind: "watch", request };
  }
}

/**
 * Stock's check for a key that is written twice does not see what a delete "from a key on" covers. A put
 * with `ignore_value` or `ignore_lease` of such a key passes all checks, finds nothing when it is applied,
 * and stock panics. So these options are left out beside such a delete.
 */
function keepStockAlive(txn: TxnRequest): TxnRequest {
  const ops = allOps(txn);
  const deletesFromKeyOn = ops.some((op) => {
    const rangeEnd = op.requestDeleteRange?.rangeEnd;
    return rangeEnd?.length === 1 && rangeEnd[0] === 0;
  });
  if (!deletesFromKeyOn) return txn;
  for (const { requestPut } of ops) {
    if (requestPut === undefined) continue;
    requestPut.ignoreValue = false;
    requestPut.ignoreLease = false;
  }
  return txn;
}

function allOps(txn: TxnRequest): RequestOp[] {
  return [...txn.success, ...txn.failure].flatMap((op) =>
    op.requestTxn === undefined ? [op] : [op, ...allOps(op.requestTxn)],
  );
}

/** Keys with shared prefixes, raw bytes at both ends of the alphabet and one that is long. */
function makeKeys(random: SeededRandom): Bytes[] {
  const keys: Bytes[] = [];
  for (const folder of ["a", "a/", "b/x/", "k"]) {
    for (let i = 0; i < 8; i++) keys.push(utf8ToBytes(`${folder}${i}`));
  }
  keys.push(new Uint8Array([0]), new Uint8Array([0, 0]), new Uint8Array([0xff]));
  keys.push(
    new Uint8Array([0xff, 0xff]),
    new Uint8Array([0x61, 0xff]),
    new Uint8Array([0xc3, 0x28]),
  );
  keys.push(random.bytes(400));
  for (let i = 0; i < 6; i++) keys.push(random.bytes(1 + random.below(5)));
  return keys;
}

/** The end of the range of all keys with this prefix (semantics of clients: `WithPrefix`). */
function prefixEnd(prefix: Bytes): Bytes {
  for (let i = prefix.length - 1; i >= 0; i--) {
    const byte = prefix[i] as number;
    if (byte < 0xff) {
      const end = copyBytes(prefix.subarray(0, i + 1));
      end[i] = byte + 1;
      return end;
    }
  }
  return new Uint8Array([0]);
}

// Random requests over few keys, so that everything meets everything.

import {
  Compare,
  DeleteRangeRequest,
  PutRequest,
  RangeRequest,
  RequestOp,
  TxnRequest,
} from "@etcd-ts/api";
import { build, type SeededRandom } from "@etcd-ts/base";
import { bytes } from "./driver.ts";

const names = ["a", "aa", "ab", "b", "b\0", "ba", "c", "\x01", "\x7f", "\xff", "\xff\xff"];

export class RandomRequests {
  readonly random: SeededRandom;
  readonly leases: readonly bigint[] = [1n, 2n, 3n, -4n, 0x7fff_ffff_ffff_ffffn];

  constructor(random: SeededRandom) {
    this.random = random;
  }

  key(): string {
    const { random } = this;
    return random.chance(1, 6) ? `a${random.below(30)}` : random.pick(names);
  }

  end(): string {
    const { random } = this;
    if (random.chance(1, 2)) return "";
    return random.chance(1, 4) ? "\0" : this.key();
  }

  value(): string {
    const { random } = this;
    if (random.chance(1, 8)) return "";
    if (random.chance(1, 20)) return "v".repeat(random.below(3000));
    return String(random.below(5));
  }

  put(): PutRequest {
    const { random } = this;
    const request = build(PutRequest, {
      key: bytes(this.key()),
      prevKv: random.chance(1, 3),
      ignoreValue: random.chance(1, 10),
      ignoreLease: random.chance(1, 10),
    });
    if (!request.ignoreValue) request.value = bytes(this.value());
    if (!request.ignoreLease && random.chance(1, 4)) request.lease = random.pick(this.leases);
    return request;
  }

  delete(): DeleteRangeRequest {
    return build(DeleteRangeRequest, {
      key: bytes(this.key()),
      rangeEnd: bytes(this.end()),
      prevKv: this.random.chance(1, 2),
    });
  }

  range(revision: number): RangeRequest {
    const { random } = this;
    const some = (): bigint => (random.chance(1, 5) ? BigInt(random.below(revision + 2)) : 0n);
    return build(RangeRequest, {
      key: bytes(random.chance(1, 4) ? "\0" : this.key()),
      rangeEnd: bytes(random.chance(1, 4) ? "\0" : this.end()),
      revision: random.chance(1, 3) ? BigInt(random.below(revision + 3) - 1) : 0n,
      limit: random.chance(1, 3) ? BigInt(random.below(6) - 1) : 0n,
      sortOrder: random.chance(1, 2) ? 0 : random.below(3),
      sortTarget: random.chance(1, 2) ? 0 : random.below(5),
      keysOnly: random.chance(1, 5),
      countOnly: random.chance(1, 8),
      minModRevision: some(),
      maxModRevision: some(),
      minCreateRevision: some(),
      maxCreateRevision: some(),
    });
  }

  compare(revision: number): Compare {
    const { random } = this;
    const compare = build(Compare, {
      key: bytes(this.key()),
      rangeEnd: bytes(random.chance(1, 3) ? this.end() : ""),
      result: random.below(4),
      target: random.below(5),
    });
    const operand = BigInt(random.below(revision + 2));
    const target = random.chance(1, 10) ? random.below(5) : compare.target;
    if (target === 0) compare.version = BigInt(random.below(4));
    if (target === 1) compare.createRevision = operand;
    if (target === 2) compare.modRevision = operand;
    if (target === 3) compare.value = bytes(this.value());
    if (target === 4) compare.lease = random.chance(1, 2) ? 0n : random.pick(this.leases);
    return compare;
  }

  /** Keeps etcd's rule that one transaction changes a key once. */
  txn(revision: number, depth = 0, used: Set<string> = new Set()): TxnRequest {
    const { random } = this;
    const txn = new TxnRequest();
    for (let i = random.below(3); i > 0; i--) txn.compare.push(this.compare(revision));
    const success = new Set(used);
    const failure = new Set(used);
    for (let i = random.below(5); i > 0; i--) this.#op(txn.success, revision, depth, success);
    for (let i = random.below(5); i > 0; i--) this.#op(txn.failure, revision, depth, failure);
    for (const key of [...success, ...failure]) used.add(key);
    return txn;
  }

  #op(ops: RequestOp[], revision: number, depth: number, used: Set<string>): void {
    const { random } = this;
    const kind = random.below(depth < 2 ? 10 : 8);
    if (kind < 3) {
      ops.push(build(RequestOp, { requestRange: this.range(revision) }));
    } else if (kind < 7) {
      const put = this.put();
      const name = Buffer.from(put.key).toString("latin1");
      if (used.has(name) || used.has("*")) return;
      used.add(name);
      ops.push(build(RequestOp, { requestPut: put }));
    } else if (kind === 7) {
      // A deletion may cover anything: then nothing else is written behind or before it.
      if (used.size > 0) return;
      used.add("*");
      ops.push(build(RequestOp, { requestDeleteRange: this.delete() }));
    } else {
      ops.push(build(RequestOp, { requestTxn: this.txn(revision, depth + 1, used) }));
    }
  }
}

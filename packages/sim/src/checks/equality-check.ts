// Members that have applied the same entries hold the same: HASHKV at equal applied indexes while they run, and
// at the end everything, bucket by bucket, and against the reference store.

import { encodeKeyValue } from "@etcd-ts/api";
import { bytesToKey, crc32c, equalBytes, keyToBytes } from "@etcd-ts/base";
import { type BucketName, finish, type Machine } from "@etcd-ts/machine";
import type { History } from "./history.ts";
import { Violation } from "./violation.ts";

interface Hashed {
  readonly member: string;
  readonly revision: number;
  readonly compactRevision: number;
  readonly hash: number;
}

/** Buckets whose bytes follow from the log alone; `key` also holds what compaction has yet to remove. */
const compared: readonly BucketName[] = [
  "alarm",
  "auth",
  "authRoles",
  "authUsers",
  "cluster",
  "lease",
  "members",
  "members_removed",
];

export class EqualityCheck {
  readonly #hashes = new Map<number, Hashed>();
  comparedCount = 0;

  /** Compares with whoever stood at the same applied index before. */
  compare(member: string, machine: Machine): void {
    const { revision, compactRevision, appliedIndex } = machine;
    // The hash that a compaction leaves of its own revision may count tombstones otherwise, as etcd's does.
    if (revision === compactRevision) return;
    const job = machine.hashKv(BigInt(revision));
    if (job.error !== undefined) return;
    finish(job);
    const found: Hashed = { member, revision, compactRevision, hash: job.hash };
    const known = this.#hashes.get(appliedIndex);
    if (known === undefined) {
      this.#hashes.set(appliedIndex, found);
      return;
    }
    if (known.member !== member) this.comparedCount++;
    if (known.hash !== found.hash || known.revision !== revision) {
      throw new Violation(
        "equal members",
        `at applied index ${appliedIndex} ${describe(known)}, but ${describe(found)}`,
      );
    }
  }

  /** At rest: all of two members' buckets, and their keys against the reference. */
  compareAll(members: readonly { name: string; machine: Machine }[], history: History): void {
    const [first, ...others] = members;
    if (first === undefined) return;
    for (const { name, machine } of members) {
      this.compare(name, machine);
      compareWithHistory(name, machine, history);
    }
    for (const bucket of compared) {
      const expected = digestOf(first.machine, bucket);
      for (const { name, machine } of others) {
        if (digestOf(machine, bucket) === expected) continue;
        throw new Violation(
          "equal members",
          `bucket ${bucket} of ${name} differs from that of ${first.name}`,
        );
      }
    }
  }
}

function describe({ member, revision, compactRevision, hash }: Hashed): string {
  return `${member} has revision ${revision}, compacted ${compactRevision}, hash ${hash}`;
}

function digestOf(machine: Machine, bucket: BucketName): number {
  let digest = 0;
  const start = keyToBytes("");
  machine.backend.scan(bucket, start, undefined, Number.POSITIVE_INFINITY, (key, value) => {
    digest = crc32c(digest, key);
    digest = crc32c(digest, value);
    return undefined;
  });
  return digest;
}

function compareWithHistory(name: string, machine: Machine, history: History): void {
  const { revision } = machine;
  const expected = history.range("\0", "\0", revision);
  if (machine.keyCount !== expected.length) {
    throw new Violation(
      "equal members",
      `${name} has ${machine.keyCount} keys at revision ${revision}, its history ${expected.length}`,
    );
  }
  for (const kv of expected) {
    const key = bytesToKey(kv.key);
    const found = machine.kvAt(key, revision);
    if (found !== undefined && equalBytes(found, encodeKeyValue(kv))) continue;
    throw new Violation(
      "equal members",
      `${name} does not hold ${key} as written at ${kv.modRevision}`,
    );
  }
}

// Ranges that may be answered with packed values, against the same ranges with a filter that lets everything through, which
// are read key by key. Jobs are stepped, with writes and compactions between their steps.

import assert from "node:assert/strict";
import { test } from "node:test";
import { DeleteRangeRequest, PutRequest, RangeRequest } from "@etcd-ts/api";
import { build, SeededRandom } from "@etcd-ts/base";
import { encodeRangeResponse, finish, HeaderEncoder, type RangeJob } from "@etcd-ts/machine";
import { bytes, Driver } from "./support/driver.ts";

const keyCount = 400;

class Reader {
  readonly d: Driver = new Driver();
  readonly random: SeededRandom;

  constructor(seed: number) {
    this.random = new SeededRandom(seed);
  }

  keyOf(number: number): string {
    return `k${String(number).padStart(5, "0")}`;
  }

  anyKey(): string {
    return this.keyOf(this.random.below(keyCount));
  }

  write(): void {
    const { random } = this;
    if (random.chance(1, 4)) {
      const [from, to] = [this.anyKey(), this.anyKey()].sort();
      const key = bytes(from!);
      const request = build(DeleteRangeRequest, { key });
      if (random.chance(1, 20)) request.rangeEnd = bytes(to!);
      this.d.apply({ deleteRange: request });
    } else this.put(this.anyKey());
  }

  put(key: string): void {
    const value = this.random.bytes(this.random.below(300));
    this.d.apply({ put: build(PutRequest, { key: bytes(key), value }) });
  }

  request(): RangeRequest {
    const { random } = this;
    const [from, to] = [this.anyKey(), this.anyKey()].sort();
    const request = new RangeRequest();
    request.key = bytes(from!);
    if (random.chance(3, 4)) request.rangeEnd = random.chance(1, 4) ? bytes("\0") : bytes(to!);
    if (random.chance(1, 3)) request.limit = BigInt(1 + random.below(keyCount));
    return request;
  }

  encoded(job: RangeJob, revision: number): string {
    assert.equal(job.error, undefined);
    assert.equal(job.result.revision, revision);
    return Buffer.from(encodeRangeResponse(header, 2, job.result)).toString("latin1");
  }

  /** The answer at a revision, without packed values. */
  plain(request: RangeRequest, revision: number): RangeJob {
    const plain = build(RangeRequest, { ...request, minModRevision: 1n });
    plain.revision = BigInt(revision);
    return finish(this.d.machine.range(plain, 10), 50);
  }
}

const header = new HeaderEncoder(7n, 8n);

for (let seed = 1; seed <= 3; seed++) {
  test(`packed values change no answer of a range: seed ${seed}`, () => {
    const reader = new Reader(seed);
    const { d, random } = reader;
    for (let i = 0; i < keyCount; i++) reader.put(reader.keyOf(i));
    let compacted = 1;
    let packed = 0;
    for (let round = 0; round < 250; round++) {
      for (let writes = random.below(3); writes > 0; writes--) reader.write();
      const request = reader.request();
      const { machine } = d;
      const revision = machine.revision;
      const expected = reader.encoded(reader.plain(request, revision), revision);
      const job = machine.range(request, 1 + random.below(20));
      while (!job.done) {
        if (random.chance(1, 3)) reader.write();
        job.step(1 + random.below(40));
      }
      assert.equal(reader.encoded(job, revision), expected, `round ${round}`);
      if (machine.revision > revision && random.chance(1, 2)) {
        // The same in the past.
        request.revision = BigInt(revision);
        const past = finish(machine.range(request, 10), 20);
        const plain = reader.plain(request, revision);
        assert.equal(
          reader.encoded(past, machine.revision),
          reader.encoded(plain, machine.revision),
        );
      }
      if (random.chance(1, 30)) {
        const to = revision - random.below(30);
        if (to > compacted) d.compact(to);
        compacted = Math.max(compacted, to);
      }
      packed = Math.max(packed, machine.store.values.leafCount);
    }
    assert.ok(packed > 1, `${packed} leaves were packed`);
  });
}

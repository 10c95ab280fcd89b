// Entries of any bytes: the machine carries them out, or says that they are damaged; never anything else,
// and the same on every member.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  decodeInternalRaftRequest,
  encodeInternalRaftRequest,
  InternalRaftRequest,
  RequestHeader,
} from "@etcd-ts/api";
import { type Bytes, build, CorruptionError, SeededRandom } from "@etcd-ts/base";
import { Operation } from "@etcd-ts/machine";
import { Driver } from "./support/driver.ts";
import { RandomRequests } from "./support/random-requests.ts";

function goodEntry(random: SeededRandom, requests: RandomRequests): Bytes {
  const request = new InternalRaftRequest();
  request.header = build(RequestHeader, { id: BigInt(random.below(1000)) });
  const kind = random.below(4);
  if (kind === 0) request.put = requests.put();
  else if (kind === 1) request.deleteRange = requests.delete();
  else if (kind === 2) request.txn = requests.txn(5);
  else request.range = requests.range(5);
  return encodeInternalRaftRequest(request).slice();
}

test("damaged entries are carried out or refused as damaged, alike on two members", () => {
  const random = new SeededRandom(11);
  const requests = new RandomRequests(random);
  const one = new Driver();
  const two = new Driver();
  let refused = 0;
  for (let i = 0; i < 4000; i++) {
    let data = random.chance(1, 4) ? random.bytes(random.below(50)) : goodEntry(random, requests);
    for (let flips = random.below(4); flips > 0 && data.length > 0; flips--) {
      data[random.below(data.length)] = random.below(256);
    }
    if (random.chance(1, 5)) data = data.subarray(0, random.below(data.length + 1));
    const answers = [one, two].map((d, member) => {
      try {
        const outcome = d.applyData(data, member === 0);
        outcome?.pending?.cancel();
        return "done";
      } catch (error) {
        assert.ok(error instanceof CorruptionError, String((error as Error).stack));
        return "damaged";
      }
    });
    assert.equal(answers[0], answers[1]);
    if (answers[0] === "damaged") refused++;
    // Kept small, so that everything goes on meeting everything.
    if (one.machine.keyCount > 200) for (const d of [one, two]) d.delete("\0", "\0");
  }
  assert.ok(refused > 500);
  for (const d of [one, two]) d.commit();
  assert.deepEqual(one.backend.dump(), two.backend.dump());
});

test("an entry without an operation, with two, or with an unknown one alone is damaged", () => {
  const d = new Driver();
  const entry = (request: Partial<InternalRaftRequest>): Bytes =>
    encodeInternalRaftRequest(build(InternalRaftRequest, request));
  const header = build(RequestHeader, { id: 1n });
  assert.throws(() => d.applyData(entry({ header })), CorruptionError);
  const put = d.putRequest("a", "b");
  const two = entry({ header, put, deleteRange: d.deleteRequest("a") });
  assert.throws(() => d.applyData(two), CorruptionError);
  // Field 12, length 0.
  assert.throws(() => d.applyData(Buffer.from("6200", "hex")), CorruptionError);
});

test("a field that we do not know is passed over beside an operation", () => {
  const d = new Driver();
  const put = encodeInternalRaftRequest(
    build(InternalRaftRequest, { put: d.putRequest("a", "b") }),
  );
  const outcome = d.applyData(Buffer.concat([put, Buffer.from("fa7f03616263", "hex")]));
  assert.equal(outcome?.error, undefined);
  assert.equal(d.value("a"), "b");
});

test("the empty entry of a new leader moves the applied index only", () => {
  const d = new Driver();
  assert.equal(d.applyData(new Uint8Array(0)), undefined);
  assert.deepEqual([d.machine.appliedIndex, d.machine.appliedTerm, d.machine.revision], [1, 2, 1]);
});

test("entries must come forward", () => {
  const d = new Driver();
  d.put("a");
  assert.throws(() => d.machine.apply({ index: 1, term: 2, data: new Uint8Array(0) }, true));
});

test("auth operations are answered while there is no auth, and change nothing", () => {
  const d = new Driver();
  d.backend.put("authUsers", Buffer.from("root"), Buffer.from("x"));
  d.backend.put("auth", Buffer.from("authEnabled"), Buffer.from([1]));
  for (const [name, operation] of Object.entries(Operation)) {
    if (operation < 1000 || operation > 1299) continue;
    // An empty message of that operation.
    const decoded = decodeInternalRaftRequest(tagged(operation));
    assert.notEqual((decoded as unknown as Record<string, unknown>)[name], undefined, name);
    const outcome = d.applyData(tagged(operation));
    assert.equal(outcome?.error, name === "authenticate" ? "authNotEnabled" : "notCapable", name);
    assert.equal(d.applyData(tagged(operation), false), undefined);
  }
  assert.equal(d.machine.authEnabled, true);
  assert.equal(d.backend.dump().length, 2);
});

test("an auth module gets auth operations and is asked about all others", () => {
  const seen: string[] = [];
  const d = new Driver({
    auth: {
      refusal: (logged) => {
        seen.push(`may ${logged.operation} ${logged.end - logged.start}`);
        return logged.operation === Operation.deleteRange ? "permissionDenied" : undefined;
      },
      apply: (logged) => {
        seen.push(`apply ${logged.operation}`);
        return "userNotFound";
      },
    },
  });
  d.put("a", "b");
  assert.equal(d.apply({ deleteRange: d.deleteRequest("a") })?.error, "permissionDenied");
  assert.equal(d.value("a"), "b");
  assert.equal(d.applyData(tagged(Operation.authUserGet))?.error, "userNotFound");
  assert.deepEqual(seen, ["may 4 6", "may 5 3", "apply 1102"]);
});

/** `[tag][0]` */
function tagged(field: number): Bytes {
  const tag = field * 8 + 2;
  const bytes: number[] = [];
  for (let rest = tag; ; rest >>>= 7) {
    bytes.push(rest > 127 ? (rest & 127) | 128 : rest);
    if (rest <= 127) break;
  }
  return Buffer.from([...bytes, 0]);
}

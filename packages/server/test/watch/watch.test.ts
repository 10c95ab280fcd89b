// The Watch service of a member, rule by rule.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  decodeWatchResponse,
  encodeWatchRequest,
  errorRows,
  WatchCancelRequest,
  WatchCreateRequest,
  WatchProgressRequest,
  WatchRequest,
  type WatchResponse,
} from "@etcd-ts/api";
import { bytesToUtf8, utf8ToBytes } from "@etcd-ts/base";
import { type FakeCall, startStream } from "../support/calls.ts";
import { MemberWorld } from "../support/member-world.ts";

class WatchClient {
  readonly call: FakeCall;
  readonly #world: MemberWorld;
  #seen = 0;

  constructor(world: MemberWorld) {
    this.#world = world;
    this.call = startStream(world.member.methods, "/etcdserverpb.Watch/Watch");
  }

  create(change: (request: WatchCreateRequest) => void): void {
    const request = new WatchRequest();
    request.createRequest = new WatchCreateRequest();
    request.createRequest.key = utf8ToBytes("k");
    change(request.createRequest);
    this.call.handler?.onMessage(encodeWatchRequest(request));
  }

  cancel(id: bigint): void {
    const request = new WatchRequest();
    request.cancelRequest = new WatchCancelRequest();
    request.cancelRequest.watchId = id;
    this.call.handler?.onMessage(encodeWatchRequest(request));
  }

  askProgress(): void {
    const request = new WatchRequest();
    request.progressRequest = new WatchProgressRequest();
    this.call.handler?.onMessage(encodeWatchRequest(request));
  }

  /** The next response; fails when none comes within a second of virtual time. */
  async next(): Promise<WatchResponse> {
    await this.#world.world.until(() => this.call.sent.length > this.#seen, 1_000);
    return decodeWatchResponse(this.call.sent[this.#seen++] as Uint8Array);
  }

  async created(change: (request: WatchCreateRequest) => void): Promise<WatchResponse> {
    this.create(change);
    const response = await this.next();
    assert.equal(response.created, true);
    return response;
  }

  async nothing(ms = 1_000): Promise<void> {
    await this.#world.world.run(ms);
    assert.equal(this.call.sent.length, this.#seen, "nothing was sent");
  }
}

function eventsOf(response: WatchResponse): string[] {
  return response.events.map((event) => {
    const before = event.prevKv === undefined ? "" : ` was ${bytesToUtf8(event.prevKv.value)}`;
    const kind = event.type === 0 ? "put" : "delete";
    const value = event.type === 0 ? ` ${bytesToUtf8(event.kv?.value ?? new Uint8Array())}` : "";
    return `${kind} ${bytesToUtf8(event.kv?.key ?? new Uint8Array())}${value}@${event.kv?.modRevision}${before}`;
  });
}

function prefix(request: WatchCreateRequest, key: string): void {
  request.key = utf8ToBytes(key);
  const end = Buffer.from(key);
  end[end.length - 1] = (end[end.length - 1] as number) + 1;
  request.rangeEnd = end;
}

test("a watcher hears of changes after its creation, one response for each revision", async () => {
  const world = await MemberWorld.started();
  await world.put("k", "0");
  const client = new WatchClient(world);
  const created = await client.created(() => {});
  assert.deepEqual([created.watchId, created.header?.revision], [0n, 2]);
  await world.put("k", "1");
  await world.put("other", "1");
  await world.delete("k");
  const put = await client.next();
  assert.deepEqual(eventsOf(put), ["put k 1@3"]);
  assert.equal(put.header?.revision, 3);
  assert.deepEqual(eventsOf(await client.next()), ["delete k@5"]);
  await client.nothing();
  await world.stop();
});

test("history from a start revision comes first, then what happens", async () => {
  const world = await MemberWorld.started();
  for (let n = 1; n <= 5; n++) await world.put("k", String(n));
  const client = new WatchClient(world);
  await client.created((request) => {
    request.startRevision = 3n;
    request.prevKv = true;
  });
  const past = await client.next();
  assert.deepEqual(eventsOf(past), [
    "put k 2@3 was 1",
    "put k 3@4 was 2",
    "put k 4@5 was 3",
    "put k 5@6 was 4",
  ]);
  assert.equal(past.header?.revision, 6);
  await world.put("k", "6");
  assert.deepEqual(eventsOf(await client.next()), ["put k 6@7 was 5"]);
  await world.stop();
});

test("a start in the future waits for it", async () => {
  const world = await MemberWorld.started();
  const client = new WatchClient(world);
  await client.created((request) => {
    request.startRevision = 4n;
  });
  await world.put("k", "1");
  await world.put("k", "2");
  client.askProgress(); // not current yet: not answered
  await world.put("k", "3");
  assert.deepEqual(eventsOf(await client.next()), ["put k 3@4"]);
  await world.stop();
});

test("ids: assigned from 0, chosen by the client, refused when taken, free after a cancel", async () => {
  const world = await MemberWorld.started();
  const client = new WatchClient(world);
  await client.created((request) => {
    request.watchId = 1n;
  });
  assert.equal((await client.created(() => {})).watchId, 0n);
  assert.equal((await client.created(() => {})).watchId, 2n, "1 is taken");
  const refused = await client.created((request) => {
    request.watchId = 2n;
  });
  assert.deepEqual(
    [refused.canceled, refused.watchId, refused.cancelReason],
    [true, -1n, "mvcc: duplicate watch ID provided on the WatchStream"],
  );
  client.cancel(2n);
  const cancelled = await client.next();
  assert.deepEqual([cancelled.canceled, cancelled.watchId, cancelled.cancelReason], [true, 2n, ""]);
  client.cancel(77n);
  await client.nothing();
  assert.equal((await client.created((request) => (request.watchId = -9n))).watchId, -9n);
  await world.stop();
});

test("an empty range and a negative start are refused with etcd's reasons", async () => {
  const world = await MemberWorld.started();
  const client = new WatchClient(world);
  const empty = await client.created((request) => {
    request.rangeEnd = utf8ToBytes("a");
  });
  assert.deepEqual([empty.canceled, empty.watchId], [true, -1n]);
  assert.equal(empty.cancelReason, "mvcc: watcher range is empty");
  const negative = await client.created((request) => {
    request.startRevision = -1n;
  });
  assert.equal(negative.cancelReason, errorRows.compacted.message);
  assert.equal(negative.compactRevision, 0);
  await world.stop();
});

test("an empty key with an open end watches everything, and filters drop one kind", async () => {
  const world = await MemberWorld.started();
  const client = new WatchClient(world);
  await client.created((request) => {
    request.key = new Uint8Array(0);
    request.rangeEnd = new Uint8Array([0]);
    request.filters = [0];
  });
  await world.put("a", "1");
  await world.put("\u00ff", "1");
  await world.delete("a", "\0");
  const response = await client.next();
  assert.deepEqual(
    response.events.map((event) => event.type),
    [1, 1],
  );
  await world.stop();
});

test("a start below the compact revision is created, then cancelled with that revision", async () => {
  const world = await MemberWorld.started();
  for (let n = 0; n < 6; n++) await world.put("k", String(n));
  await world.compact(5, true);
  const client = new WatchClient(world);
  await client.created((request) => {
    request.startRevision = 4n;
  });
  const cancelled = await client.next();
  assert.deepEqual(
    [
      cancelled.canceled,
      cancelled.compactRevision,
      cancelled.cancelReason,
      cancelled.header?.revision,
    ],
    [true, 5, "", 0],
  );
  client.askProgress();
  await client.nothing(); // its id is still registered, so the stream as a whole is not current
  client.cancel(0n);
  assert.equal((await client.next()).canceled, true);
  await client.created((request) => {
    request.startRevision = 5n;
  });
  assert.deepEqual(eventsOf(await client.next()), ["put k 3@5", "put k 4@6", "put k 5@7"]);
  await world.stop();
});

test("progress: on request for a current stream, periodic for an idle watcher that asked", async () => {
  const world = await MemberWorld.started({ watchProgressNotifyMs: 1_000 });
  const client = new WatchClient(world);
  client.askProgress();
  await client.nothing(10); // no watcher, no answer
  await client.created((request) => {
    request.progressNotify = true;
  });
  await world.put("other", "1");
  client.askProgress();
  const asked = await client.next();
  assert.deepEqual([asked.watchId, asked.header?.revision, asked.events.length], [-1n, 2, 0]);
  await world.world.run(400);
  const periodic = await client.next();
  assert.deepEqual([periodic.watchId, periodic.header?.revision], [0n, 2]);
  await world.put("k", "1");
  assert.deepEqual(eventsOf(await client.next()), ["put k 1@3"]);
  await world.stop();
});

test("a client that does not read falls behind, and gets everything when it reads again", async () => {
  const world = await MemberWorld.started();
  const client = new WatchClient(world);
  await client.created((request) => prefix(request, "k"));
  client.call.room = 1;
  for (let n = 1; n <= 50; n++) await world.put(`k${n % 3}`, String(n));
  await client.next();
  await client.nothing();
  client.call.room = Number.POSITIVE_INFINITY;
  client.call.handler?.onDrain();
  const values: string[] = ["1"];
  while (values.length < 50) {
    for (const event of (await client.next()).events)
      values.push(bytesToUtf8(event.kv?.value ?? new Uint8Array()));
  }
  assert.deepEqual(
    values,
    Array.from({ length: 50 }, (_, n) => String(n + 1)),
  );
  await world.stop();
});

test("with fragment a large revision comes in parts, without it whole", async () => {
  const world = await MemberWorld.started({ maxRequestBytes: 100_000 });
  for (const key of ["k1", "k2", "k3", "k4", "k5", "k6", "k7", "k8", "k9"]) {
    await world.put(key, "x".repeat(90_000));
  }
  const client = new WatchClient(world);
  await client.created((request) => {
    prefix(request, "k");
    request.startRevision = 1n;
    request.fragment = true;
  });
  await client.created((request) => {
    prefix(request, "k");
    request.startRevision = 1n;
  });
  const parts: [bigint, number, boolean][] = [];
  while (parts.reduce((sum, [, count]) => sum + count, 0) < 18) {
    const response = await client.next();
    parts.push([response.watchId, response.events.length, response.fragment]);
  }
  assert.deepEqual(
    parts.sort((a, b) => Number(a[0] - b[0])),
    [
      [0n, 6, true],
      [0n, 3, false],
      [1n, 9, false],
    ],
  );
  await world.stop();
});

test("a stop ends the stream with the reason, a client that leaves takes its watchers along", async () => {
  const world = await MemberWorld.started();
  const first = new WatchClient(world);
  await first.created(() => {});
  first.call.cancel();
  const second = new WatchClient(world);
  await second.created(() => {});
  await world.put("k", "1");
  await second.next();
  assert.equal(first.call.sent.length, 1, "only that it was created");
  await world.stop();
  assert.deepEqual(second.call.error, { code: 14, message: errorRows.stopped.message });
});

test("undecodable requests end the stream", async () => {
  const world = await MemberWorld.started();
  const client = new WatchClient(world);
  client.call.handler?.onMessage(new Uint8Array([0x0a, 0x05, 0x01]));
  assert.deepEqual(client.call.error, {
    code: 13,
    message:
      "grpc: failed to unmarshal the received message: proto: cannot parse invalid wire-format data",
  });
  await world.stop();
});

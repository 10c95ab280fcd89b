// A client that asks for much and reads little: what is made for it is bounded, what it asks for meanwhile
// waits, with nothing done, and goes on as it reads. Counted in bytes and calls, not in time.

import { strict as assert } from "node:assert";
import { test } from "node:test";
import { type Bytes, concatBytes } from "@etcd-ts/base";
import { ErrorCode, Flag, FrameType } from "../src/frames.ts";
import { RpcServer, type ServerLimits } from "../src/index.ts";
import {
  data,
  headers,
  message,
  RawPeer,
  requestFields,
  rstStream,
  settings,
  windowUpdate,
} from "./support/raw-peer.ts";
import { testServices } from "./support/services.ts";
import { World } from "./support/world.ts";

const kib = 1024;
const mib = 1 << 20;

function setUp(limits: ServerLimits = {}, greeting: Bytes = settings()) {
  const world = new World();
  const services = testServices();
  const server = new RpcServer({ host: world.host, methods: services.methods, limits });
  return { world, server, peer: RawPeer.connect(world, server, greeting), ...services };
}

function request(id: number, method: string, text: string): Bytes {
  return concatBytes([
    headers(id, requestFields(`/test.Echo/${method}`)),
    data(id, message(text), Flag.endStream),
  ]);
}

/** Reads everything that comes, giving credit for it; returns the bytes of all DATA. */
async function readAll(peer: RawPeer, world: World): Promise<number> {
  let bytes = 0;
  for (;;) {
    let got = 0;
    const credit: Bytes[] = [];
    for (const { type, id, payload } of peer.take()) {
      if (type !== FrameType.data || payload.length === 0) continue;
      got += payload.length;
      credit.push(windowUpdate(id, payload.length));
    }
    if (got === 0) return bytes;
    bytes += got;
    peer.send(windowUpdate(0, got), ...credit);
    await world.settle();
  }
}

test("a thousand unread answers of 5 MB: a few are made, the rest wait and come as they are read", async () => {
  const { peer, server, begun, world } = setUp();
  const parts: Bytes[] = [];
  for (let i = 0; i < 1000; i++) parts.push(request(1 + 2 * i, "Large", String(5 * mib)));
  peer.send(...parts);
  await world.settle();
  assert.equal(server.counters.streamsOpen, 1000, "nothing is refused");
  // 16 MiB of room, of which an answer counts for at most 4.
  assert.equal(begun.length, 4);
  assert.ok(server.counters.messageBytesSent <= 4 * 5 * mib);
  // Small things go on.
  peer.take();
  peer.send(request(3001, "Echo", "hello"));
  await world.settle();
  assert.ok(server.counters.messagesSent === 5, "an answer that is small by nature is made");
  // Whoever reads gets everything, and never were more than a few waiting.
  let unreadMax = 0;
  let read = 0;
  for (let round = 0; begun.length < 12 && round < 100_000; round++) {
    const credit: Bytes[] = [];
    for (const { type, id, payload } of peer.take()) {
      if (type !== FrameType.data) continue;
      read += payload.length;
      credit.push(windowUpdate(id, payload.length), windowUpdate(0, payload.length));
    }
    if (credit.length === 0) credit.push(windowUpdate(0, 65_535));
    peer.send(...credit);
    await world.settle();
    unreadMax = Math.max(unreadMax, server.counters.messageBytesSent - read);
  }
  assert.ok(begun.length >= 12, `${begun.length} begun`);
  assert.ok(unreadMax < 26 * mib, `${unreadMax} unread at a time`);
});

test("all of them are answered in the end, in the order in which they came", async () => {
  const { peer, server, begun, world } = setUp({ answerRoomBytes: 64 * kib });
  const parts: Bytes[] = [];
  for (let i = 0; i < 300; i++) parts.push(request(1 + 2 * i, "Large", String(30 * kib)));
  peer.send(...parts);
  await world.settle();
  assert.ok(begun.length < 10, `${begun.length} begun`);
  const order = [...begun];
  assert.ok((await readAll(peer, world)) >= 300 * 30 * kib);
  assert.equal(begun.length, 300);
  assert.deepEqual(begun.slice(0, order.length), order);
  for (let i = 1; i < begun.length; i++) {
    assert.ok(
      (begun[i - 1] as unknown as { id: number }).id < (begun[i] as unknown as { id: number }).id,
    );
  }
  assert.equal(server.counters.streamsOpen, 0);
});

test("one huge answer that is being read keeps no other call waiting", async () => {
  const { peer, begun, world } = setUp({ answerRoomBytes: 1 * mib });
  peer.send(request(1, "Large", String(80 * mib)));
  await world.settle();
  peer.send(request(3, "Large", "10"), request(5, "Large", "10"));
  await world.settle();
  assert.equal(begun.length, 3);
});

test("connections do not wait for one another", async () => {
  const { peer, server, begun, world } = setUp({ answerRoomBytes: 64 * kib });
  for (let id = 1; id < 40; id += 2) peer.send(request(id, "Large", String(100 * kib)));
  await world.settle();
  const before = begun.length;
  assert.equal(before, 4);
  const other = RawPeer.connect(world, server);
  other.send(request(1, "Large", "1000"));
  await world.settle();
  assert.equal(begun.length, before + 1);
  assert.ok(other.story().some((line) => line.includes("grpc-status=0")));
});

test("calls that wait end as others do: reset, deadline, a connection that breaks", async () => {
  const { peer, server, begun, journal, world } = setUp({ longCallsMax: 2 });
  for (let id = 1; id <= 9; id += 2) peer.send(request(id, "Long", ""));
  const timed = requestFields("/test.Echo/Long", ["grpc-timeout", "100m"]);
  peer.send(headers(11, timed), data(11, message(""), Flag.endStream));
  await world.settle();
  assert.equal(begun.length, 2);
  peer.send(rstStream(5, ErrorCode.cancel));
  await world.advance(1000);
  assert.deepEqual(journal.take(), ["cancelled", "cancelled"]);
  assert.ok(
    peer.story().some((line) => line.startsWith("HEADERS 11") && line.includes("grpc-status=4")),
  );
  // The next in line is neither of them.
  begun[0]!.respond(new Uint8Array(1));
  await world.settle();
  assert.equal(begun.length, 3);
  assert.equal((begun[2] as unknown as { id: number }).id, 7);
  peer.send(rstStream(3, ErrorCode.cancel));
  await world.settle();
  assert.equal((begun[3] as unknown as { id: number }).id, 9);
  peer.io.destroy();
  await world.settle();
  assert.equal(server.counters.streamsOpen, 0);
  assert.equal(begun.length, 4);
});

test("a handler that throws when it is let begin answers INTERNAL", async () => {
  const world = new World();
  const errors: unknown[] = [];
  const held: (() => void)[] = [];
  const server = new RpcServer({
    host: world.host,
    limits: { longCallsMax: 1 },
    onHandlerError: (error) => errors.push(error),
    methods: {
      "/test.Echo/Throw": {
        kind: "unary",
        handle(call) {
          const begin = (): void => {
            if (held.length > 0) throw new Error("thrown when it began");
            held.push(() => call.respond(new Uint8Array(0)));
          };
          call.admit("long", { begin });
        },
      },
    },
  });
  const peer = RawPeer.connect(world, server);
  peer.send(request(1, "Throw", ""), request(3, "Throw", ""), request(5, "Throw", ""));
  await world.settle();
  held[0]!();
  await world.settle();
  assert.equal(errors.length, 2);
  const story = peer.story();
  assert.ok(story.some((line) => line.startsWith("HEADERS 3") && line.includes("grpc-status=13")));
  assert.equal(server.counters.streamsOpen, 0);
});

test("so many may wait, and no more", async () => {
  const { peer, world } = setUp({ longCallsMax: 1, waitingCallsMax: 10 });
  for (let id = 1; id <= 31; id += 2) peer.send(request(id, "Long", ""));
  await world.settle();
  const refused = peer.story().filter((line) => line.startsWith("RST_STREAM"));
  assert.equal(refused.length, 16 - 11);
  assert.ok(refused.every((line) => line.endsWith(` ${ErrorCode.refusedStream}`)));
});

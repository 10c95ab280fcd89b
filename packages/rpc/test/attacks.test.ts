// Hostile clients: each attack ends in an error for the attacker, and costs the server little before.

import { strict as assert } from "node:assert";
import { test } from "node:test";
import { type Bytes, concatBytes, utf8ToBytes } from "@etcd-ts/base";
import { clientPreface, ErrorCode, Flag, FrameType } from "../src/frames.ts";
import { RpcServer, type ServerLimits } from "../src/index.ts";
import {
  data,
  frame,
  headers,
  message,
  ping,
  RawPeer,
  requestFields,
  rstStream,
  settings,
  windowUpdate,
} from "./support/raw-peer.ts";
import { testServices } from "./support/services.ts";
import { World } from "./support/world.ts";

function setUp(limits: ServerLimits = {}, greeting: Bytes = settings()) {
  const world = new World();
  const services = testServices();
  // Pings are counted by keepalive rules on plain connections; here they are let through.
  const keepalive = { minTimeMs: 0, permitWithoutStream: true };
  const server = new RpcServer({ host: world.host, methods: services.methods, limits, keepalive });
  return { world, server, peer: RawPeer.connect(world, server, greeting), ...services };
}

function repeat(bytes: Bytes, times: number): Bytes {
  return concatBytes(new Array<Bytes>(times).fill(bytes));
}

function assertCalm(peer: RawPeer, reason: string): void {
  const goaway = peer.story().find((line) => line.startsWith("GOAWAY"));
  assert.match(goaway ?? "no GOAWAY", new RegExp(` ${ErrorCode.enhanceYourCalm} ${reason}`));
  assert.ok(peer.ended);
}

test("rapid reset: a connection has so many resets, then no more", () => {
  const { peer, server } = setUp({ resetBurst: 100, resetsPerSecond: 10 });
  const request = requestFields("/test.Echo/Stream");
  for (let id = 1; id < 1001 && !peer.ended; id += 2) {
    peer.send(headers(id, request), rstStream(id, ErrorCode.cancel));
  }
  assertCalm(peer, "too many resets");
  assert.ok(server.counters.streamsOpened <= 102);
  assert.equal(server.counters.streamsOpen, 0);
});

test("rapid reset: what is spread over time is fine", async () => {
  const { peer, world } = setUp({ resetBurst: 100, resetsPerSecond: 10 });
  const request = requestFields("/test.Echo/Stream");
  for (let id = 1; id < 1001; id += 2) {
    peer.send(headers(id, request), rstStream(id, ErrorCode.cancel));
    await world.advance(100);
  }
  assert.equal(peer.ended, false);
});

test("resets that the client provokes count the same", () => {
  const { peer } = setUp({ resetBurst: 100 });
  const request = requestFields("/test.Echo/Stream");
  for (let id = 1; id < 1001 && !peer.ended; id += 2) {
    peer.send(headers(id, request), windowUpdate(id, 0));
  }
  assertCalm(peer, "too many resets");
});

test("malformed requests in masses count, too", () => {
  const { peer } = setUp({ resetBurst: 100 });
  for (let id = 1; id < 1001 && !peer.ended; id += 2) peer.send(headers(id, [["a", "b"]]));
  assertCalm(peer, "too many resets");
});

test("CONTINUATION flood: small ones are counted, large ones are weighed", () => {
  const small = setUp();
  small.peer.send(frame(FrameType.headers, 0, 1, []));
  for (let i = 0; i < 1000 && !small.peer.ended; i++) {
    small.peer.send(frame(FrameType.continuation, 0, 1, []));
  }
  assertCalm(small.peer, "too many CONTINUATION frames");
  const large = setUp({ headerListBytesMax: 100_000 });
  large.peer.send(frame(FrameType.headers, 0, 1, []));
  let sent = 0;
  for (; sent < 1000 && !large.peer.ended; sent++) {
    large.peer.send(frame(FrameType.continuation, 0, 1, new Uint8Array(16_384).fill(0x82)));
  }
  assertCalm(large.peer, "header block too large");
  assert.ok(sent <= 12, `${sent} frames were taken`);
});

test("floods of frames without content end the connection", () => {
  for (const [what, bytes] of [
    ["SETTINGS", settings()],
    ["SETTINGS with content", settings([4, 1000], [4, 2000])],
    ["PING", ping()],
    ["PING acknowledgements of nothing", ping(Flag.ack)],
    ["SETTINGS acknowledgements of nothing", frame(FrameType.settings, Flag.ack, 0, [])],
    ["RST_STREAM of what is closed", rstStream(1, 8)],
    ["PRIORITY", frame(FrameType.priority, 0, 1, [0, 0, 0, 0, 1])],
    ["unknown frames", frame(99, 0, 0, [])],
    ["empty DATA", data(3, [])],
    ["DATA that is only padding", data(3, [3, 0, 0, 0], Flag.padded)],
  ] as const) {
    const { peer, server } = setUp({ idleFrameBurst: 200, idleFramesPerSecond: 10 });
    const echo = requestFields("/test.Echo/Echo");
    peer.send(headers(1, echo), data(1, message("x"), Flag.endStream));
    peer.send(headers(3, requestFields("/test.Echo/Stream")));
    peer.story();
    peer.send(repeat(bytes, 1000));
    assertCalm(peer, "too many frames without content");
    assert.equal(server.counters.streamsOpen, 0, what);
  }
});

test("SETTINGS that move the windows of many streams count for what they cost", () => {
  const { peer, server } = setUp({ idleFrameBurst: 200, idleFramesPerSecond: 10 });
  const request = requestFields("/test.Echo/Stream");
  for (let i = 0; i < 2560; i++) peer.send(headers(1 + 2 * i, request));
  // Many times in one frame is once.
  const pairs: [number, number][] = [];
  for (let i = 0; i < 2700; i++) pairs.push([4, i]);
  peer.send(settings(...pairs));
  assert.deepEqual(peer.story(), ["SETTINGS ack"]);
  let frames = 0;
  for (; frames < 100 && !peer.ended; frames++) peer.send(settings([4, frames]));
  assertCalm(peer, "too many frames without content");
  // 200 tokens, eleven for each change.
  assert.ok(frames < 20, `${frames} frames`);
  assert.equal(server.counters.streamsOpen, 0);
});

test("HPACK bomb: a list of references stops at the limit and its memory stays small", () => {
  const { peer, journal } = setUp({ headerListBytesMax: 100_000 });
  // One entry of 4,000 bytes, then 16,000 references to it: 64 MB of list from 16 KB of block.
  const literal = [0x40, 1, 0x62, 0x7f, 0x80 | ((3900 - 127) % 128), (3900 - 127) >> 7];
  const block = headers(1, requestFields("/test.Echo/Echo")).slice(9);
  peer.send(
    frame(FrameType.headers, Flag.endHeaders | Flag.endStream, 1, [
      ...block,
      ...literal,
      ...new Uint8Array(3900).fill(0x61),
    ]),
  );
  peer.story();
  const before = process.memoryUsage().heapUsed;
  peer.send(
    frame(FrameType.headers, Flag.endHeaders | Flag.endStream, 3, [
      ...block,
      ...new Uint8Array(16_000).fill(0xbe),
    ]),
  );
  assert.deepEqual(peer.story(), [`RST_STREAM 3 ${ErrorCode.frameSizeError}`]);
  assert.ok(process.memoryUsage().heapUsed - before < 8 << 20);
  assert.deepEqual(journal.take(), []);
});

test("announced messages cost only what has come, and all of them together are bounded", () => {
  const { peer, server } = setUp({
    receiveBytesMax: 2 << 20,
    bufferedBytesMax: 1 << 20,
    resetBurst: 1000,
  });
  const request = requestFields("/test.Echo/Hold");
  const beginning = message(new Uint8Array(1 << 20)).slice(0, 15_000);
  let refused = 0;
  for (let id = 1; id < 400; id += 2) {
    peer.send(headers(id, request), data(id, beginning));
    refused += peer.story().filter((line) => line.startsWith("RST_STREAM")).length;
  }
  assert.ok(refused > 150, `${refused} streams were refused`);
  assert.ok(server.counters.streamsOpen <= 17);
  assert.equal(peer.ended, false);
});

test("zero windows: answers that nobody takes are bounded; new calls are refused", () => {
  const { peer, held } = setUp({ queuedBytesMax: 1 << 20 }, settings([4, 0]));
  const request = requestFields("/test.Echo/Hold");
  let refused = 0;
  for (let id = 1; id < 400; id += 2) {
    peer.send(headers(id, request), data(id, message("x"), Flag.endStream));
    held.pop()?.respond(new Uint8Array(20_000));
    peer.send();
    refused += peer.story().filter((line) => line === `RST_STREAM ${id} 7`).length;
  }
  assert.equal(refused, 200 - 53);
  // With credit the answers flow, and calls are taken again.
  peer.send(settings([4, 1 << 20]), windowUpdate(0, 100 << 20));
  peer.send();
  peer.story();
  peer.send(headers(401, request), data(401, message("x"), Flag.endStream));
  assert.deepEqual(peer.story(), []);
  assert.equal(held.length, 1);
});

test("a dribble of credit does not become a dribble of frames", () => {
  const { peer, held } = setUp({}, settings([4, 0]));
  peer.send(headers(1, requestFields("/test.Echo/Hold")), data(1, message("x"), Flag.endStream));
  held[0]!.respond(new Uint8Array(10_000));
  peer.send();
  peer.story();
  peer.send(repeat(windowUpdate(1, 1), 1000));
  assert.deepEqual(peer.story(), ["DATA 1 1000"]);
});

test("a connection that says nothing, or never ends its header block, is cut in time", async () => {
  const { world, server } = setUp({ handshakeTimeoutMs: 5000 });
  const silent = world.pair();
  silent[1].handler = server.attach(silent[1]);
  const one = new RawPeer(world, silent[0]);
  const slow = world.pair();
  slow[1].handler = server.attach(slow[1]);
  const two = new RawPeer(world, slow[0]);
  two.send(utf8ToBytes(clientPreface).slice(0, 10));
  const three = RawPeer.connect(world, server);
  three.send(frame(FrameType.headers, 0, 1, [0x82]));
  await world.advance(4000);
  assert.deepEqual([one.closed, two.closed, three.ended], [false, false, false]);
  await world.advance(3000);
  assert.ok(one.closed && two.closed);
  assertCalm(three, "header block not complete in time");
});

test("a client that floods pings without reading is not answered without bound", () => {
  const { peer, server } = setUp({ idleFrameBurst: 1e6 });
  peer.io.stalled = true;
  for (let i = 0; i < 100; i++) peer.send(repeat(ping(), 500));
  // Whatever is beyond the host's high-water mark stays unread.
  assert.ok(server.counters.pingsReceived < 10_000, `${server.counters.pingsReceived}`);
});

test("many tiny pieces of a paused stream are copied, not kept as views of their chunks", async () => {
  const { peer, streams, world } = setUp({ streamWindowBytes: 100_000 });
  peer.send(headers(1, requestFields("/test.Echo/Stream")));
  streams[0]!.call.pause();
  const body = world.random.bytes(20_000);
  const whole = message(body);
  for (let at = 0; at < whole.length; at += 10) peer.send(data(1, whole.slice(at, at + 10)));
  streams[0]!.call.resume();
  await world.settle();
  assert.deepEqual(Buffer.from(streams[0]!.messages[0]!), Buffer.from(body));
});

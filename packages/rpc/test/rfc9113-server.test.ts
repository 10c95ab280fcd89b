// RFC 9113 section by section, against a server, frame by frame. A story is what the server sent.

import { strict as assert } from "node:assert";
import { test } from "node:test";
import { type Bytes, concatBytes, utf8ToBytes } from "@etcd-ts/base";
import { clientPreface, ErrorCode, Flag, FrameType } from "../src/frames.ts";
import { RpcServer, type ServerLimits } from "../src/index.ts";
import {
  data,
  type Fields,
  frame,
  headers,
  message,
  ping,
  RawPeer,
  requestFields,
  rstStream,
  settings,
  settingsAck,
  uint32,
  windowUpdate,
} from "./support/raw-peer.ts";
import { type TestServices, testServices } from "./support/services.ts";
import { World } from "./support/world.ts";

interface Setup extends TestServices {
  readonly world: World;
  readonly server: RpcServer;
  readonly peer: RawPeer;
}

function setUp(limits: ServerLimits = {}, greeting: Bytes = settings()): Setup {
  const world = new World();
  const services = testServices();
  const server = new RpcServer({ host: world.host, methods: services.methods, limits });
  return { world, server, peer: RawPeer.connect(world, server, greeting), ...services };
}

const echo = requestFields("/test.Echo/Echo");
const hold = requestFields("/test.Echo/Hold");
const stream = requestFields("/test.Echo/Stream");
const endBoth = Flag.endHeaders | Flag.endStream;
const answerHead = ":status=200 content-type=application/grpc";

/** The peer gets this GOAWAY and the connection ends. */
function assertConnectionError(peer: RawPeer, code: number, last?: number): void {
  const goaway = peer.story().find((line) => line.startsWith("GOAWAY"));
  assert.ok(goaway !== undefined, "a GOAWAY comes");
  const [, lastStream, got] = goaway.split(" ");
  assert.equal(Number(got), code, goaway);
  if (last !== undefined) assert.equal(Number(lastStream), last, goaway);
  assert.ok(peer.ended, "the connection ends");
}

/** Still alive: a call on a new stream works. */
function assertAlive(peer: RawPeer, id: number): void {
  peer.story();
  peer.send(headers(id, echo), data(id, message("alive"), Flag.endStream));
  assert.deepEqual(peer.story(), [
    `HEADERS ${id} ${answerHead}`,
    `DATA ${id} 10`,
    `HEADERS ${id} end grpc-status=0`,
  ]);
}

// --- 3.4 preface ------------------------------------------------------------------------------------

test("3.4: the server answers the preface with SETTINGS and acknowledges the client's", () => {
  const world = new World();
  const server = new RpcServer({ host: world.host, methods: {} });
  const [near, far] = world.pair();
  far.handler = server.attach(far);
  const peer = new RawPeer(world, near);
  peer.send(utf8ToBytes(clientPreface));
  assert.deepEqual(peer.story(), ["SETTINGS 1", "WINDOW_UPDATE 0 16711681"]);
  peer.send(settings());
  assert.deepEqual(peer.story(), ["SETTINGS ack"]);
});

test("3.4: a preface in single bytes is recognised", () => {
  const world = new World();
  const services = testServices();
  const server = new RpcServer({ host: world.host, methods: services.methods });
  const [near, far] = world.pair();
  far.handler = server.attach(far);
  const peer = new RawPeer(world, near);
  for (const byte of utf8ToBytes(clientPreface)) peer.send(new Uint8Array([byte]));
  for (const byte of settings([3, 7])) peer.send(new Uint8Array([byte]));
  assertAlive(peer, 1);
});

test("3.4: the first frame must be SETTINGS", () => {
  const world = new World();
  const server = new RpcServer({ host: world.host, methods: {} });
  for (const first of [ping(), headers(1, echo), settingsAck, windowUpdate(0, 1)]) {
    const [near, far] = world.pair();
    far.handler = server.attach(far);
    const peer = new RawPeer(world, near);
    peer.send(utf8ToBytes(clientPreface), first);
    assertConnectionError(peer, ErrorCode.protocolError, 0);
  }
});

// --- 4 frames ---------------------------------------------------------------------------------------

test("4.1: unknown frame types and reserved bits are ignored", () => {
  const { peer } = setUp();
  peer.send(frame(0x77, 0xff, 5, [1, 2, 3]), frame(0x10, 0, 0, []));
  const request = headers(1, echo);
  request[5]! |= 0x80;
  peer.send(request, data(1, message("x"), Flag.endStream));
  assert.equal(peer.story().length, 3);
  assertAlive(peer, 3);
});

test("4.2: a frame above 16,384 bytes is FRAME_SIZE_ERROR before it has come", () => {
  const { peer } = setUp();
  peer.send(headers(1, stream));
  const large = new Uint8Array(9);
  large.set([0x00, 0x40, 0x01, FrameType.data, 0, 0, 0, 0, 1]);
  peer.send(large);
  assertConnectionError(peer, ErrorCode.frameSizeError, 1);
});

test("4.2: a frame of exactly 16,384 bytes is fine", () => {
  const { peer, streams } = setUp();
  peer.send(headers(1, stream), data(1, message(new Uint8Array(16_379))));
  assert.equal(streams[0]!.messages[0]!.length, 16_379);
});

test("4.3: a header block that cannot be decoded is COMPRESSION_ERROR", () => {
  const { peer } = setUp();
  peer.send(frame(FrameType.headers, endBoth, 1, [0x80]));
  assertConnectionError(peer, ErrorCode.compressionError);
});

test("4.3: a refused or reset stream's header block still changes the table", () => {
  const { peer } = setUp();
  // Inserts x: y on a stream that is malformed (no pseudo-headers), then uses the entry.
  peer.send(frame(FrameType.headers, endBoth, 1, [0x40, 1, 0x78, 1, 0x79]));
  assert.deepEqual(peer.story(), ["RST_STREAM 1 1"]);
  const block = headers(3, echo);
  const withEntry = frame(FrameType.headers, Flag.endHeaders, 3, [...block.slice(9), 0xbe]);
  peer.send(withEntry, data(3, message("a"), Flag.endStream));
  assert.equal(peer.story().length, 3);
});

// --- 5.1 states -------------------------------------------------------------------------------------

test("5.1 idle: DATA, RST_STREAM and WINDOW_UPDATE are PROTOCOL_ERROR", () => {
  for (const bytes of [data(1, [1]), rstStream(1, 8), windowUpdate(1, 1)]) {
    const { peer } = setUp();
    peer.send(bytes);
    assertConnectionError(peer, ErrorCode.protocolError);
  }
});

test("5.1 half-closed (remote): DATA and HEADERS are STREAM_CLOSED for the stream", () => {
  for (const bytes of [data(1, message("x")), headers(1, echo)]) {
    const { peer, journal } = setUp();
    peer.send(headers(1, hold), data(1, message("a"), Flag.endStream));
    journal.take();
    peer.send(bytes);
    assert.deepEqual(peer.story(), [`RST_STREAM 1 ${ErrorCode.streamClosed}`]);
    assert.deepEqual(journal.take(), ["cancelled"]);
    assertAlive(peer, 3);
  }
});

test("5.1 half-closed (remote): WINDOW_UPDATE, PRIORITY and RST_STREAM are allowed", () => {
  const { peer, journal } = setUp();
  peer.send(headers(1, hold), data(1, message("a"), Flag.endStream));
  peer.send(windowUpdate(1, 10), frame(FrameType.priority, 0, 1, [0, 0, 0, 0, 1]));
  assert.deepEqual(journal.take(), ["hold"]);
  peer.send(rstStream(1, ErrorCode.cancel));
  assert.deepEqual(journal.take(), ["cancelled"]);
  assertAlive(peer, 3);
});

test("5.1 closed: DATA and HEADERS after both ends are STREAM_CLOSED for the connection", () => {
  for (const bytes of [data(1, message("x")), headers(1, echo)]) {
    const { peer } = setUp();
    peer.send(headers(1, echo), data(1, message("a"), Flag.endStream));
    peer.take();
    peer.send(bytes);
    assertConnectionError(peer, ErrorCode.streamClosed, 1);
  }
});

test("5.1 closed: WINDOW_UPDATE and RST_STREAM may still come", () => {
  const { peer } = setUp();
  peer.send(headers(1, echo), data(1, message("a"), Flag.endStream));
  peer.send(windowUpdate(1, 1), rstStream(1, 8));
  assertAlive(peer, 3);
});

test("5.1 closed: what was under way when we reset a stream is ignored", () => {
  const { peer } = setUp();
  peer.send(headers(1, stream), windowUpdate(1, 0));
  assert.deepEqual(peer.story(), [`RST_STREAM 1 ${ErrorCode.protocolError}`]);
  peer.send(data(1, message("x")), headers(1, [["a", "b"]], endBoth), windowUpdate(1, 5));
  assert.deepEqual(peer.story(), []);
  assertAlive(peer, 3);
});

test("5.1.1: stream ids of clients are odd and grow", () => {
  for (const [ids, code] of [
    [[2], ErrorCode.protocolError],
    [[5, 3], ErrorCode.streamClosed],
    [[0], ErrorCode.protocolError],
  ] as const) {
    const { peer } = setUp();
    for (const id of ids) peer.send(headers(id, echo));
    assertConnectionError(peer, code);
  }
});

test("5.1.2: streams beyond the announced limit are refused", () => {
  const { peer, held } = setUp({ concurrentStreams: 2 });
  for (const id of [1, 3, 5]) peer.send(headers(id, hold), data(id, message(""), Flag.endStream));
  assert.deepEqual(peer.story(), [`RST_STREAM 5 ${ErrorCode.refusedStream}`]);
  held[0]!.respond(new Uint8Array(0));
  peer.send(headers(7, hold), data(7, message(""), Flag.endStream));
  assert.equal(held.length, 3);
});

// --- 5.2, 6.9 flow control --------------------------------------------------------------------------

test("6.9: the server stays inside stream and connection windows and goes on with credit", () => {
  const { peer, held } = setUp({}, settings([4, 10]));
  peer.send(headers(1, hold), data(1, message(""), Flag.endStream));
  held[0]!.respond(new Uint8Array(95));
  peer.send();
  assert.deepEqual(peer.story(), [`HEADERS 1 ${answerHead}`, "DATA 1 10"]);
  peer.send(windowUpdate(1, 50));
  assert.deepEqual(peer.story(), ["DATA 1 50"]);
  peer.send(windowUpdate(1, 1000));
  assert.deepEqual(peer.story(), ["DATA 1 40", "HEADERS 1 end grpc-status=0"]);
});

test("6.9: the connection window holds all streams together", () => {
  const { peer, held } = setUp({}, settings([4, 1 << 20]));
  for (const id of [1, 3]) peer.send(headers(id, hold), data(id, message(""), Flag.endStream));
  held[0]!.respond(new Uint8Array(60_000));
  held[1]!.respond(new Uint8Array(60_000));
  peer.send();
  const bytes = (lines: string[]): number =>
    lines.reduce(
      (sum, line) => sum + (line.startsWith("DATA") ? Number(line.split(" ")[2]) : 0),
      0,
    );
  assert.equal(bytes(peer.story()), 65_535);
  peer.send(windowUpdate(0, 1 << 20));
  assert.equal(bytes(peer.story()), 2 * 60_005 - 65_535);
});

test("6.9: streams share the connection fairly", () => {
  const { peer, held } = setUp({}, settings([4, 1 << 20]));
  peer.send(windowUpdate(0, 1 << 20));
  for (const id of [1, 3]) peer.send(headers(id, hold), data(id, message(""), Flag.endStream));
  held[0]!.respond(new Uint8Array(200_000));
  held[1]!.respond(new Uint8Array(20_000));
  peer.send();
  const story = peer.story();
  const endOfSmall = story.findIndex((line) => line.startsWith("HEADERS 3 end"));
  const endOfLarge = story.findIndex((line) => line.startsWith("HEADERS 1 end"));
  assert.ok(endOfSmall > 0 && endOfSmall < endOfLarge, "the small answer overtakes the large one");
});

test("6.9.1: windows beyond 2^31-1 are FLOW_CONTROL_ERROR", () => {
  const one = setUp();
  one.peer.send(headers(1, stream), windowUpdate(1, 0x7fffffff));
  assert.deepEqual(one.peer.story(), [`RST_STREAM 1 ${ErrorCode.flowControlError}`]);
  assertAlive(one.peer, 3);
  const two = setUp();
  two.peer.send(windowUpdate(0, 0x7fffffff));
  assertConnectionError(two.peer, ErrorCode.flowControlError);
});

test("6.9: WINDOW_UPDATE of 0 is PROTOCOL_ERROR, of wrong size FRAME_SIZE_ERROR", () => {
  const one = setUp();
  one.peer.send(headers(1, stream), windowUpdate(1, 0));
  assert.deepEqual(one.peer.story(), [`RST_STREAM 1 ${ErrorCode.protocolError}`]);
  const two = setUp();
  two.peer.send(windowUpdate(0, 0));
  assertConnectionError(two.peer, ErrorCode.protocolError);
  const three = setUp();
  three.peer.send(frame(FrameType.windowUpdate, 0, 0, [0, 0, 1]));
  assertConnectionError(three.peer, ErrorCode.frameSizeError);
});

test("6.9.2: a smaller INITIAL_WINDOW_SIZE makes windows negative, a larger one opens them", () => {
  const { peer, held } = setUp({}, settings([4, 100]));
  peer.send(headers(1, hold), data(1, message(""), Flag.endStream));
  held[0]!.respond(new Uint8Array(295));
  peer.send();
  assert.deepEqual(peer.story(), [`HEADERS 1 ${answerHead}`, "DATA 1 100"]);
  peer.send(settings([4, 20]), windowUpdate(1, 80));
  assert.deepEqual(peer.story(), ["SETTINGS ack"]);
  peer.send(windowUpdate(1, 1));
  assert.deepEqual(peer.story(), ["DATA 1 1"]);
  peer.send(settings([4, 1000]));
  assert.deepEqual(peer.story(), ["SETTINGS ack", "DATA 1 199", "HEADERS 1 end grpc-status=0"]);
});

test("6.9.2: an INITIAL_WINDOW_SIZE that overflows a window is FLOW_CONTROL_ERROR", () => {
  const { peer } = setUp();
  peer.send(headers(1, stream), windowUpdate(1, 0x7fff0000));
  peer.take();
  peer.send(settings([4, 0x7fffffff]));
  assertConnectionError(peer, ErrorCode.flowControlError);
});

test("5.2: a client that ignores the stream window is stopped", () => {
  const { peer, streams } = setUp({ streamWindowBytes: 65_535 });
  peer.send(headers(1, stream));
  streams[0]!.call.pause();
  const piece = data(1, message(new Uint8Array(16_000)));
  peer.send(piece, piece, piece, piece);
  assert.deepEqual(peer.story(), []);
  peer.send(piece);
  assert.deepEqual(peer.story(), [`RST_STREAM 1 ${ErrorCode.flowControlError}`]);
});

test("5.2: a client that ignores the connection window is cut", () => {
  const { peer } = setUp({ connectionWindowBytes: 65_535, streamWindowBytes: 1 << 20 });
  peer.send(headers(1, stream));
  const piece = data(1, message(new Uint8Array(16_000)));
  // Credit is given back at half of it, so only one burst can overrun: five pieces in one chunk do not.
  peer.send(concatBytes([piece, piece, piece, piece, piece]));
  assert.ok(peer.story().some((line) => line.startsWith("WINDOW_UPDATE 0")));
  assert.equal(peer.ended, false);
});

test("5.2: credit follows consumption: a paused stream gets none until it goes on", async () => {
  const { peer, streams, world } = setUp({ streamWindowBytes: 65_535 });
  peer.send(headers(1, stream));
  const { call, messages } = streams[0]!;
  call.pause();
  const piece = data(1, message(new Uint8Array(10_000)));
  for (let i = 0; i < 6; i++) peer.send(piece);
  assert.deepEqual(peer.story(), []);
  assert.equal(messages.length, 0);
  call.resume();
  await world.settle();
  assert.equal(messages.length, 6);
  assert.deepEqual(peer.story(), ["WINDOW_UPDATE 1 60030"]);
});

test("5.2: padding counts, and empty DATA passes a closed window", () => {
  const { peer, streams } = setUp({ streamWindowBytes: 65_535 });
  peer.send(headers(1, stream));
  const padded = concatBytes([new Uint8Array([200]), message("hi"), new Uint8Array(200)]);
  for (let i = 0; i < 160; i++) peer.send(data(1, padded, Flag.padded));
  assert.equal(streams[0]!.messages.length, 160);
  assert.deepEqual(peer.story(), [`WINDOW_UPDATE 1 ${158 * 208}`]);
  peer.send(data(1, [], Flag.endStream));
});

// --- 6 frame definitions ----------------------------------------------------------------------------

test("6.1: DATA on stream 0 and padding beyond the payload are PROTOCOL_ERROR", () => {
  const one = setUp();
  one.peer.send(data(0, [1]));
  assertConnectionError(one.peer, ErrorCode.protocolError);
  const two = setUp();
  two.peer.send(headers(1, stream), data(1, [5, 1, 2, 3, 4], Flag.padded));
  assertConnectionError(two.peer, ErrorCode.protocolError);
});

test("6.2: padded and prioritised HEADERS are read", () => {
  const { peer } = setUp();
  const block = headers(1, echo).slice(9);
  const flags = Flag.endHeaders | Flag.padded | Flag.priority;
  peer.send(
    frame(FrameType.headers, flags, 1, [3, 0x80, 0, 0, 0, 16, ...block, 0, 0, 0]),
    data(1, message("x"), Flag.endStream),
  );
  assert.equal(peer.story().length, 3);
});

test("6.2: HEADERS too short for its flags is FRAME_SIZE_ERROR, too much padding PROTOCOL_ERROR", () => {
  const one = setUp();
  one.peer.send(frame(FrameType.headers, endBoth | Flag.priority, 1, [0, 0, 0]));
  assertConnectionError(one.peer, ErrorCode.frameSizeError);
  const two = setUp();
  two.peer.send(frame(FrameType.headers, endBoth | Flag.padded, 1, [9, 1, 2]));
  assertConnectionError(two.peer, ErrorCode.protocolError);
});

test("6.3: PRIORITY is ignored, but not on stream 0; of wrong size it resets the stream", () => {
  const one = setUp();
  one.peer.send(frame(FrameType.priority, 0, 99, [0, 0, 0, 1, 16]));
  assertAlive(one.peer, 1);
  const two = setUp();
  two.peer.send(frame(FrameType.priority, 0, 0, [0, 0, 0, 1, 16]));
  assertConnectionError(two.peer, ErrorCode.protocolError);
  const three = setUp();
  three.peer.send(headers(1, stream), frame(FrameType.priority, 0, 1, [0, 0, 0, 1]));
  assert.deepEqual(three.peer.story(), [`RST_STREAM 1 ${ErrorCode.frameSizeError}`]);
  assertAlive(three.peer, 3);
});

test("6.4: RST_STREAM on stream 0 or of wrong size is a connection error", () => {
  const one = setUp();
  one.peer.send(rstStream(0, 1));
  assertConnectionError(one.peer, ErrorCode.protocolError);
  const two = setUp();
  two.peer.send(headers(1, stream), frame(FrameType.rstStream, 0, 1, [0, 0, 0]));
  assertConnectionError(two.peer, ErrorCode.frameSizeError);
});

test("6.5: malformed SETTINGS are connection errors", () => {
  for (const [bytes, code] of [
    [frame(FrameType.settings, 0, 1, []), ErrorCode.protocolError],
    [frame(FrameType.settings, 0, 0, [0, 1, 0]), ErrorCode.frameSizeError],
    [frame(FrameType.settings, Flag.ack, 0, [0, 1, 0, 0, 0, 0]), ErrorCode.frameSizeError],
    [settings([2, 2]), ErrorCode.protocolError],
    [settings([4, 0x80000000]), ErrorCode.flowControlError],
    [settings([5, 16_383]), ErrorCode.protocolError],
    [settings([5, 16_777_216]), ErrorCode.protocolError],
  ] as const) {
    const { peer } = setUp();
    peer.send(bytes);
    assertConnectionError(peer, code);
  }
});

test("6.5: unknown settings are ignored, every SETTINGS is acknowledged", () => {
  const { peer } = setUp();
  peer.send(settings([0x99, 1], [2, 0], [3, 0], [6, 1]), settings());
  assert.deepEqual(peer.story(), ["SETTINGS ack", "SETTINGS ack"]);
  assertAlive(peer, 1);
});

test("6.5.2: a changed HEADER_TABLE_SIZE is followed by the encoder", () => {
  const { peer } = setUp();
  assertAlive(peer, 1);
  assertAlive(peer, 3);
  for (const [id, size] of [
    [5, 0],
    [7, 4096],
    [9, 100],
  ] as const) {
    peer.send(settings([1, size]));
    // A decoder of that size accepts what comes: it would refuse references to what it has dropped.
    assertAlive(peer, id);
    assert.ok(peer.decoder.tableBytes <= size);
  }
});

test("6.6: PUSH_PROMISE from a client is PROTOCOL_ERROR", () => {
  const { peer } = setUp();
  peer.send(headers(1, stream), frame(FrameType.pushPromise, Flag.endHeaders, 1, [0, 0, 0, 2]));
  assertConnectionError(peer, ErrorCode.protocolError);
});

test("6.7: PING is answered with its payload; on a stream or of wrong size it is an error", () => {
  const one = setUp();
  one.peer.send(ping());
  const [pong] = one.peer.take();
  assert.deepEqual([pong!.type, pong!.flags, ...pong!.payload], [6, 1, 1, 2, 3, 4, 5, 6, 7, 8]);
  one.peer.send(ping(Flag.ack));
  assert.deepEqual(one.peer.story(), []);
  const two = setUp();
  two.peer.send(frame(FrameType.ping, 0, 1, [1, 2, 3, 4, 5, 6, 7, 8]));
  assertConnectionError(two.peer, ErrorCode.protocolError);
  const three = setUp();
  three.peer.send(frame(FrameType.ping, 0, 0, [1, 2, 3]));
  assertConnectionError(three.peer, ErrorCode.frameSizeError);
});

test("6.8: GOAWAY of a client lets running calls end; malformed it is an error", () => {
  const one = setUp();
  one.peer.send(headers(1, hold), data(1, message(""), Flag.endStream));
  one.peer.send(frame(FrameType.goaway, 0, 0, [...uint32(0), ...uint32(0)]));
  one.held[0]!.respond(new Uint8Array(1));
  one.peer.send();
  assert.equal(one.peer.story().length, 3);
  const two = setUp();
  two.peer.send(frame(FrameType.goaway, 0, 1, [...uint32(0), ...uint32(0)]));
  assertConnectionError(two.peer, ErrorCode.protocolError);
  const three = setUp();
  three.peer.send(frame(FrameType.goaway, 0, 0, [0, 0, 0, 0]));
  assertConnectionError(three.peer, ErrorCode.frameSizeError);
});

test("6.10: a header block may be split anywhere, with END_STREAM on its HEADERS", () => {
  const { peer } = setUp();
  const block = headers(1, stream).slice(9);
  peer.send(frame(FrameType.headers, Flag.endStream, 1, block.slice(0, 7)));
  peer.send(frame(FrameType.continuation, 0, 1, []));
  peer.send(frame(FrameType.continuation, 0, 1, block.slice(7, 20)));
  peer.send(frame(FrameType.continuation, Flag.endHeaders, 1, block.slice(20)));
  assertAlive(peer, 3);
});

test("6.10: nothing may come between, and CONTINUATION needs HEADERS", () => {
  const block = headers(1, stream).slice(9);
  for (const bytes of [
    ping(),
    headers(3, echo),
    frame(FrameType.continuation, 4, 3, []),
    data(1, []),
  ]) {
    const { peer } = setUp();
    peer.send(frame(FrameType.headers, 0, 1, block.slice(0, 7)), bytes);
    assertConnectionError(peer, ErrorCode.protocolError);
  }
  const { peer } = setUp();
  peer.send(frame(FrameType.continuation, Flag.endHeaders, 1, block));
  assertConnectionError(peer, ErrorCode.protocolError);
});

// --- 8 HTTP -----------------------------------------------------------------------------------------

test("8.1: trailers end a request; without END_STREAM or with pseudo-headers they are malformed", () => {
  const good = setUp();
  good.peer.send(headers(1, stream), headers(1, [["x", "y"]], endBoth));
  assert.deepEqual(good.journal.take(), ["open", "half-close"]);
  for (const bytes of [
    headers(1, [["x", "y"]]),
    headers(1, [[":path", "/"]], endBoth),
    headers(1, [["X", "y"]], endBoth),
  ]) {
    const { peer, journal } = setUp();
    peer.send(headers(1, stream), bytes);
    assert.deepEqual(peer.story(), [`RST_STREAM 1 ${ErrorCode.protocolError}`]);
    assert.deepEqual(journal.take(), ["open", "cancel"]);
    assertAlive(peer, 3);
  }
});

test("8.1: an answer before the end of the request is followed by RST_STREAM(NO_ERROR)", () => {
  const { peer, journal } = setUp();
  peer.send(headers(1, echo), data(1, message("early")));
  assert.deepEqual(peer.story(), [
    `HEADERS 1 ${answerHead}`,
    "DATA 1 10",
    "HEADERS 1 end grpc-status=0",
    "RST_STREAM 1 0",
  ]);
  journal.take();
  peer.send(data(1, [], Flag.endStream));
  assertAlive(peer, 3);
});

test("8.1.1: a false content-length is PROTOCOL_ERROR", () => {
  const withLength = (length: string): Fields =>
    requestFields("/test.Echo/Sum", ["content-length", length]);
  for (const [length, bytes] of [
    ["3", data(1, message("hi"), Flag.endStream)],
    ["8", data(1, message("hi"), Flag.endStream)],
    ["7", data(1, [], Flag.endStream)],
  ] as const) {
    const { peer } = setUp();
    peer.send(headers(1, withLength(length)), bytes);
    assert.deepEqual(peer.story(), [`RST_STREAM 1 ${ErrorCode.protocolError}`]);
    assertAlive(peer, 3);
  }
  const { peer } = setUp();
  peer.send(headers(1, withLength("7")), data(1, message("hi"), Flag.endStream));
  assert.equal(peer.story().length, 3);
});

test("8.2, 8.3: malformed header lists are PROTOCOL_ERROR for the stream", () => {
  const base: Fields = [
    [":method", "POST"],
    [":scheme", "http"],
    [":path", "/test.Echo/Echo"],
    ["content-type", "application/grpc"],
  ];
  const without = (name: string): Fields => base.filter((field) => field[0] !== name);
  for (const [what, fields] of [
    ["capital letters", [...base, ["Te", "trailers"]]],
    ["space in a name", [...base, ["a b", "c"]]],
    ["empty name", [...base, ["", "c"]]],
    ["line feed in a value", [...base, ["a", "b\nc"]]],
    ["NUL in a value", [...base, ["a", "b\0c"]]],
    ["connection", [...base, ["connection", "keep-alive"]]],
    ["transfer-encoding", [...base, ["transfer-encoding", "chunked"]]],
    ["te other than trailers", [...base, ["te", "gzip"]]],
    ["no :method", without(":method")],
    ["no :scheme", without(":scheme")],
    ["no :path", without(":path")],
    ["empty :path", [...without(":path").slice(0, 2), [":path", ""]]],
    ["two :path", [[":path", "/a"], ...base]],
    ["two :method", [[":method", "GET"], ...base]],
    ["pseudo-header of answers", [[":status", "200"], ...base]],
    ["unknown pseudo-header", [[":what", "x"], ...base]],
    ["pseudo-header after others", [["a", "b"], ...base]],
    ["content-length that is no number", [...base, ["content-length", "1x"]]],
    ["two content-lengths", [...base, ["content-length", "1"], ["content-length", "2"]]],
  ] as [string, Fields][]) {
    const { peer, journal } = setUp();
    peer.send(headers(1, fields, endBoth));
    assert.deepEqual(peer.story(), [`RST_STREAM 1 ${ErrorCode.protocolError}`], what);
    assert.deepEqual(journal.take(), []);
    assertAlive(peer, 3);
  }
});

test("6.5.2: a header list beyond the limit resets the stream only", () => {
  const { peer, journal } = setUp({ headerListBytesMax: 1000 });
  peer.send(headers(1, [...echo, ["big", "x".repeat(1000)]], endBoth));
  assert.deepEqual(peer.story(), [`RST_STREAM 1 ${ErrorCode.frameSizeError}`]);
  assert.deepEqual(journal.take(), []);
  assertAlive(peer, 3);
});

test("all of it works in pieces of a few bytes, too", () => {
  const { peer, world, held } = setUp();
  world.pieceBytesMax = 3;
  for (let id = 1; id < 100; id += 2) {
    const text = "x".repeat(id * 3);
    peer.send(headers(id, echo), data(id, message(text).slice(0, 4)), ping());
    peer.send(data(id, message(text).slice(4), Flag.endStream));
    assert.deepEqual(peer.story(), [
      "PING ack",
      `HEADERS ${id} ${answerHead}`,
      `DATA ${id} ${5 + text.length}`,
      `HEADERS ${id} end grpc-status=0`,
    ]);
  }
  assert.equal(held.length, 0);
});

// RFC 9113, what the tests by frame type leave out: which streams an id closes, how errors end things (§5.4),
// in which order settings hold (§6.5.3), what extensions and unknown codes may not do (§5.5, §7), and the
// requests that a gRPC server has no use for (§8.5, §8.6).

import { strict as assert } from "node:assert";
import { test } from "node:test";
import { type Bytes, concatBytes, utf8ToBytes } from "@etcd-ts/base";
import { clientPreface, ErrorCode, Flag, FrameType } from "../src/frames.ts";
import { RpcServer } from "../src/index.ts";
import {
  data,
  type Fields,
  frame,
  goaway,
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

function setUp(greeting: Bytes = settings()) {
  const world = new World();
  const services = testServices();
  const server = new RpcServer({ host: world.host, methods: services.methods });
  return { world, server, peer: RawPeer.connect(world, server, greeting), ...services };
}

const echo = requestFields("/test.Echo/Echo");
const hold = requestFields("/test.Echo/Hold");
const endBoth = Flag.endHeaders | Flag.endStream;
const call = (id: number, fields: Fields): Bytes =>
  concatBytes([headers(id, fields), data(id, message("x"), Flag.endStream)]);

test("3.4: a client that is done greeting may go on in the same segment", () => {
  const world = new World();
  const { methods } = testServices();
  const server = new RpcServer({ host: world.host, methods });
  const [near, far] = world.pair();
  far.handler = server.attach(far);
  const peer = new RawPeer(world, near);
  // Nothing obliges it to wait for our SETTINGS.
  peer.send(utf8ToBytes(clientPreface), settings(), call(1, echo));
  const story = peer.story();
  assert.match(story[0]!, /^SETTINGS \d/, "ours come first");
  assert.ok(story.includes("SETTINGS ack"));
  assert.ok(story.some((line) => line.startsWith("HEADERS 1 end")));
});

test("5.1.1: the first use of an id closes all lower ones that were never used", () => {
  for (const bytes of [data(3, message("x")), headers(3, echo)]) {
    const { peer } = setUp();
    peer.send(headers(5, hold), bytes);
    const end = peer.story().find((line) => line.startsWith("GOAWAY"));
    assert.ok(end?.startsWith(`GOAWAY 5 ${ErrorCode.streamClosed} `), end);
    assert.ok(peer.ended);
  }
  for (const bytes of [rstStream(3, ErrorCode.cancel), windowUpdate(3, 1)]) {
    const { peer } = setUp();
    peer.send(call(5, echo), bytes, call(7, echo));
    const story = peer.story();
    assert.ok(
      story.some((line) => line.startsWith("HEADERS 7 end")),
      story.join("\n"),
    );
  }
});

test("5.4.1: after a connection error nothing more is done, and GOAWAY says how far we came", () => {
  const { peer, journal, server } = setUp();
  peer.send(call(1, hold), call(3, hold), data(0, [1]), call(5, echo), ping());
  assert.deepEqual(journal.take(), ["hold", "hold", "cancelled", "cancelled"]);
  const story = peer.story();
  assert.equal(story.length, 1);
  assert.ok(story[0]?.startsWith(`GOAWAY 3 ${ErrorCode.protocolError} `), story[0]);
  assert.equal(server.counters.streamsOpen, 0);
  peer.send(call(7, echo));
  assert.deepEqual(peer.story(), []);
});

test("5.4.2: RST_STREAM is not answered with RST_STREAM, however often it comes", () => {
  const { peer } = setUp();
  peer.send(call(1, hold));
  for (let i = 0; i < 5; i++) peer.send(rstStream(1, ErrorCode.streamClosed));
  assert.deepEqual(peer.story(), []);
  peer.send(call(3, echo));
  assert.equal(peer.story().length, 3);
});

test("5.5: an unknown frame inside a header block is an error; elsewhere it does nothing", () => {
  const block = headers(1, echo).slice(9);
  const { peer } = setUp();
  peer.send(frame(FrameType.headers, 0, 1, block.slice(0, 9)), frame(0xfa, 0xff, 1, [1, 2, 3]));
  assert.ok(peer.story().some((line) => line.startsWith(`GOAWAY 0 ${ErrorCode.protocolError} `)));
  const other = setUp();
  other.peer.send(frame(0xfa, 0xff, 9, [1, 2, 3]), frame(0x0a, 0, 0, new Uint8Array(16_384)));
  other.peer.send(call(1, echo));
  assert.equal(other.peer.story().length, 3);
});

test("6.5.3: settings hold in the order in which they stand, the last one of a kind wins", () => {
  const { peer, held } = setUp(settings([4, 100], [4, 7], [4, 20]));
  peer.send(call(1, hold));
  held[0]!.respond(new Uint8Array(50));
  peer.send();
  assert.deepEqual(
    peer.story().filter((line) => line.startsWith("DATA")),
    ["DATA 1 20"],
  );
  // The acknowledgement comes behind what was sent under the former values, in one order for both sides.
  peer.send(settings([4, 0], [4, 65_535]));
  const story = peer.story();
  assert.ok(story.indexOf("SETTINGS ack") < story.indexOf("DATA 1 35"), story.join("\n"));
});

test("6.8: what comes behind our last GOAWAY is not touched, but its headers change the table", async () => {
  const { peer, server, world, journal, held } = setUp();
  peer.send(call(1, hold));
  const closed = server.close();
  await world.settle();
  const [first] = peer.take().filter((each) => each.type === FrameType.goaway);
  assert.ok(first !== undefined);
  const drain = peer.frames.concat();
  assert.equal(drain.length, 0);
  // The client saw the first one; its answer to the ping brings the last.
  await world.advance(6000);
  assert.ok(peer.story().some((line) => line.startsWith("GOAWAY 1 0 ")));
  journal.take();
  // Inserts x: y on a stream that is not processed, then uses the entry in trailers of the one that is.
  const late = headers(3, echo);
  peer.send(
    frame(FrameType.headers, Flag.endHeaders, 3, [...late.slice(9), 0x40, 1, 0x78, 1, 0x79]),
  );
  peer.send(data(3, message("x"), Flag.endStream), windowUpdate(3, 10), rstStream(3, 8));
  assert.deepEqual(journal.take(), []);
  assert.equal(peer.ended, false);
  held[0]!.respond(new Uint8Array(1));
  await world.settle();
  const story = peer.story();
  assert.ok(story.some((line) => line.startsWith("HEADERS 1 end")));
  assert.ok(!story.some((line) => line.includes(" 3 ")), story.join("\n"));
  peer.io.end();
  await world.settle();
  await closed;
});

test("7: unknown error codes mean nothing in particular", () => {
  const { peer, journal } = setUp();
  peer.send(call(1, hold), rstStream(1, 0xabcdef));
  assert.deepEqual(journal.take(), ["hold", "cancelled"]);
  peer.send(call(3, hold), goaway(0, 0xdeadbeef, "going"));
  assert.deepEqual(journal.take(), ["hold"], "what runs goes on");
  assert.deepEqual(peer.story(), []);
});

test("8.1: a request that ends at once, in the middle of a message, or with trailers only", () => {
  const { peer } = setUp();
  peer.send(headers(1, echo, endBoth));
  peer.send(headers(3, echo), data(3, [0, 0, 0, 0, 9, 1], Flag.endStream));
  peer.send(headers(5, echo), headers(5, [["a", "b"]], endBoth));
  const ends = peer.story().filter((line) => line.includes("grpc-status="));
  assert.deepEqual(
    ends.map((line) => `${line.split(" ")[1]} ${/grpc-status=\d+/.exec(line)?.[0]}`),
    ["1 grpc-status=2", "3 grpc-status=2", "5 grpc-status=2"],
  );
});

test("8.5, 8.6: CONNECT and upgrades are no requests of ours", () => {
  const connect: Fields = [
    [":method", "CONNECT"],
    [":authority", "localhost:80"],
  ];
  for (const fields of [
    connect,
    [...echo, ["upgrade", "websocket"]] as Fields,
    [...echo, ["connection", "upgrade"]] as Fields,
    [...echo, ["http2-settings", "AAMAAABk"]] as Fields,
  ]) {
    const { peer, journal } = setUp();
    peer.send(headers(1, fields, Flag.endHeaders), data(1, message("x"), Flag.endStream));
    const story = peer.story();
    if (fields.some(([name]) => name === "http2-settings")) {
      // It belongs to the upgrade of HTTP/1.1, and here it is a header like any other.
      assert.equal(story.length, 3);
    } else {
      assert.deepEqual(story, [`RST_STREAM 1 ${ErrorCode.protocolError}`]);
      assert.deepEqual(journal.take(), []);
    }
    peer.send(call(3, echo));
    assert.equal(peer.story().length, 3);
  }
});

test("8.2.3: a cookie in several fields is taken as it comes", () => {
  const { peer } = setUp();
  const fields: Fields = [...echo, ["cookie", "a=b"], ["cookie", "c=d"]];
  peer.send(headers(1, fields), data(1, message("x"), Flag.endStream));
  assert.equal(peer.story().length, 3);
});

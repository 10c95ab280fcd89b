// The client against our server and against servers by hand, in a world without real time.

import { strict as assert } from "node:assert";
import { test } from "node:test";
import { gunzipSync, gzipSync } from "node:zlib";
import { type Bytes, bytesToUtf8, utf8ToBytes } from "@etcd-ts/base";
import { ErrorCode, Flag, FrameType } from "../src/frames.ts";
import {
  Channel,
  type ChannelOptions,
  type ClientStreamHandler,
  type GzipCodec,
  type Metadata,
  RpcError,
  RpcServer,
  type RpcServerOptions,
} from "../src/index.ts";
import {
  data,
  type Fields,
  frame,
  goaway,
  headers,
  message,
  rstStream,
  settings,
  windowUpdate,
} from "./support/raw-peer.ts";
import { RawServer, text } from "./support/raw-server.ts";
import { type TestServices, testServices } from "./support/services.ts";
import { World } from "./support/world.ts";

interface Setup extends TestServices {
  readonly world: World;
  readonly server: RpcServer;
  readonly channel: Channel;
}

async function setUp(
  channelOptions: Partial<ChannelOptions> = {},
  serverOptions: Partial<RpcServerOptions> = {},
): Promise<Setup> {
  const world = new World();
  const services = testServices();
  const server = new RpcServer({ host: world.host, methods: services.methods, ...serverOptions });
  const { address } = await server.serve({ kind: "tcp", host: "server", port: 0 });
  const channel = new Channel({ host: world.host, address, ...channelOptions });
  return { world, server, channel, ...services };
}

/** The outcome of a promise, as soon as it has one. */
function outcome(promise: Promise<Bytes>): { value: string | undefined } {
  const seen: { value: string | undefined } = { value: undefined };
  promise.then(
    (bytes) => {
      seen.value = `ok ${bytesToUtf8(bytes)}`;
    },
    (error: unknown) => {
      assert.ok(error instanceof RpcError);
      seen.value = `${error.code} ${error.message}`;
    },
  );
  return seen;
}

class Recorder implements ClientStreamHandler {
  readonly lines: string[] = [];
  readonly messages: Bytes[] = [];
  onHeaders(metadata: Metadata): void {
    this.lines.push(`headers ${metadata.map((pair) => pair.join("=")).join(" ")}`.trim());
  }
  onMessage(bytes: Bytes): void {
    this.messages.push(bytes);
    this.lines.push(`message ${bytes.length}`);
  }
  onDrain(): void {
    this.lines.push("drain");
  }
  onEnd(error: RpcError | undefined, trailers: Metadata): void {
    const suffix = trailers.map((pair) => ` ${pair.join("=")}`).join("");
    this.lines.push(`${error === undefined ? "ok" : `${error.code} ${error.message}`}${suffix}`);
  }
  take(): string[] {
    return this.lines.splice(0);
  }
}

const head: Fields = [
  [":status", "200"],
  ["content-type", "application/grpc"],
];
const end = Flag.endHeaders | Flag.endStream;
const ok = (id: number, body = "fine"): Bytes[] => [
  headers(id, head),
  data(id, message(body)),
  headers(id, [["grpc-status", "0"]], end),
];

// --- against our server -----------------------------------------------------------------------------

test("calls: answers, errors, and many at once over one connection", async () => {
  const { world, channel, server } = await setUp();
  const seen = [];
  for (let i = 0; i < 100; i++) seen.push(outcome(channel.unary("/test.Echo/Echo", text(`m${i}`))));
  const failed = outcome(channel.unary("/test.Echo/Fail", text("nö%")));
  const unknown = outcome(channel.unary("/test.Echo/What", text("")));
  await world.settle();
  assert.deepEqual(
    seen.map((each) => each.value),
    seen.map((_, i) => `ok m${i}`),
  );
  assert.equal(failed.value, "5 nö%");
  assert.equal(unknown.value, "12 unknown method What for service test.Echo");
  assert.equal(server.counters.connectionsOpened, 1);
  assert.equal(channel.state, "ready");
  channel.close();
  const closing = server.close();
  await world.settle();
  await closing;
  assert.equal(world.timerCount, 0);
});

test("streams of all kinds", async () => {
  const { world, channel } = await setUp();
  const bidi = new Recorder();
  const echo = channel.stream("/test.Echo/Bidi", {}, bidi);
  echo.send(text("a"));
  await world.settle();
  echo.send(text("bb"));
  echo.closeSend();
  const sum = new Recorder();
  const upload = channel.stream("/test.Echo/Sum", {}, sum);
  for (let i = 0; i < 5; i++) upload.send(new Uint8Array(10));
  upload.closeSend();
  const flood = new Recorder();
  const download = channel.stream("/test.Echo/Flood", {}, flood);
  download.send(text("3 7"));
  download.closeSend();
  await world.settle();
  assert.deepEqual(bidi.take(), ["headers", "message 1", "message 2", "ok"]);
  assert.equal(bytesToUtf8(sum.messages[0]!), "50");
  assert.deepEqual(flood.take(), ["headers", "message 7", "message 7", "message 7", "ok"]);
});

test("large messages and slow readers: flow control holds the server back", async () => {
  const { world, channel, server, journal } = await setUp({ streamWindowBytes: 100_000 });
  const recorder = new Recorder();
  const stream = channel.stream("/test.Echo/Flood", {}, recorder);
  stream.pause();
  stream.send(text("1000 10000"));
  await world.settle();
  assert.equal(recorder.messages.length, 0);
  const sentEarly = server.counters.messagesSent;
  assert.ok(sentEarly < 30, `${sentEarly} messages left the handler`);
  stream.resume();
  await world.settle();
  assert.equal(recorder.messages.length, 1000);
  assert.equal(recorder.lines.at(-1), "ok");
  for (const [i, bytes] of recorder.messages.entries()) {
    assert.equal(bytes.length, 10_000);
    assert.equal(bytes[0], (999 - i) & 255);
  }
  assert.deepEqual(journal.take(), []);
});

test("back-pressure on sending: send says when to wait", async () => {
  const { world, channel, streams } = await setUp({}, { limits: { streamWindowBytes: 65_535 } });
  const recorder = new Recorder();
  const stream = channel.stream("/test.Echo/Stream", {}, recorder);
  await world.settle();
  streams[0]!.call.pause();
  let sent = 0;
  while (stream.send(new Uint8Array(1000))) sent++;
  assert.ok(sent > 100 && sent < 140, `${sent}`);
  await world.settle();
  assert.deepEqual(recorder.take(), []);
  streams[0]!.call.resume();
  await world.settle();
  assert.deepEqual(recorder.take(), ["drain"]);
  assert.equal(streams[0]!.messages.length, sent + 1);
});

test("sending before there is a connection also knows back-pressure", async () => {
  const { world, channel, streams } = await setUp();
  const recorder = new Recorder();
  const stream = channel.stream("/test.Echo/Stream", {}, recorder);
  let sent = 1;
  while (stream.send(new Uint8Array(1000))) sent++;
  assert.ok(sent > 200 && sent < 300);
  await world.settle();
  assert.deepEqual(recorder.take(), ["drain"]);
  assert.equal(streams[0]!.messages.length, sent);
});

test("deadlines: on the client, on the server, and those that have passed", async () => {
  const { world, channel, journal } = await setUp();
  const late = outcome(channel.unary("/test.Echo/Hold", text("x"), { timeoutMs: 100 }));
  const passed = outcome(channel.unary("/test.Echo/Hold", text("x"), { timeoutMs: 0 }));
  const fine = outcome(channel.unary("/test.Echo/Echo", text("x"), { timeoutMs: 100 }));
  await world.settle();
  assert.equal(passed.value, "4 context deadline exceeded");
  assert.equal(fine.value, "ok x");
  await world.advance(200);
  assert.equal(late.value, "4 context deadline exceeded");
  assert.deepEqual(journal.take(), ["hold", "echo 1", "cancelled"]);
});

test("cancellation: by signal, by cancel, and before the start", async () => {
  const { world, channel, journal } = await setUp();
  const controller = new AbortController();
  const signalled = outcome(
    channel.unary("/test.Echo/Hold", text("x"), { signal: controller.signal }),
  );
  const early = outcome(
    channel.unary("/test.Echo/Hold", text("x"), { signal: AbortSignal.abort() }),
  );
  const recorder = new Recorder();
  const stream = channel.stream("/test.Echo/Stream", {}, recorder);
  await world.settle();
  assert.equal(early.value, "1 context canceled");
  assert.deepEqual(journal.take(), ["hold", "open"]);
  controller.abort();
  stream.cancel();
  stream.cancel();
  await world.settle();
  assert.equal(signalled.value, "1 context canceled");
  assert.deepEqual(recorder.take(), ["1 context canceled"]);
  assert.deepEqual(journal.take().sort(), ["cancel", "cancelled"]);
});

test("sizes: too large to send, too large to receive", async () => {
  const { world, channel } = await setUp({ sendBytesMax: 1000, receiveBytesMax: 500 });
  const one = outcome(channel.unary("/test.Echo/Echo", new Uint8Array(1001)));
  const two = outcome(channel.unary("/test.Echo/Echo", new Uint8Array(501)));
  const three = outcome(channel.unary("/test.Echo/Echo", new Uint8Array(0)));
  await world.settle();
  assert.equal(one.value, "8 trying to send message larger than max (1001 vs. 1000)");
  assert.equal(two.value, "8 grpc: received message larger than max (501 vs. 500)");
  assert.equal(three.value, "ok ");
});

test("metadata goes there and trailers come back", async () => {
  const { world, channel, streams } = await setUp();
  const recorder = new Recorder();
  channel.stream("/test.Echo/Stream", { metadata: [["Token", "t1"]] }, recorder);
  await world.settle();
  const { call } = streams[0]!;
  assert.equal(call.metadata("token"), "t1");
  assert.equal(call.metadata("user-agent"), "etcd-ts");
  call.sendHeaders([["a", "b"]]);
  call.finish({ code: 7, message: "no", trailers: [["c", "d"]] });
  await world.settle();
  assert.deepEqual(recorder.take(), ["headers a=b", "7 no c=d"]);
});

test("gzip both ways", async () => {
  const gzip: GzipCodec = {
    gzip: (bytes) => gzipSync(bytes),
    gunzip: (bytes, max) => gunzipSync(bytes, { maxOutputLength: max }),
  };
  const { world, channel, server } = await setUp({ gzip }, { gzip });
  const body = "compress me ".repeat(1000);
  const seen = outcome(channel.unary("/test.Echo/Echo", text(body), { compress: true }));
  await world.settle();
  assert.equal(seen.value, `ok ${body}`);
  assert.ok(server.counters.bytesReceived < 1000 && server.counters.bytesSent < 1000);
});

test("works when bytes arrive in small pieces", async () => {
  const { world, channel } = await setUp();
  world.pieceBytesMax = 5;
  const bodies = Array.from({ length: 30 }, (_, i) => "x".repeat(i * i));
  const seen = bodies.map((body) => outcome(channel.unary("/test.Echo/Echo", text(body))));
  const recorder = new Recorder();
  const stream = channel.stream("/test.Echo/Bidi", {}, recorder);
  for (const body of bodies) stream.send(text(body));
  stream.closeSend();
  await world.settle();
  assert.deepEqual(
    seen.map((each) => each.value),
    bodies.map((body) => `ok ${body}`),
  );
  assert.equal(recorder.messages.length, 30);
  assert.equal(recorder.lines.at(-1), "ok");
});

// --- connections ------------------------------------------------------------------------------------

test("no server: calls fail fast with grpc-go's text; waitForReady waits until its deadline", async () => {
  const world = new World();
  const channel = new Channel({
    host: world.host,
    address: { kind: "tcp", host: "10.0.0.9", port: 2379 },
  });
  const refused =
    '14 connection error: desc = "transport: Error while dialing: dial tcp 10.0.0.9:2379: connect: connection refused"';
  const first = outcome(channel.unary("/a.B/C", text("")));
  const waits = outcome(channel.unary("/a.B/C", text(""), { waitForReady: true, timeoutMs: 5000 }));
  await world.settle();
  assert.equal(first.value, refused);
  assert.equal(channel.state, "failed");
  const second = outcome(channel.unary("/a.B/C", text("")));
  await world.settle();
  assert.equal(second.value, refused);
  await world.advance(4000);
  assert.equal(waits.value, undefined);
  await world.advance(2000);
  assert.equal(waits.value, "4 context deadline exceeded");
  channel.close();
  assert.equal(world.timerCount, 0);
});

test("backoff: 1 s, times 1.6, at most 120 s, with 20 % of jitter; success resets it", async () => {
  const { world, channel, ...rest } = new RawServer();
  const attempts: number[] = [];
  channel.onStateChange((state) => {
    if (state === "connecting") attempts.push(world.nowMs);
  });
  channel.connect();
  await world.advance(900_000);
  let expected = 1000;
  for (let i = 1; i < attempts.length; i++) {
    const waited = attempts[i]! - attempts[i - 1]!;
    assert.ok(waited >= expected * 0.8 - 1 && waited <= expected * 1.2 + 1, `${i}: ${waited}`);
    expected = Math.min(120_000, expected * 1.6);
  }
  assert.ok(attempts.length > 12 && attempts.length < 25);
  channel.close();
  assert.equal(rest.peers.length, 0);
});

test("a server that comes up later is found; the states tell the story", async () => {
  const server = new RawServer();
  const { world, channel } = server;
  const states: string[] = [];
  const stop = channel.onStateChange((state) => states.push(state));
  const call = outcome(channel.unary("/a.B/C", text(""), { waitForReady: true }));
  await world.settle();
  await server.listen();
  await world.advance(1300);
  server.peers[0]!.send(settings());
  await world.settle();
  server.peers[0]!.send(...ok(1));
  await world.settle();
  assert.equal(call.value, "ok fine");
  assert.deepEqual(states, ["connecting", "failed", "connecting", "ready"]);
  stop();
  channel.close();
  assert.deepEqual(states.length, 4);
});

test("a server that accepts but never says SETTINGS is given up in time", async () => {
  const server = new RawServer({ connectTimeoutMs: 3000 });
  const { world, channel } = server;
  await server.listen();
  const call = outcome(channel.unary("/a.B/C", text("")));
  await world.advance(2000);
  assert.equal(call.value, undefined);
  await world.advance(1500);
  assert.match(
    call.value!,
    /^14 connection error: desc = "error reading server preface: i\/o timeout"/,
  );
  channel.close();
});

test("a lost connection fails its calls with UNAVAILABLE; the next call connects anew", async () => {
  const [server, peer] = await RawServer.connected();
  const { world, channel } = server;
  const call = outcome(channel.unary("/a.B/C", text("x")));
  await world.settle();
  peer.io.destroy();
  await world.settle();
  assert.match(call.value!, /^14 error reading from server: /);
  assert.equal(channel.state, "idle");
  const next = outcome(channel.unary("/a.B/C", text("y")));
  await world.settle();
  server.peers[1]!.send(settings());
  await world.settle();
  server.peers[1]!.send(...ok(1));
  await world.settle();
  assert.equal(next.value, "ok fine");
  channel.close();
});

test("GOAWAY: calls above its last stream move to a new connection, the others end on the old", async () => {
  const [server, peer] = await RawServer.connected();
  const { world, channel } = server;
  const first = outcome(channel.unary("/a.B/C", text("one")));
  const second = outcome(channel.unary("/a.B/C", text("two")));
  const moving = new Recorder();
  const stream = channel.stream("/a.B/S", {}, moving);
  stream.send(text("early"));
  await world.settle();
  peer.story();
  peer.send(goaway(1, 0));
  await world.settle();
  assert.equal(channel.state, "connecting");
  stream.send(text("late"));
  const peer2 = server.peers[1]!;
  peer2.send(settings());
  await world.settle();
  const story = peer2.story().filter((line) => /^(HEADERS|DATA)/.test(line));
  assert.deepEqual(
    story.map(
      (line) => line.split(" ").slice(0, 2).join(" ") + (line.includes(" end") ? " end" : ""),
    ),
    ["HEADERS 1", "DATA 1 end", "HEADERS 3", "DATA 3", "DATA 3"],
  );
  peer.send(...ok(1, "first"));
  peer2.send(...ok(1, "second"));
  peer2.send(headers(3, head), headers(3, [["grpc-status", "0"]], end));
  await world.settle();
  assert.equal(first.value, "ok first");
  assert.equal(second.value, "ok second");
  assert.deepEqual(moving.take(), ["headers", "ok"]);
  assert.ok(peer.ended, "the old connection is closed when its last call has ended");
  channel.close();
});

test("a stream that has got something back does not move", async () => {
  const [server, peer] = await RawServer.connected();
  const { world, channel } = server;
  const recorder = new Recorder();
  channel.stream("/a.B/S", {}, recorder);
  await world.settle();
  peer.send(headers(1, head));
  peer.send(goaway(0, 0));
  await world.settle();
  assert.deepEqual(recorder.take(), ["headers", "14 server sent GOAWAY: NO_ERROR"]);
  channel.close();
});

test("connections that break as soon as they are made are not made in a hurry", async () => {
  const server = new RawServer();
  const { world, channel } = server;
  await server.listen();
  const call = outcome(channel.unary("/a.B/C", text("x"), { waitForReady: true }));
  await world.settle();
  for (let seconds = 0; seconds < 60; seconds++) {
    const last = server.peers.at(-1)!;
    if (!last.ended) last.send(settings(), goaway(0, 0));
    await world.advance(1000);
  }
  assert.ok(server.peers.length > 4 && server.peers.length < 14, `${server.peers.length}`);
  assert.equal(call.value, undefined, "the call goes on waiting");
  channel.close();
});

test("REFUSED_STREAM is tried once more, other resets end the call", async () => {
  const [server, peer] = await RawServer.connected();
  const { world, channel } = server;
  const call = outcome(channel.unary("/a.B/C", text("x")));
  await world.settle();
  peer.send(rstStream(1, ErrorCode.refusedStream));
  await world.settle();
  peer.send(...ok(3));
  await world.settle();
  assert.equal(call.value, "ok fine");
  const twice = outcome(channel.unary("/a.B/C", text("x")));
  await world.settle();
  peer.send(rstStream(5, ErrorCode.refusedStream));
  await world.settle();
  peer.send(rstStream(7, ErrorCode.refusedStream));
  await world.settle();
  assert.equal(twice.value, "14 stream terminated by RST_STREAM with error code: REFUSED_STREAM");
  for (const [id, code, status] of [
    [9, ErrorCode.cancel, 1],
    [11, ErrorCode.internalError, 13],
    [13, ErrorCode.enhanceYourCalm, 8],
    [15, ErrorCode.inadequateSecurity, 7],
    [17, ErrorCode.noError, 13],
  ] as const) {
    const reset = outcome(channel.unary("/a.B/C", text("x")));
    await world.settle();
    peer.send(rstStream(id, code));
    await world.settle();
    assert.match(reset.value!, new RegExp(`^${status} stream terminated by RST_STREAM`));
  }
  channel.close();
});

test("the server's MAX_CONCURRENT_STREAMS is kept; calls wait their turn", async () => {
  const [server, peer] = await RawServer.connected();
  const { world, channel } = server;
  peer.send(settings([3, 2]));
  const calls = [1, 2, 3, 4].map(() => outcome(channel.unary("/a.B/C", text("x"))));
  await world.settle();
  const opened = (): number => peer.story().filter((line) => line.startsWith("HEADERS")).length;
  assert.equal(opened(), 2);
  peer.send(...ok(1));
  await world.settle();
  assert.equal(opened(), 1);
  peer.send(settings([3, 100]));
  await world.settle();
  assert.equal(opened(), 1);
  for (const id of [3, 5, 7]) peer.send(...ok(id));
  await world.settle();
  assert.deepEqual(
    calls.map((each) => each.value),
    ["ok fine", "ok fine", "ok fine", "ok fine"],
  );
  channel.close();
});

test("close fails what runs and what waits, and later calls", async () => {
  const [server, peer] = await RawServer.connected();
  const { world, channel } = server;
  peer.send(settings([3, 1]));
  const running = outcome(channel.unary("/a.B/C", text("x")));
  const waiting = outcome(channel.unary("/a.B/C", text("x")));
  await world.settle();
  channel.close();
  channel.close();
  const later = outcome(channel.unary("/a.B/C", text("x"), { timeoutMs: 1000 }));
  await world.settle();
  const closing = "1 grpc: the client connection is closing";
  assert.deepEqual([running.value, waiting.value, later.value], [closing, closing, closing]);
  await world.advance(2000);
  assert.equal(world.timerCount, 0);
  assert.ok(peer.ended);
});

// --- answers that are none --------------------------------------------------------------------------

test("answers without gRPC: HTTP statuses and content types are explained", async () => {
  const [server, peer] = await RawServer.connected();
  const { world, channel } = server;
  let id = -1;
  const answer = async (...parts: ((id: number) => Bytes)[]): Promise<string> => {
    id += 2;
    const call = outcome(channel.unary("/a.B/C", text("x")));
    await world.settle();
    for (const part of parts) peer.send(part(id));
    await world.settle();
    return call.value!;
  };
  assert.equal(
    await answer((n) =>
      headers(
        n,
        [
          [":status", "404"],
          ["content-type", "text/html"],
        ],
        end,
      ),
    ),
    '12 unexpected HTTP status code received from server: 404; transport: received unexpected content-type "text/html"',
  );
  assert.equal(
    await answer((n) => headers(n, [[":status", "503"]], end)),
    "14 unexpected HTTP status code received from server: 503; malformed header: missing HTTP content-type",
  );
  assert.equal(
    await answer((n) =>
      headers(n, [
        [":status", "200"],
        ["content-type", "text/html"],
      ]),
    ),
    '2 transport: received unexpected content-type "text/html"',
  );
  assert.equal(
    await answer((n) =>
      headers(n, [...head, ["grpc-status", "9"], ["grpc-message", "a%20b"]], end),
    ),
    "9 a b",
  );
  assert.equal(
    await answer(
      (n) => headers(n, head),
      (n) => data(n, message("x"), Flag.endStream),
    ),
    "13 server closed the stream without sending trailers",
  );
  assert.equal(
    await answer(
      (n) => headers(n, head),
      (n) => headers(n, [["grpc-status", "0"]], end),
    ),
    "13 no message in a unary answer",
  );
  assert.equal(
    await answer(
      (n) => headers(n, head),
      (n) => data(n, Buffer.concat([message("a"), message("b")])),
    ),
    "13 more than one message in a unary answer",
  );
  assert.equal(
    await answer(
      (n) => headers(n, head),
      (n) => data(n, message("abc").slice(0, 6)),
      (n) => headers(n, [["grpc-status", "0"]], end),
    ),
    "13 unexpected EOF",
  );
  assert.equal(await answer((n) => data(n, message("x"))), "13 DATA before headers");
  assert.equal(await answer((n) => headers(n, [["x", "y"]])), "13 header block without status");
  assert.equal(
    await answer((n) => headers(n, [[":status", "abc"]], end)),
    "13 malformed header block",
  );
  assert.equal(
    await answer(
      (n) => headers(n, [[":status", "103"]]),
      (n) => headers(n, head),
      (n) => data(n, message("late")),
      (n) => headers(n, [["grpc-status", "0"]], end),
    ),
    "ok late",
  );
  assert.equal(
    await answer(
      (n) => headers(n, head),
      (n) => data(n, message("z", 1)),
    ),
    "13 grpc: compressed flag set with identity or empty encoding",
  );
  assert.equal(
    await answer(
      (n) => headers(n, [...head, ["grpc-encoding", "snappy"]]),
      (n) => data(n, message("z", 1)),
    ),
    '12 grpc: Decompressor is not installed for grpc-encoding "snappy"',
  );
  assert.equal(channel.state, "ready");
  channel.close();
});

test("protocol errors of a server end the connection", async () => {
  for (const [bytes, code] of [
    [frame(FrameType.pushPromise, 4, 1, [0, 0, 0, 2]), ErrorCode.protocolError],
    [settings([2, 1]), ErrorCode.protocolError],
    [headers(2, head), ErrorCode.protocolError],
    [headers(99, head), ErrorCode.protocolError],
    [data(99, [1]), ErrorCode.protocolError],
    [windowUpdate(99, 1), ErrorCode.protocolError],
    [frame(FrameType.headers, 4, 1, [0x80]), ErrorCode.compressionError],
    [windowUpdate(0, 0x7fffffff), ErrorCode.flowControlError],
  ] as const) {
    const [server, peer] = await RawServer.connected();
    const { world, channel } = server;
    const call = outcome(channel.unary("/a.B/C", text("x")));
    await world.settle();
    peer.story();
    peer.send(bytes);
    await world.settle();
    const line = peer.story().find((each) => each.startsWith("GOAWAY"));
    assert.equal(line?.split(" ")[2], String(code));
    assert.match(call.value!, /^14 error reading from server: /);
    await world.advance(2000);
    channel.close();
  }
});

test("messages and end that come while the reader pauses are kept, even past the connection", async () => {
  const [server, peer] = await RawServer.connected();
  const { world, channel } = server;
  const recorder = new Recorder();
  const stream = channel.stream("/a.B/S", {}, recorder);
  stream.closeSend();
  await world.settle();
  peer.send(headers(1, head), data(1, message("one")));
  await world.settle();
  stream.pause();
  peer.send(
    data(1, message("four")),
    headers(
      1,
      [
        ["grpc-status", "0"],
        ["t", "u"],
      ],
      end,
    ),
  );
  peer.io.destroy();
  await world.settle();
  assert.deepEqual(recorder.take(), ["headers", "message 3"]);
  stream.resume();
  await world.settle();
  assert.deepEqual(recorder.take(), ["message 4", "ok t=u"]);
  channel.close();
});

// --- keepalive --------------------------------------------------------------------------------------

test("keepalive: pings while calls run, gives up when there is no answer", async () => {
  const [server, peer] = await RawServer.connected({ keepalive: { timeMs: 1, timeoutMs: 2000 } });
  const { world, channel } = server;
  await world.advance(60_000);
  assert.deepEqual(peer.story(), [], "no pings without a call");
  const call = outcome(channel.unary("/a.B/C", text("x")));
  await world.advance(10_001);
  const ping = peer.take().find((each) => each.type === FrameType.ping);
  assert.ok(ping !== undefined, "a ping after ten seconds, however little was asked for");
  peer.send(frame(FrameType.ping, Flag.ack, 0, ping.payload));
  await world.advance(9000);
  assert.equal(call.value, undefined);
  await world.advance(4000);
  assert.equal(
    call.value,
    "14 error reading from server: keepalive ping failed to receive ACK within timeout",
  );
  assert.equal(channel.state, "idle");
  channel.close();
});

test("too_many_pings makes the client ping half as often", async () => {
  const [server, peer] = await RawServer.connected({
    keepalive: { timeMs: 10_000, permitWithoutStream: true },
  });
  const { world, channel } = server;
  await world.advance(10_500);
  assert.ok(peer.story().includes("PING"));
  peer.send(goaway(0, ErrorCode.enhanceYourCalm, "too_many_pings"));
  await world.settle();
  channel.connect();
  await world.settle();
  const peer2 = server.peers[1]!;
  peer2.send(settings());
  await world.advance(19_000);
  assert.equal(peer2.story().includes("PING"), false);
  await world.advance(2000);
  assert.ok(peer2.story().includes("PING"));
  channel.close();
});

test("header lists are encoded once; changing metadata and timeouts stay correct", async () => {
  const { world, channel, server } = await setUp();
  const seen: (string | undefined)[] = [];
  const tokens = ["a", "b", "a"].map((token): Metadata => [["token", token]]);
  for (let i = 0; i < 60; i++) {
    const call = outcome(
      channel.unary("/test.Echo/Echo", text(`${i}`), {
        metadata: tokens[i % 3]!,
        timeoutMs: 1000 + (i % 7),
      }),
    );
    await world.settle();
    seen.push(call.value);
  }
  assert.deepEqual(
    seen,
    seen.map((_, i) => `ok ${i}`),
  );
  const before = server.counters.bytesReceived;
  const call = outcome(channel.unary("/test.Echo/Echo", utf8ToBytes(""), { metadata: tokens[0]! }));
  await world.settle();
  assert.equal(call.value, "ok ");
  assert.ok(server.counters.bytesReceived - before <= 9 + 8 + 9 + 5);
});

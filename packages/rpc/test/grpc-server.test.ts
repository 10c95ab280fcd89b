// What a server makes of gRPC requests, frame by frame: texts, deadlines, limits, compression, ends.

import { strict as assert } from "node:assert";
import { test } from "node:test";
import { gunzipSync, gzipSync } from "node:zlib";
import { type Bytes, InvariantError, utf8ToBytes } from "@etcd-ts/base";
import { ErrorCode, Flag, FrameType } from "../src/frames.ts";
import { formatGrpcTimeout, parseGrpcTimeout } from "../src/grpc-timeout.ts";
import {
  decodeGrpcMessage,
  encodeGrpcMessage,
  type GzipCodec,
  RpcServer,
  type RpcServerOptions,
} from "../src/index.ts";
import {
  data,
  type Fields,
  headers,
  message,
  RawPeer,
  requestFields,
  rstStream,
  settings,
  windowUpdate,
} from "./support/raw-peer.ts";
import { type TestServices, testServices } from "./support/services.ts";
import { World } from "./support/world.ts";

interface Setup extends TestServices {
  readonly world: World;
  readonly server: RpcServer;
  readonly peer: RawPeer;
  readonly errors: unknown[];
}

function setUp(more: Partial<RpcServerOptions> = {}, greeting: Bytes = settings()): Setup {
  const world = new World();
  const services = testServices();
  const errors: unknown[] = [];
  const server = new RpcServer({
    host: world.host,
    methods: services.methods,
    onHandlerError: (error) => errors.push(error),
    ...more,
  });
  return { world, server, peer: RawPeer.connect(world, server, greeting), errors, ...services };
}

/** The status fields of the only answer to one request. */
function statusOf(peer: RawPeer, fields: Fields, ...parts: Bytes[]): string {
  peer.story();
  const end = Flag.endHeaders | (parts.length === 0 ? Flag.endStream : 0);
  peer.send(
    headers(nextId, fields, end),
    ...parts.map((part, i) => data(nextId, part, i === parts.length - 1 ? Flag.endStream : 0)),
  );
  nextId += 2;
  const last = peer
    .story()
    .filter((line) => line.startsWith("HEADERS"))
    .at(-1)!;
  return last.replace(/^HEADERS \d+ end /, "").replace("content-type=application/grpc ", "");
}
let nextId = 1;

const head = ":status=200 content-type=application/grpc";
const codec: GzipCodec = {
  gzip: (bytes) => gzipSync(bytes),
  gunzip: (bytes, max) => {
    try {
      return gunzipSync(bytes, { maxOutputLength: max });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ERR_BUFFER_TOO_LARGE") return undefined;
      throw error;
    }
  },
};

test("the second OK on a connection is 21 bytes of headers and trailers around the message", () => {
  const { peer, server } = setUp();
  const request = requestFields("/test.Echo/Echo");
  statusOf(peer, request, message("one"));
  const before = server.counters.bytesSent;
  peer.send(headers(nextId, request), data(nextId, message("two"), Flag.endStream));
  nextId += 2;
  assert.equal(server.counters.bytesSent - before, 11 + 9 + 8 + 10);
  assert.equal(peer.story().length, 3);
});

test("all answers of a turn leave in one write", () => {
  const { peer, server, held, world } = setUp();
  const request = requestFields("/test.Echo/Hold");
  for (let id = 1; id < 200; id += 2) {
    peer.send(headers(id, request), data(id, message("x"), Flag.endStream));
  }
  const before = server.counters.writes;
  for (const call of held) call.respond(new Uint8Array(100));
  server.flush();
  world.run();
  assert.equal(server.counters.writes - before, 1);
  assert.equal(peer.story().length, 300);
});

test("refusals have grpc-go's codes and texts", () => {
  const { peer } = setUp();
  const echo = (...more: [string, string][]): Fields => requestFields("/test.Echo/Echo", ...more);
  const plain = (type: string): Fields =>
    requestFields("/test.Echo/Echo").map(([name, value]) =>
      name === "content-type" ? [name, type] : [name, value],
    );
  for (const [fields, status] of [
    [
      requestFields("/test.Echo/Nope"),
      ":status=200 grpc-status=12 grpc-message=unknown method Nope for service test.Echo",
    ],
    [requestFields("/nope.N/M"), ":status=200 grpc-status=12 grpc-message=unknown service nope.N"],
    [requestFields("/M"), ':status=200 grpc-status=12 grpc-message=malformed method name: "/M"'],
    [requestFields("M"), ':status=200 grpc-status=12 grpc-message=malformed method name: "M"'],
    [
      plain("text/html"),
      ':status=415 grpc-status=3 grpc-message=invalid gRPC request content-type "text/html"',
    ],
    [
      plain("application/grpcx"),
      ':status=415 grpc-status=3 grpc-message=invalid gRPC request content-type "application/grpcx"',
    ],
    [
      requestFields("/test.Echo/Echo").filter(([name]) => name !== "content-type"),
      ':status=415 grpc-status=3 grpc-message=invalid gRPC request content-type ""',
    ],
    [
      echo().map(([name, value]) => [name, name === ":method" ? "GET" : value]),
      ':status=405 grpc-status=13 grpc-message=Received a HEADERS frame with :method "GET" which should be POST',
    ],
    [
      echo(["grpc-timeout", "1"]),
      ':status=400 grpc-status=13 grpc-message=malformed grpc-timeout: transport: timeout string is too short: "1"',
    ],
    [
      echo(["grpc-timeout", "1x"]),
      ':status=400 grpc-status=13 grpc-message=malformed grpc-timeout: transport: timeout unit is not recognized: "1x"',
    ],
    [
      echo(["grpc-timeout", "123456789m"]),
      ':status=400 grpc-status=13 grpc-message=malformed grpc-timeout: transport: timeout string is too long: "123456789m"',
    ],
    [
      echo(["grpc-timeout", "abcm"]),
      ':status=400 grpc-status=13 grpc-message=malformed grpc-timeout: strconv.ParseUint: parsing "abc": invalid syntax',
    ],
    [
      echo(["grpc-timeout", "0m"]),
      ":status=200 grpc-status=4 grpc-message=context deadline exceeded",
    ],
    [
      echo(["x-bin", "ab!c"]),
      ':status=400 grpc-status=13 grpc-message=malformed binary metadata "ab!c" in header "x-bin": illegal base64 data at input byte 2',
    ],
    [
      plain("Application/gRPC"),
      ':status=415 grpc-status=3 grpc-message=invalid gRPC request content-type "Application/gRPC"',
    ],
    [
      echo(["grpc-encoding", "deflate"]),
      ':status=200 grpc-status=12 grpc-message=grpc: Decompressor is not installed for grpc-encoding "deflate"',
    ],
    [
      echo(["host", "a"], ["host", "b"]),
      ":status=400 grpc-status=13 grpc-message=num values of :authority: 1, num values of host: 2, both must only have 1 value as per HTTP/2 spec",
    ],
  ] as [Fields, string][]) {
    assert.equal(statusOf(peer, fields, message("x")), status);
  }
  for (const [type, answer] of [
    ["application/grpc+proto", "application/grpc+proto"],
    ["application/grpc;x", "application/grpc+x"],
    ["application/grpc+", "application/grpc"],
  ] as const) {
    peer.send(headers(nextId, plain(type)), data(nextId, message("x"), Flag.endStream));
    assert.equal(peer.story()[0], `HEADERS ${nextId} :status=200 content-type=${answer}`);
    nextId += 2;
  }
});

test("messages are percent-encoded and decoded", () => {
  for (const text of ["", "plain ~ text", "100%", "größe\n", "日本", "%41"]) {
    assert.match(encodeGrpcMessage(text), /^[ -~]*$/);
    assert.equal(decodeGrpcMessage(encodeGrpcMessage(text)), text);
  }
  assert.equal(encodeGrpcMessage("a%ö"), "a%25%C3%B6");
  assert.equal(decodeGrpcMessage("a%zz%4"), "a%zz%4");
  assert.equal(decodeGrpcMessage("%41"), "A");
  const { peer } = setUp();
  assert.equal(
    statusOf(peer, requestFields("/test.Echo/Fail"), message("nicht gefunden: ö")),
    ":status=200 grpc-status=5 grpc-message=nicht gefunden: %C3%B6",
  );
});

test("timeouts are read in every unit, and written so that they are not shorter", () => {
  for (const [text, ms] of [
    ["1H", 3_600_000],
    ["2M", 120_000],
    ["3S", 3000],
    ["4m", 4],
    ["5u", 0.005],
    ["6n", 0.000006],
    ["99999999H", 99_999_999 * 3_600_000],
  ] as const) {
    assert.equal(parseGrpcTimeout(text), ms);
  }
  assert.equal(typeof parseGrpcTimeout("-1m"), "string");
  assert.equal(typeof parseGrpcTimeout("m"), "string");
  for (const ms of [0.0001, 0.5, 1, 1.2, 5000, 99_999_999, 1e9, 1e12, 1e15]) {
    const text = formatGrpcTimeout(ms);
    assert.match(text, /^[0-9]{1,8}[HMSmun]$/);
    assert.ok((parseGrpcTimeout(text) as number) >= Math.min(ms, 3.5e14), text);
  }
});

test("a deadline that has passed at arrival is DEADLINE_EXCEEDED, and no handler is asked", () => {
  const { peer, journal, server } = setUp();
  for (const [id, timeout] of [
    [1, "1n"],
    [3, "999n"],
    [5, "0m"],
  ] as const) {
    const fields = requestFields("/test.Echo/Echo", ["grpc-timeout", timeout]);
    peer.send(headers(id, fields), data(id, message("x"), Flag.endStream));
    const story = peer.story();
    assert.equal(story.length, 1, timeout);
    assert.ok(story[0]!.startsWith(`HEADERS ${id} end`), story[0]);
    assert.match(story[0]!, /grpc-status=4 grpc-message=context deadline exceeded/);
  }
  assert.deepEqual(journal.take(), []);
  assert.equal(server.counters.deadlinesExceeded, 3);
});

test("a deadline ends the call on the server and tells its handler", async () => {
  const { peer, world, journal, held, server } = setUp();
  const request = requestFields("/test.Echo/Hold", ["grpc-timeout", "50m"]);
  peer.send(headers(1, request), data(1, message("x"), Flag.endStream));
  assert.equal(held[0]!.deadlineMs, world.nowMs + 50);
  await world.advance(49);
  assert.deepEqual(journal.take(), ["hold"]);
  await world.advance(40);
  assert.deepEqual(journal.take(), ["cancelled"]);
  assert.equal(held[0]!.cancelled, true);
  assert.deepEqual(peer.story(), [
    `HEADERS 1 end ${head} grpc-status=4 grpc-message=context deadline exceeded`,
  ]);
  held[0]!.respond(new Uint8Array(1));
  peer.send();
  assert.deepEqual(peer.story(), []);
  assert.equal(server.methodStats.get("/test.Echo/Hold")!.handled[4], 1);
});

test("deadlines of many lengths each fire in time, and none early", async () => {
  const { peer, world, held } = setUp();
  const start = world.nowMs;
  const random = world.random;
  for (let id = 1; id < 400; id += 2) {
    const request = requestFields("/test.Echo/Hold", [
      "grpc-timeout",
      `${1 + random.below(30_000)}m`,
    ]);
    peer.send(headers(id, request), data(id, message(""), Flag.endStream));
  }
  const ended = new Map<number, number>();
  for (const call of held) call.onCancel = () => ended.set(call.deadlineMs!, world.nowMs);
  await world.advance(31_000);
  assert.ok(ended.size > 150);
  for (const [deadline, at] of ended) {
    assert.ok(at >= deadline && at <= deadline + 17, `${deadline - start} at ${at - start}`);
  }
  assert.equal(held.filter((call) => !call.ended).length, 0);
});

test("a deadline ends streams, too, with what was sent before dropped from the queue", async () => {
  const { peer, world, journal, streams } = setUp({}, settings([4, 100]));
  peer.send(headers(1, requestFields("/test.Echo/Stream", ["grpc-timeout", "100m"])));
  streams[0]!.call.send(new Uint8Array(1000));
  await world.advance(200);
  assert.deepEqual(journal.take(), ["open", "cancel"]);
  assert.deepEqual(peer.story(), [
    `HEADERS 1 ${head}`,
    "DATA 1 100",
    "HEADERS 1 end grpc-status=4 grpc-message=context deadline exceeded",
    "RST_STREAM 1 0",
  ]);
});

test("a reset cancels: unary handlers and stream handlers hear of it once", () => {
  const { peer, journal, held, streams, server } = setUp();
  peer.send(headers(1, requestFields("/test.Echo/Hold")), data(1, message("x"), Flag.endStream));
  peer.send(headers(3, requestFields("/test.Echo/Stream")));
  peer.send(rstStream(1, ErrorCode.cancel), rstStream(3, ErrorCode.cancel));
  assert.deepEqual(journal.take(), ["hold", "open", "cancelled", "cancel"]);
  assert.ok(held[0]!.cancelled && held[0]!.ended && streams[0]!.call.cancelled);
  held[0]!.fail(13, "too late");
  streams[0]!.call.finish();
  peer.send();
  assert.deepEqual(peer.story(), []);
  assert.equal(server.counters.streamsOpen, 0);
});

test("a lost connection cancels all its calls", async () => {
  const { peer, world, journal, server } = setUp();
  peer.send(headers(1, requestFields("/test.Echo/Hold")), data(1, message("x"), Flag.endStream));
  peer.send(headers(3, requestFields("/test.Echo/Stream")));
  peer.io.destroy();
  await world.settle();
  assert.deepEqual(journal.take(), ["hold", "open", "cancelled", "cancel"]);
  assert.equal(server.counters.connectionsOpen, 0);
  assert.equal(server.counters.streamsOpen, 0);
});

test("a message above the limit is refused with its size, before it has come", () => {
  const { peer } = setUp({ limits: { receiveBytesMax: 1000 } });
  const request = requestFields("/test.Echo/Echo");
  const tooLarge =
    ":status=200 grpc-status=8 grpc-message=grpc: received message larger than max (1001 vs. 1000)";
  assert.equal(statusOf(peer, request, message(new Uint8Array(1001))), tooLarge);
  assert.equal(statusOf(peer, request, message(new Uint8Array(1001)).slice(0, 5)), tooLarge);
  assert.equal(statusOf(peer, request, message(new Uint8Array(1000))), "grpc-status=0");
});

test("an answer above the limit becomes an error", () => {
  const { peer } = setUp({ limits: { sendBytesMax: 10 } });
  assert.equal(
    statusOf(peer, requestFields("/test.Echo/Echo"), message(new Uint8Array(11))),
    ":status=200 grpc-status=8 grpc-message=grpc: trying to send message larger than max (11 vs. 10)",
  );
});

test("messages come through however their bytes are cut into frames", () => {
  const { peer, world } = setUp();
  const random = world.random;
  for (let round = 0; round < 200; round++) {
    const body = random.bytes(random.below(300));
    const whole = message(body);
    const parts: Bytes[] = [];
    for (let at = 0; at < whole.length; ) {
      const length = random.below(random.pick([3, 20, 200])) + 1;
      parts.push(whole.slice(at, at + length));
      at += length;
    }
    assert.equal(statusOf(peer, requestFields("/test.Echo/Echo"), ...parts), "grpc-status=0");
  }
});

test("large messages go both ways, in frames and windows", async () => {
  const { peer, held, world } = setUp({ limits: { receiveBytesMax: 3 << 20 } });
  const body = world.random.bytes(2_500_000);
  const whole = message(body);
  peer.send(headers(1, requestFields("/test.Echo/Hold")));
  for (let at = 0; at < whole.length; at += 16_384) {
    peer.send(
      data(1, whole.slice(at, at + 16_384), at + 16_384 >= whole.length ? Flag.endStream : 0),
    );
  }
  assert.equal(held.length, 1);
  held[0]!.respond(body);
  peer.take();
  const got: Bytes[] = [];
  for (let round = 0; round < 100; round++) {
    peer.send(windowUpdate(0, 40_000), windowUpdate(1, 40_000));
    for (const each of peer.take()) if (each.type === 0) got.push(each.payload);
  }
  assert.deepEqual(Buffer.concat(got).subarray(5), Buffer.from(body));
  await world.settle();
});

test("broken framing gets the answers of grpc-go", () => {
  const { peer } = setUp();
  const request = requestFields("/test.Echo/Echo");
  const status = (code: number, text: string): string =>
    `:status=200 grpc-status=${code} grpc-message=${text}`;
  assert.equal(statusOf(peer, request, message("hello").slice(0, 7)), status(2, "unexpected EOF"));
  assert.equal(statusOf(peer, request, message("hello").slice(0, 3)), status(2, "EOF"));
  assert.equal(statusOf(peer, request, new Uint8Array(0)), status(2, "EOF"));
  assert.equal(statusOf(peer, request), status(2, "EOF"));
  assert.equal(
    statusOf(peer, requestFields("/test.Echo/Sum"), message("hello").slice(0, 7)),
    status(13, "unexpected EOF"),
  );
  assert.equal(
    statusOf(peer, request, message("x", 1)),
    status(13, "grpc: compressed flag set with identity or empty encoding"),
  );
  assert.equal(
    statusOf(peer, request, message("x", 7)),
    status(13, "grpc: received unexpected payload format 7"),
  );
});

test("a call that streams its answer takes exactly one request", () => {
  const { peer, journal } = setUp();
  const request = requestFields("/test.Echo/Flood");
  const none =
    ":status=200 grpc-status=13 grpc-message=" +
    "cardinality violation: received no request message from non-client-streaming RPC";
  assert.equal(statusOf(peer, request), none);
  assert.equal(statusOf(peer, request, new Uint8Array(0)), none);
  assert.match(
    statusOf(peer, request, message("1000 9000"), message("1000 9000")),
    /cardinality violation: received multiple request messages for non-client-streaming RPC/,
  );
  assert.equal(journal.lines.length, 3);
  assert.match(journal.lines[2]!, /^flood cancelled, \d+ left$/);
});

test("further messages of a unary call are ignored", () => {
  const { peer, journal, held } = setUp();
  const request = requestFields("/test.Echo/Hold");
  peer.send(headers(1, request), data(1, message("a")), data(1, message("b"), Flag.endStream));
  assert.deepEqual(journal.take(), ["hold"]);
  held[0]!.respond(new Uint8Array(2));
  peer.send();
  assert.deepEqual(peer.story(), [`HEADERS 1 ${head}`, "DATA 1 7", "HEADERS 1 end grpc-status=0"]);
});

test("gzip: requests are unpacked, answers packed alike, within bounds", () => {
  const { peer, server } = setUp({ gzip: codec, limits: { receiveBytesMax: 5000 } });
  const request = requestFields("/test.Echo/Echo", ["grpc-encoding", "gzip"]);
  const body = utf8ToBytes("abc".repeat(1000));
  peer.send(headers(1, request), data(1, message(gzipSync(body), 1), Flag.endStream));
  const frames = peer.take();
  assert.deepEqual(peer.fields(frames[0]!.payload), [
    [":status", "200"],
    ["content-type", "application/grpc"],
    ["grpc-encoding", "gzip"],
  ]);
  assert.equal(frames[1]!.payload[0], 1);
  assert.deepEqual(gunzipSync(frames[1]!.payload.slice(5)), Buffer.from(body));
  peer.fields(frames[2]!.payload);
  nextId = 3;
  assert.equal(statusOf(peer, request, message("not compressed", 0)), "grpc-status=0");
  assert.match(
    statusOf(peer, request, message("no gzip", 1)),
    /grpc-status=13 .*failed to decompress/,
  );
  assert.equal(
    statusOf(peer, request, message(gzipSync(new Uint8Array(5001)), 1)),
    ":status=200 grpc-status=8 grpc-message=grpc: received message after decompression larger than max 5000",
  );
  assert.equal(server.counters.streamsOpen, 0);
});

test("without a codec gzip is UNIMPLEMENTED", () => {
  const { peer } = setUp();
  assert.equal(
    statusOf(peer, requestFields("/test.Echo/Echo", ["grpc-encoding", "gzip"]), message("x", 1)),
    ':status=200 grpc-status=12 grpc-message=grpc: Decompressor is not installed for grpc-encoding "gzip"',
  );
});

test("streams: messages, half-close, trailers, metadata and details in order", () => {
  const { peer, journal, streams } = setUp();
  peer.send(
    headers(1, requestFields("/test.Echo/Stream", ["token", "secret"], ["token", "second"])),
  );
  const { call, messages } = streams[0]!;
  assert.equal(call.metadata("token"), "secret");
  assert.equal(call.metadata("nothing"), undefined);
  assert.deepEqual(call.metadataList(), [
    ["token", "secret"],
    ["token", "second"],
  ]);
  assert.equal(call.path, "/test.Echo/Stream");
  assert.equal(call.remoteAddress, "10.0.0.1:1234");
  call.sendHeaders([["x-initial", "1"]]);
  peer.send(data(1, Buffer.concat([message("a"), message("bc"), message("")])));
  assert.deepEqual(
    messages.map((each) => each.length),
    [1, 2, 0],
  );
  call.send(utf8ToBytes("answer"));
  peer.send(data(1, [], Flag.endStream));
  call.finish({
    code: 9,
    message: "no",
    details: new Uint8Array([1, 2, 3, 4]),
    trailers: [["x-final", "2"]],
  });
  peer.send();
  assert.deepEqual(journal.take(), ["open", "message 1", "message 2", "message 0", "half-close"]);
  assert.deepEqual(peer.story(), [
    `HEADERS 1 ${head} x-initial=1`,
    "DATA 1 11",
    "HEADERS 1 end grpc-status=9 grpc-message=no grpc-status-details-bin=AQIDBA x-final=2",
  ]);
});

test("back-pressure: send says when to wait and onDrain when to go on", () => {
  const { peer, journal, streams } = setUp({}, settings([4, 1000]));
  peer.send(headers(1, requestFields("/test.Echo/Stream")));
  const { call } = streams[0]!;
  let sent = 0;
  while (call.send(new Uint8Array(995))) sent++;
  assert.ok(sent >= 65 && sent <= 67, `${sent}`);
  assert.ok(call.queuedBytes > 65_536);
  journal.take();
  peer.send(windowUpdate(1, 20_000));
  assert.deepEqual(journal.take(), []);
  peer.send(windowUpdate(1, 20_000));
  assert.deepEqual(journal.take(), ["drain"]);
  call.finish();
  peer.send(windowUpdate(1, 100_000), windowUpdate(0, 100_000));
  assert.match(peer.story().at(-2)!, /HEADERS 1 end grpc-status=0/);
});

/** `count` messages of `length` equal bytes, with their prefixes. */
function prefixed(count: number, length: number): Uint8Array {
  const bytes = new Uint8Array(count * (5 + length));
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < count; i++) {
    const at = i * (5 + length);
    view.setUint32(at + 1, length);
    bytes.fill(i, at + 5, at + 5 + length);
  }
  return bytes;
}

test("messages with their prefixes share frames, and wait for credit in order", () => {
  const { peer, journal, streams } = setUp({}, settings([4, 300_000]));
  peer.send(headers(1, requestFields("/test.Echo/Stream")), windowUpdate(0, 1_000_000));
  const { call } = streams[0]!;
  const payloads = (): Uint8Array[] =>
    peer.take().flatMap((it) => (it.type === FrameType.data ? [it.payload] : []));
  payloads();
  const small = prefixed(40, 995);
  assert.equal(call.sendPrefixed(small, 40), true);
  const came: Uint8Array[] = [small.slice()];
  small.fill(255); // it is ours again
  peer.send();
  const first = payloads();
  // 16 whole messages are all that a frame of 16,384 bytes takes.
  assert.deepEqual(
    first.map((it) => it.length),
    [16_000, 16_000, 8_000],
  );
  // Messages longer than a frame, and more than the stream's credit.
  for (const [count, length] of [
    [2, 99_995],
    [150, 995],
    [3, 100],
  ] as const) {
    const block = prefixed(count, length);
    came.push(block.slice());
    assert.equal(call.sendPrefixed(block, count), false);
    block.fill(255);
  }
  came.push(prefixed(1, 95));
  call.send(new Uint8Array(95));
  journal.take();
  const second = payloads();
  peer.send(windowUpdate(1, 20_000));
  assert.deepEqual(journal.take(), []);
  peer.send(windowUpdate(1, 200_000));
  assert.deepEqual(journal.take(), ["drain"]);
  assert.equal(call.queuedBytes, 0);
  const all = Buffer.concat([...first, ...second, ...payloads()]);
  assert.ok(all.equals(Buffer.concat(came)));
});

test("messages with their prefixes are compressed one by one where the client asked for it", () => {
  const { peer, streams } = setUp({ gzip: codec });
  peer.send(headers(1, requestFields("/test.Echo/Stream", ["grpc-encoding", "gzip"])));
  peer.take();
  assert.equal(streams[0]!.call.sendPrefixed(prefixed(3, 500), 3), true);
  peer.send();
  const frames = peer.take().filter((it) => it.type === FrameType.data);
  assert.deepEqual(
    frames.map(({ payload }) => [payload[0], gunzipSync(payload.subarray(5)).length]),
    [
      [1, 500],
      [1, 500],
      [1, 500],
    ],
  );
});

test("a server whose client does not read stops taking requests, and goes on when it does", async () => {
  const { peer, world, server } = setUp({}, settings([4, 0x7fffffff]));
  peer.send(windowUpdate(0, 0x7fff0000 - 65_535));
  peer.io.stalled = true;
  const request = requestFields("/test.Echo/Echo");
  const body = new Uint8Array(10_000);
  for (let id = 1; id < 400; id += 2) {
    peer.send(headers(id, request), data(id, message(body), Flag.endStream));
  }
  const handled = server.counters.messagesReceived;
  assert.ok(handled < 30, `${handled} requests were taken`);
  peer.io.stalled = false;
  peer.io.resume();
  await world.settle();
  assert.equal(server.counters.messagesReceived, 200);
  assert.equal(server.counters.messagesSent, 200);
  assert.equal(peer.story().filter((line) => line.includes("end grpc-status=0")).length, 200);
});

test("handlers that throw give INTERNAL, broken invariants fly", () => {
  const { peer, errors } = setUp();
  assert.equal(
    statusOf(peer, requestFields("/test.Echo/Throw"), message("x")),
    ":status=200 grpc-status=13 grpc-message=internal error",
  );
  assert.match(String(errors[0]), /thrown by the handler/);
  const broken = setUp({
    methods: {
      "/a.B/C": {
        kind: "unary",
        handle: () => {
          throw new InvariantError("broken");
        },
      },
    },
  });
  assert.throws(
    () =>
      broken.peer.send(headers(1, requestFields("/a.B/C")), data(1, message(""), Flag.endStream)),
    InvariantError,
  );
});

test("counters and observer see every call once", () => {
  const ended: string[] = [];
  const started: string[] = [];
  const { peer, server } = setUp({
    observer: {
      callStarted: (stats) => started.push(stats.method),
      callEnded: (stats, call, code) => ended.push(`${stats.method} ${code} ${call.path}`),
    },
  });
  nextId = 1;
  statusOf(peer, requestFields("/test.Echo/Echo"), message("abc"));
  statusOf(peer, requestFields("/test.Echo/Fail"), message("abc"));
  statusOf(peer, requestFields("/test.Echo/Sum"), message("abc"), message("de"));
  assert.deepEqual(started, ["Echo", "Fail", "Sum"]);
  assert.deepEqual(ended, [
    "Echo 0 /test.Echo/Echo",
    "Fail 5 /test.Echo/Fail",
    "Sum 0 /test.Echo/Sum",
  ]);
  const sum = server.methodStats.get("/test.Echo/Sum")!;
  assert.deepEqual(
    [sum.service, sum.method, sum.type, sum.started, sum.messagesReceived, sum.messagesSent],
    ["test.Echo", "Sum", "client_stream", 1, 2, 1],
  );
  assert.equal(server.methodStats.get("/test.Echo/Fail")!.handled[5], 1);
  const { counters } = server;
  assert.deepEqual(
    [
      counters.streamsOpened,
      counters.streamsOpen,
      counters.messagesReceived,
      counters.messagesSent,
    ],
    [3, 0, 4, 2],
  );
  assert.deepEqual([counters.messageBytesReceived, counters.messageBytesSent], [11, 4]);
});

// --- graceful stop ----------------------------------------------------------------------------------

test("a graceful stop lets running calls end, takes what was under way, refuses the rest", async () => {
  const { peer, world, held, server } = setUp();
  const request = requestFields("/test.Echo/Hold");
  peer.send(headers(1, request), data(1, message(""), Flag.endStream));
  let closed = false;
  const closing = server.close().then(() => {
    closed = true;
  });
  await world.settle();
  const first = peer.take();
  assert.deepEqual(
    first.map((each) => peer.describe(each)),
    ["GOAWAY 2147483647 0 graceful_stop", "PING"],
  );
  // Under way when the first GOAWAY came.
  peer.send(headers(3, request), data(3, message(""), Flag.endStream));
  assert.equal(held.length, 2);
  const { payload } = first[1]!;
  peer.send(new Uint8Array([0, 0, 8, 6, 1, 0, 0, 0, 0, ...payload]));
  assert.deepEqual(peer.story(), ["GOAWAY 3 0 graceful_stop"]);
  peer.send(headers(5, request), data(5, message(""), Flag.endStream));
  assert.equal(held.length, 2);
  held[0]!.respond(new Uint8Array(1));
  held[1]!.respond(new Uint8Array(1));
  await world.settle();
  assert.equal(peer.story().filter((line) => line.includes("end grpc-status=0")).length, 2);
  assert.ok(peer.ended);
  await world.settle();
  assert.ok(closed);
  await closing;
  assert.equal(world.timerCount, 0);
});

test("when the time of grace is over, calls fail with UNAVAILABLE and connections are cut", async () => {
  const { peer, world, server, journal } = setUp();
  peer.send(headers(1, requestFields("/test.Echo/Hold")), data(1, message(""), Flag.endStream));
  peer.send(headers(3, requestFields("/test.Echo/Stream")));
  const closing = server.close({ graceMs: 5000 });
  await world.advance(4999);
  assert.deepEqual(journal.take(), ["hold", "open"]);
  await world.advance(2000);
  await closing;
  assert.deepEqual(journal.take(), ["cancelled", "cancel"]);
  const story = peer.story();
  for (const id of [1, 3]) {
    assert.ok(
      story.includes(`HEADERS ${id} end ${head} grpc-status=14 grpc-message=transport is closing`),
      story.join("\n"),
    );
  }
  assert.ok(peer.closed);
  assert.equal(world.timerCount, 0);
});

test("a closing server cuts connections that have not said anything", async () => {
  const world = new World();
  const server = new RpcServer({ host: world.host, methods: {} });
  const [near, far] = world.pair();
  far.handler = server.attach(far);
  const peer = new RawPeer(world, near);
  const closing = server.close();
  await world.settle();
  await closing;
  assert.ok(peer.closed);
});

test("a client that never answers the goodbye's ping is taken to have seen it after 5 s", async () => {
  const { peer, world, held, server } = setUp();
  const request = requestFields("/test.Echo/Hold");
  peer.send(headers(1, request), data(1, message(""), Flag.endStream));
  const closing = server.close();
  await world.advance(4000);
  assert.deepEqual(peer.story(), ["GOAWAY 2147483647 0 graceful_stop", "PING"]);
  await world.advance(2500);
  assert.deepEqual(peer.story(), ["GOAWAY 1 0 graceful_stop"]);
  held[0]!.respond(new Uint8Array(1));
  await world.settle();
  await closing;
});

test("a graceful stop does not cut off an answer that the client is slow to read", async () => {
  const { peer, world, held, server } = setUp({}, settings([4, 1 << 24]));
  peer.send(windowUpdate(0, 1 << 24));
  const request = requestFields("/test.Echo/Hold");
  peer.send(headers(1, request), data(1, message(""), Flag.endStream));
  const closing = server.close();
  await world.settle();
  const ping = peer.take().find((each) => each.type === 6)!;
  peer.io.stalled = true;
  peer.send(new Uint8Array([0, 0, 8, 6, 1, 0, 0, 0, 0, ...ping.payload]));
  held[0]!.respond(new Uint8Array(200_000));
  await world.settle();
  await world.advance(2000);
  assert.equal(peer.frames.filter((each) => each.type === 0).length, 0);
  peer.io.stalled = false;
  peer.io.resume();
  await world.settle();
  const bytes = peer.frames.reduce(
    (sum, each) => sum + (each.type === 0 ? each.payload.length : 0),
    0,
  );
  assert.equal(bytes, 200_005);
  assert.match(peer.story().at(-1)!, /end grpc-status=0/);
  await closing;
});

test("a client that ends its direction right behind a request still gets the answer of that turn", async () => {
  const { peer, world } = setUp();
  const request = requestFields("/test.Echo/Echo");
  peer.io.write(Buffer.concat([headers(1, request), data(1, message("last"), Flag.endStream)]));
  peer.io.end();
  await world.settle();
  assert.match(peer.story().at(-1)!, /end grpc-status=0/);
});

import { strict as assert } from "node:assert";
import { test } from "node:test";
import { utf8ToBytes } from "@etcd-ts/base";
import { World } from "../support/world.ts";
import { dialogue, echo } from "./raw.ts";

const head = "GET /x HTTP/1.1\r\nHost: h\r\n";

test("answers requests one after the other on one connection", async () => {
  const world = new World();
  const { say, seen, server } = dialogue(world, echo);
  assert.equal(
    await say("POST /a?q=1 HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"),
    "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
  );
  assert.equal(seen[0]!.exchange.path, "/a");
  await say("GET /b HTTP/1.1\r\nhOSt: h\r\nX-A: 1\r\nX-a:\t2 \r\n\r\n");
  assert.deepEqual(seen[1]!.exchange.head.fields.all("x-a"), ["1", "2"]);
  assert.equal(server.connectionCount, 1);
  assert.ok(seen.every((it) => it.closed && it.error === undefined));
  server.stop();
  await world.settle();
  assert.equal(server.connectionCount, 0);
  assert.equal(world.timerCount, 0);
});

test("takes chunked bodies with extensions and trailers in pieces of any size", async () => {
  for (const pieceBytesMax of [1, 2, 3, 7, 1000]) {
    const world = new World(pieceBytesMax);
    world.pieceBytesMax = pieceBytesMax;
    const { say, seen, server } = dialogue(world, echo);
    const text = await say(
      "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" +
        "3;a=b\r\nabc\r\n0A \t;x\r\n0123456789\r\n0\r\nX-Trailer: 1\r\n\r\n" +
        "GET /next HTTP/1.1\r\nHost: h\r\n\r\n",
    );
    assert.equal(seen[0]!.body, "abc0123456789");
    assert.equal(text.match(/HTTP\/1\.1 200 OK/g)?.length, 2);
    server.stop();
  }
});

test("a pipelined request waits for the answer to the one before", async () => {
  const world = new World();
  const { say, seen, near, server } = dialogue(world, () => undefined);
  await say(`${head}\r\n${head}\r\n`);
  assert.equal(seen.length, 1);
  assert.equal(near.other.isPaused, true);
  seen[0]!.exchange.respond(204);
  await world.settle();
  assert.equal(seen.length, 2);
  assert.equal(near.other.isPaused, false);
  server.stop();
});

test("streams an answer in chunks and tells of the end of the client", async () => {
  const world = new World();
  const { say, seen, near, answer } = dialogue(world, () => undefined);
  await say(`${head}\r\n`);
  const { exchange } = seen[0]!;
  exchange.start(200, [["X-A", "b"]]);
  await world.settle();
  assert.equal(answer.text, "HTTP/1.1 200 OK\r\nX-A: b\r\nTransfer-Encoding: chunked\r\n\r\n");
  exchange.write(utf8ToBytes("hello"));
  exchange.write(new Uint8Array(0));
  await world.settle();
  assert.match(answer.text, /\r\n\r\n5\r\nhello\r\n$/);
  near.destroy();
  await world.settle();
  assert.equal(seen[0]!.closed, true);
  assert.notEqual(seen[0]!.error, undefined);
  assert.equal(exchange.write(utf8ToBytes("x")), true);
  assert.equal(world.timerCount, 0);
});

test("a client that ends its direction in the middle of a stream is gone", async () => {
  const world = new World();
  const { say, seen, near } = dialogue(world, () => undefined);
  await say(`${head}\r\n`);
  seen[0]!.exchange.start(200);
  near.end();
  await world.settle();
  assert.equal(seen[0]!.closed, true);
});

test("tells of a full socket and of room again, and gives up on one that stays full", async () => {
  const world = new World();
  const { say, seen, near, answer } = dialogue(world, () => undefined);
  await say(`${head}\r\n`);
  const { exchange } = seen[0]!;
  exchange.start(200);
  await world.settle();
  near.stalled = true;
  assert.equal(exchange.write(new Uint8Array(100_000)), false);
  await world.settle();
  assert.equal(seen[0]!.drains, 0);
  near.stalled = false;
  near.resume();
  await world.settle();
  assert.equal(seen[0]!.drains, 1);
  assert.ok(answer.text.length > 100_000);
  await world.advance(6000);
  assert.equal(seen[0]!.closed, false);
  near.stalled = true;
  exchange.write(new Uint8Array(100_000));
  await world.advance(4900);
  assert.equal(seen[0]!.closed, false);
  await world.advance(200);
  assert.match(seen[0]!.error!.message, /write timed out/);
});

test("a paused body holds the client back, and no time limit counts", async () => {
  const world = new World();
  const { say, seen, near, server } = dialogue(world, echo);
  await say("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\n\r\nabc");
  seen[0]!.exchange.pauseBody();
  await say("def");
  assert.equal(seen[0]!.body, "abc");
  assert.equal(near.other.isPaused, true);
  await world.advance(20_000);
  assert.equal(seen[0]!.closed, false);
  seen[0]!.exchange.resumeBody();
  await world.settle();
  assert.equal(seen[0]!.body, "abcdef");
  server.stop();
});

test("silence ends a connection: idle, in a head, in a body", async () => {
  for (const [text, ms] of [
    ["", 5000],
    ["POST / HTTP/1.1\r\nHost", 5000],
    ["POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nabc", 5000],
  ] as const) {
    const world = new World();
    const { say, near, answer } = dialogue(world, echo);
    if (text !== "") await say(text);
    await world.advance(ms - 100);
    assert.equal(near.closed, false, text);
    await world.advance(200);
    assert.equal(answer.closed, true, text);
    assert.equal(world.timerCount, 0);
  }
});

test("a head that trickles in is cut off in the end", async () => {
  const world = new World();
  const { say, answer } = dialogue(world, echo);
  for (const char of "GET / HTTP/1.1\r\nA: bbbbbbbbbbb") {
    await say(char);
    await world.advance(1000);
  }
  assert.equal(answer.closed, true);
});

test("an answer before the end of the request closes, but not before it is read", async () => {
  const world = new World();
  const { say, seen, answer, near } = dialogue(world, (note) => {
    note.exchange.respond(412, [], utf8ToBytes("no\n"));
    return undefined;
  });
  await say("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\nabc");
  assert.equal(
    answer.text,
    "HTTP/1.1 412 Precondition Failed\r\nContent-Length: 3\r\nConnection: close\r\n\r\nno\n",
  );
  assert.equal(answer.ended, true);
  await say("x".repeat(900));
  assert.equal(near.closed, false);
  assert.equal(seen.length, 1);
  await world.advance(1100);
  assert.equal(near.closed, true);
  assert.equal(world.timerCount, 0);
});

test("says 100 Continue to who waits for it", async () => {
  const world = new World();
  const { say, server } = dialogue(world, echo);
  const text = await say(
    "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n",
  );
  assert.equal(text, "HTTP/1.1 100 Continue\r\n\r\n");
  assert.match(await say("abc"), /\r\n\r\nabc$/);
  server.stop();
});

test("HEAD gets the fields without the body", async () => {
  const world = new World();
  const { say, server } = dialogue(world, (note) => ({
    onBodyEnd: () => note.exchange.respond(200, [], utf8ToBytes("body")),
  }));
  const text = await say("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n");
  assert.equal(text, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n");
  server.stop();
});

test("HTTP/1.0 gets a plain body and the end of the connection", async () => {
  const world = new World();
  const { say, answer } = dialogue(world, (note) => {
    note.exchange.start(200);
    note.exchange.write(utf8ToBytes("abc"));
    note.exchange.end();
    return undefined;
  });
  assert.equal(
    await say("GET / HTTP/1.0\r\n\r\n"),
    "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabc",
  );
  assert.equal(answer.ended, true);
});

/** Each is refused with this status, before a handler sees it. */
const refused: readonly (readonly [string, string, number])[] = [
  ["two lengths", `${head}Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc`, 400],
  ["a list of lengths", `${head}Content-Length: 3, 3\r\n\r\nabc`, 400],
  ["a signed length", `${head}Content-Length: +3\r\n\r\nabc`, 400],
  ["a hexadecimal length", `${head}Content-Length: 0x3\r\n\r\nabc`, 400],
  ["a huge length", `${head}Content-Length: 99999999999999999999\r\n\r\n`, 400],
  ["length and chunks", `${head}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n`, 400],
  ["chunks twice", `${head}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n`, 501],
  ["another coding", `${head}Transfer-Encoding: gzip, chunked\r\n\r\n`, 501],
  ["chunks in 1.0", "GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400],
  ["no host", "GET / HTTP/1.1\r\n\r\n", 400],
  ["two hosts", `${head}Host: i\r\n\r\n`, 400],
  ["blank before the colon", `${head}X : 1\r\n\r\n`, 400],
  ["a folded line", `${head}X: 1\r\n 2\r\n\r\n`, 400],
  ["a name with a control", `${head}X\u0001: 1\r\n\r\n`, 400],
  ["a value with a control", `${head}X: 1\u0000\r\n\r\n`, 400],
  ["a bare line feed in a value", `${head}X: 1\nY: 2\r\n\r\n`, 400],
  ["a bare carriage return", `${head}X: 1\rY: 2\r\n\r\n`, 400],
  ["no name", `${head}: 1\r\n\r\n`, 400],
  ["an absolute target", "GET http://h/ HTTP/1.1\r\nHost: h\r\n\r\n", 400],
  ["a target with a blank", "GET /a b HTTP/1.1\r\nHost: h\r\n\r\n", 400],
  ["an empty line first", `\r\n${head}\r\n`, 400],
  ["HTTP/2.0", "GET / HTTP/2.0\r\nHost: h\r\n\r\n", 505],
  ["an expectation", `${head}Expect: miracles\r\n\r\n`, 417],
  ["a large head", `${head}X: ${"x".repeat(40_000)}\r\n\r\n`, 431],
  ["many fields", `${head}${"X: 1\r\n".repeat(200)}\r\n`, 431],
];

for (const [what, text, status] of refused) {
  test(`refuses ${what}`, async () => {
    const world = new World();
    const malformed: number[] = [];
    const { say, seen, answer, near } = dialogue(world, echo, {
      onMalformed: (error) => malformed.push(error.status),
    });
    const got = await say(text);
    assert.match(got, new RegExp(`^HTTP/1.1 ${status} `));
    assert.match(got, /Connection: close\r\n/);
    assert.equal(seen.length, 0);
    assert.deepEqual(malformed, [status]);
    assert.equal(answer.ended, true);
    await world.advance(1100);
    assert.equal(near.closed, true);
    assert.equal(world.timerCount, 0);
  });
}

const chunked = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
const brokenBodies: readonly (readonly [string, string])[] = [
  ["a size that is none", "x\r\n"],
  ["no size", "\r\n"],
  ["a negative size", "-1\r\n"],
  ["a size of 64 bits", "ffffffffffffffff\r\n"],
  ["a bare line feed", "3\nabc"],
  ["data beyond the size", "3\r\nabcd\r\n"],
  ["no line end behind the data", "3\r\nabc0\r\n\r\n"],
  ["an endless size line", `3;${"x".repeat(500)}`],
  ["an endless trailer", `0\r\nX: ${"x".repeat(10_000)}`],
  ["a trailer that is none", "0\r\nnonsense\r\n\r\n"],
];

for (const [what, body] of brokenBodies) {
  test(`a chunked body with ${what} ends the connection`, async () => {
    const world = new World();
    const { say, seen, near, answer } = dialogue(world, echo);
    await say(chunked + body);
    assert.equal(near.closed, true);
    assert.equal(seen[0]!.ended, false);
    assert.equal(seen[0]!.closed, true);
    assert.notEqual(seen[0]!.error, undefined);
    assert.equal(answer.text, "");
    assert.equal(world.timerCount, 0);
  });
}

test("what must not be sent is a bug of the sender", async () => {
  const world = new World();
  const { say, seen, server } = dialogue(world, () => undefined);
  await say(`${head}\r\n`);
  assert.throws(() => seen[0]!.exchange.respond(200, [["X", "a\r\nY: b"]]), TypeError);
  server.stop();
});

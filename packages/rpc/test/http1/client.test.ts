import { strict as assert } from "node:assert";
import { test } from "node:test";
import {
  type Bytes,
  bytesToUtf8,
  type Connection,
  type ConnectionHandler,
  type NetAddress,
  utf8ToBytes,
} from "@etcd-ts/base";
import {
  Agent,
  ClientConnection,
  type ClientRequest,
  type ResponseHandler,
  type ResponseHead,
  type WholeRequest,
} from "../../src/http1/index.ts";
import { World } from "../support/world.ts";
import { Recorder } from "./raw.ts";

const address: NetAddress = { kind: "tcp", host: "10.0.0.2", port: 80 };

/** A server of bare bytes: `respond` is called with all that came so far. */
function rawServer(world: World): { connections: { connection: Connection; got: Recorder }[] } {
  const connections: { connection: Connection; got: Recorder }[] = [];
  void world.host.net.listen(address, {
    accept: (connection): ConnectionHandler => {
      const got = new Recorder();
      connections.push({ connection, got });
      return got;
    },
  });
  return { connections };
}

class Answer implements ResponseHandler {
  head: ResponseHead | undefined;
  body = "";
  drains = 0;
  done = 0;
  error: Error | undefined;
  onHead(head: ResponseHead): void {
    this.head = head;
  }
  onBody(part: Bytes): void {
    this.body += bytesToUtf8(part);
  }
  onDrain(): void {
    this.drains++;
  }
  onDone(error: Error | undefined): void {
    this.done++;
    this.error = error;
  }
}

function connect(world: World, readIdleMs = 5000): ClientConnection {
  return new ClientConnection({
    host: world.host,
    address,
    authority: "h:80",
    dialTimeoutMs: 1000,
    readIdleMs,
    writeIdleMs: 5000,
  });
}

const get: ClientRequest = { method: "GET", target: "/x", fields: [["X-A", "b"]] };

test("sends a request and takes the answer, again and again", async () => {
  const world = new World();
  const { connections } = rawServer(world);
  const client = connect(world);
  for (let round = 0; round < 3; round++) {
    const answer = new Answer();
    assert.equal(client.isFree, true);
    client.send(get, answer);
    assert.equal(client.isFree, false);
    await world.settle();
    const { connection, got } = connections[0]!;
    assert.equal(got.text, "GET /x HTTP/1.1\r\nHost: h:80\r\nX-A: b\r\n\r\n");
    got.parts.length = 0;
    connection.write(utf8ToBytes("HTTP/1.1 200 Fine\r\nContent-Length: 2\r\n\r\nok"));
    await world.settle();
    assert.equal(answer.done, 1);
    assert.equal(answer.error, undefined);
    assert.equal(answer.body, "ok");
    assert.equal(answer.head?.status, 200);
  }
  client.destroy();
  await world.settle();
  assert.equal(world.timerCount, 0);
});

test("streams a request in chunks and an answer until the end of the connection", async () => {
  const world = new World();
  const { connections } = rawServer(world);
  const client = connect(world);
  const answer = new Answer();
  client.send({ ...get, method: "POST", body: "stream" }, answer);
  await world.settle();
  client.write(utf8ToBytes("hello"));
  client.write(new Uint8Array(70_000));
  client.end();
  await world.settle();
  const { connection, got } = connections[0]!;
  assert.match(got.text, /Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n11170\r\n/);
  assert.match(got.text, /\r\n0\r\n\r\n$/);
  connection.write(utf8ToBytes("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\nsome"));
  connection.write(utf8ToBytes(" text"));
  connection.end();
  await world.settle();
  assert.equal(answer.body, "some text");
  assert.equal(answer.done, 1);
  assert.equal(answer.error, undefined);
  assert.equal(client.isFree, false);
  assert.equal(world.timerCount, 0);
});

test("an answer that breaks off is an error, as is silence", async () => {
  for (const [text, after] of [
    ["HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", "end"],
    ["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", "end"],
    ["HTTP/1.1 200", "end"],
    ["", "end"],
    ["HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", "silence"],
    ["", "silence"],
  ] as const) {
    const world = new World();
    const { connections } = rawServer(world);
    const answer = new Answer();
    connect(world).send(get, answer);
    await world.settle();
    if (text !== "") connections[0]!.connection.write(utf8ToBytes(text));
    await world.settle();
    if (after === "end") connections[0]!.connection.end();
    await world.advance(after === "end" ? 0 : 5100);
    assert.equal(answer.done, 1, text);
    assert.notEqual(answer.error, undefined, text);
    assert.equal(world.timerCount, 0);
  }
});

test("refuses answers that can be read in two ways, and what nobody asked for", async () => {
  for (const text of [
    "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na",
    "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\na",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\na",
    "HTTP/1.1 20 OK\r\n\r\n",
    "HTTP/1.1 101 Switching Protocols\r\n\r\n",
    "ICY 200 OK\r\n\r\n",
    `HTTP/1.1 200 OK\r\nX: ${"x".repeat(40_000)}\r\n\r\n`,
    "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
  ]) {
    const world = new World();
    const { connections } = rawServer(world);
    const answer = new Answer();
    const client = connect(world);
    client.send(get, answer);
    await world.settle();
    connections[0]!.connection.write(utf8ToBytes(text));
    await world.settle();
    assert.equal(answer.done, 1, text);
    assert.equal(client.isFree, false, text);
    assert.equal(world.timerCount, 0);
  }
});

test("a connection that cannot be made is told once", async () => {
  const world = new World();
  const answer = new Answer();
  connect(world).send(get, answer);
  await world.settle();
  assert.equal(answer.done, 1);
  assert.match(answer.error!.message, /refused/);
});

test("an answer before the request is complete ends the connection", async () => {
  const world = new World();
  const { connections } = rawServer(world);
  const answer = new Answer();
  const client = connect(world);
  client.send({ ...get, method: "POST", body: "stream" }, answer);
  await world.settle();
  connections[0]!.connection.write(utf8ToBytes("HTTP/1.1 412 No\r\nContent-Length: 2\r\n\r\nno"));
  await world.settle();
  assert.equal(answer.body, "no");
  assert.equal(answer.error, undefined);
  assert.equal(client.isFree, false);
  assert.equal(client.write(utf8ToBytes("more")), true);
});

// --- agent --------------------------------------------------------------------------------------------

const whole: WholeRequest = { ...get, timeoutMs: 3000, responseBytesMax: 10 } as WholeRequest;

function agent(world: World): Agent {
  return new Agent({
    host: world.host,
    address,
    authority: "h:80",
    dialTimeoutMs: 1000,
    readIdleMs: 0,
    writeIdleMs: 5000,
    keepMs: 2500,
    keptCountMax: 2,
  });
}

const ok: Bytes = utf8ToBytes("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");

test("keeps connections for a moment and uses them again", async () => {
  const world = new World();
  const { connections } = rawServer(world);
  const client = agent(world);
  for (let round = 0; round < 2; round++) {
    const response = client.send(whole);
    await world.settle();
    connections[0]!.connection.write(ok);
    await world.settle();
    assert.equal((await response).status, 200);
  }
  assert.equal(connections.length, 1);
  await world.advance(2600);
  assert.equal(connections[0]!.got.closed, true);
  assert.equal(world.timerCount, 0);
});

test("a kept connection that was dead is replaced by a fresh one, once", async () => {
  const world = new World();
  const { connections } = rawServer(world);
  const client = agent(world);
  const first = client.send(whole);
  await world.settle();
  connections[0]!.connection.write(ok);
  await world.settle();
  await first;
  const second = client.send(whole);
  connections[0]!.connection.destroy();
  await world.settle();
  assert.equal(connections.length, 2);
  connections[1]!.connection.write(ok);
  await world.settle();
  assert.equal((await second).status, 200);
  const third = assert.rejects(client.send(whole));
  connections[1]!.connection.destroy();
  await world.settle();
  assert.equal(connections.length, 3);
  connections[2]!.connection.destroy();
  await world.settle();
  await third;
  assert.equal(connections.length, 3);
  client.stop();
  await world.settle();
  assert.equal(world.timerCount, 0);
});

test("requests end by time, by size and by the end of the agent", async () => {
  const world = new World();
  const { connections } = rawServer(world);
  const client = agent(world);
  const late = assert.rejects(client.send(whole), /timed out/);
  await world.advance(3100);
  await late;
  const large = assert.rejects(client.send(whole), /too large/);
  await world.settle();
  connections[1]!.connection.write(
    utf8ToBytes("HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n01234567890123456789"),
  );
  await world.settle();
  await large;
  const stopped = assert.rejects(client.send(whole), /stopped/);
  client.stop();
  await world.settle();
  await stopped;
  const after = assert.rejects(client.send(whole), /stopped/);
  await world.settle();
  await after;
  assert.equal(world.timerCount, 0);
});

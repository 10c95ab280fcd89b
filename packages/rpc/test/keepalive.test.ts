// Pings: what clients may send (grpc-go's enforcement, etcd's times), and what the server does itself.

import { strict as assert } from "node:assert";
import { test } from "node:test";
import { Flag } from "../src/frames.ts";
import { RpcServer, type ServerKeepalive } from "../src/index.ts";
import { data, frame, headers, message, ping, RawPeer, requestFields } from "./support/raw-peer.ts";
import { testServices } from "./support/services.ts";
import { World } from "./support/world.ts";

function setUp(keepalive: ServerKeepalive = {}, tls = false) {
  const world = new World();
  const services = testServices();
  const server = new RpcServer({ host: world.host, methods: services.methods, keepalive });
  let peer: RawPeer;
  if (tls) {
    const [near, far] = world.pair({ alpn: "h2", serverName: "", peerCertificate: undefined });
    far.handler = server.attach(far);
    peer = new RawPeer(world, near);
    peer.send(preface, settingsFrame);
    peer.take();
  } else {
    peer = RawPeer.connect(world, server);
  }
  return { world, server, peer, ...services };
}
const preface = new TextEncoder().encode("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
const settingsFrame = frame(4, 0, 0, []);

const tooMany = (peer: RawPeer): boolean =>
  peer.story().some((line) => line.endsWith("11 too_many_pings"));

test("without a stream, the fourth ping in two hours ends the connection", async () => {
  const { peer, world } = setUp();
  for (let i = 0; i < 3; i++) {
    peer.send(ping());
    assert.deepEqual(peer.story(), ["PING ack"]);
    await world.advance(60_000);
  }
  peer.send(ping());
  assert.ok(tooMany(peer));
  assert.ok(peer.ended);
});

test("without a stream, pings two hours apart are welcome", async () => {
  const { peer, world } = setUp({ intervalMs: 1e9 });
  for (let i = 0; i < 6; i++) {
    peer.send(ping());
    assert.deepEqual(peer.story(), ["PING ack"]);
    await world.advance(7_200_000);
  }
});

test("with a stream, the least distance is minTime", async () => {
  for (const [distanceMs, ends] of [
    [4990, true],
    [5000, false],
  ] as const) {
    const { peer, world } = setUp();
    peer.send(headers(1, requestFields("/test.Echo/Stream")));
    for (let i = 0; i < 4; i++) {
      peer.send(ping());
      await world.advance(distanceMs);
    }
    assert.equal(tooMany(peer), ends);
  }
});

test("permitWithoutStream makes minTime hold for idle connections, too", async () => {
  const { peer, world } = setUp({ permitWithoutStream: true });
  for (let i = 0; i < 6; i++) {
    peer.send(ping());
    await world.advance(5000);
  }
  assert.equal(tooMany(peer), false);
});

test("headers and data from the server forgive the strikes", () => {
  const { peer } = setUp();
  for (let id = 1; id < 40; id += 2) {
    peer.send(ping(), ping());
    peer.send(
      headers(id, requestFields("/test.Echo/Echo")),
      data(id, message("x"), Flag.endStream),
    );
  }
  assert.equal(tooMany(peer), false);
});

test("a long answer forgives a ping for each of its frames", () => {
  const { peer } = setUp();
  peer.send(
    headers(1, requestFields("/test.Echo/Echo")),
    data(1, message("x".repeat(8_000)), 0),
    data(1, new Uint8Array(0), Flag.endStream),
  );
  const long = message("y".repeat(160_000));
  peer.send(headers(3, requestFields("/test.Echo/Echo")));
  for (let at = 0; at < long.length; at += 16_000) {
    const last = at + 16_000 >= long.length;
    peer.send(data(3, long.subarray(at, at + 16_000), last ? Flag.endStream : 0));
  }
  for (let i = 0; i < 10; i++) peer.send(ping());
  assert.equal(tooMany(peer), false);
  for (let i = 0; i < 20; i++) peer.send(ping());
  assert.equal(tooMany(peer), true, "and no more than that");
});

test("on TLS connections pings are free, unless asked for otherwise", () => {
  const free = setUp({}, true);
  for (let i = 0; i < 10; i++) free.peer.send(ping());
  assert.equal(tooMany(free.peer), false);
  const strict = setUp({ enforceOnTls: true }, true);
  for (let i = 0; i < 4; i++) strict.peer.send(ping());
  assert.ok(tooMany(strict.peer));
});

test("a silent client is pinged after the interval and cut when it does not answer", async () => {
  const { peer, world, server } = setUp({ intervalMs: 10_000, timeoutMs: 3000 });
  await world.advance(9000);
  assert.deepEqual(peer.story(), []);
  await world.advance(2000);
  const [asked] = peer.take();
  assert.deepEqual(peer.describe(asked!), "PING");
  peer.send(frame(6, Flag.ack, 0, asked!.payload));
  await world.advance(9000);
  assert.deepEqual(peer.story(), []);
  await world.advance(2000);
  assert.deepEqual(peer.story(), ["PING"]);
  assert.equal(peer.closed, false);
  await world.advance(4000);
  assert.ok(peer.closed);
  assert.equal(server.counters.connectionsOpen, 0);
});

test("activity of any kind postpones the server's ping", async () => {
  const { peer, world } = setUp({ intervalMs: 10_000, timeoutMs: 3000 });
  for (let i = 0; i < 5; i++) {
    await world.advance(8000);
    peer.send(headers(1 + 2 * i, requestFields("/test.Echo/Stream")));
  }
  assert.deepEqual(peer.story(), []);
});

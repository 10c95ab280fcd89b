// The wires that are cut, thin, and lead to machines without power.

import assert from "node:assert/strict";
import { test } from "node:test";
import { bytesToUtf8, type Connection, type ConnectionHandler, utf8ToBytes } from "@etcd-ts/base";
import { Gate, NetPort, NetWeather, SimNet, World } from "../src/index.ts";

interface Pair {
  readonly world: World;
  readonly weather: NetWeather;
  readonly net: SimNet;
  readonly server: NetPort;
  readonly connection: Connection;
  readonly accepted: Connection;
  readonly atClient: string[];
  readonly atServer: string[];
}

const address = { kind: "tcp", host: "server", port: 1 } as const;

function recorder(received: string[]): ConnectionHandler {
  return {
    onOpen: () => received.push("open"),
    onData: (bytes) => received.push(bytesToUtf8(bytes)),
    onDrain: () => received.push("drain"),
    onEnd: () => received.push("end"),
    onClose: (error) => received.push(`closed ${error?.message ?? ""}`),
  };
}

async function pair(): Promise<Pair> {
  const world = new World(1);
  const weather = new NetWeather(world.random.fork("net"), {
    latencyMs: 1,
    jitterMs: 0,
    unacknowledgedMsMax: 5000,
  });
  const net = new SimNet(world, weather);
  weather.onCutsChanged = () => net.cutsChanged();
  const server = new NetPort(net, "server", new Gate());
  const atServer: string[] = [];
  const atClient: string[] = [];
  let accepted: Connection | undefined;
  await server.listen(address, {
    accept: (connection) => {
      accepted = connection;
      return recorder(atServer);
    },
  });
  const connection = new NetPort(net, "client").dial(address, {}, recorder(atClient));
  await world.run(10);
  assert.deepEqual(atClient.splice(0), ["open"]);
  return { world, weather, net, server, connection, accepted: accepted!, atClient, atServer };
}

test("what meets a cut waits and arrives in order when it ends", async () => {
  const { world, weather, connection, accepted, atClient, atServer } = await pair();
  weather.cut("client", "server");
  connection.write(utf8ToBytes("one"));
  await world.run(1000);
  connection.write(utf8ToBytes("two"));
  accepted.write(utf8ToBytes("the other way is open"));
  await world.run(1000);
  assert.deepEqual(atServer, []);
  assert.deepEqual(atClient, ["the other way is open"]);
  weather.heal();
  await world.run(1000);
  assert.deepEqual(atServer, ["one", "two"]);
});

test("a writer whose bytes are never acknowledged gives up; the other side does not know", async () => {
  const { world, weather, connection, atClient, atServer } = await pair();
  weather.cut("client", "server");
  connection.write(utf8ToBytes("lost"));
  await world.run(6000);
  assert.deepEqual(atClient, ["closed connection timed out"]);
  assert.deepEqual(atServer, []);
});

test("a machine without power tells nobody, and resets what it does not know when it is back", async () => {
  const { world, net, server, connection, atClient } = await pair();
  server.kill(true);
  net.setDark("server", true);
  await world.run(1000);
  assert.deepEqual(atClient, [], "the connection is half open");
  connection.write(utf8ToBytes("is anybody there?"));
  await world.run(1000);
  assert.deepEqual(atClient, []);
  net.setDark("server", false);
  await world.run(1000);
  assert.deepEqual(atClient, ["closed connection reset by peer"]);
});

test("nobody is reached over a cut wire, nor without power, until it is healed or too late", async () => {
  const { world, weather, net, atServer } = await pair();
  weather.cut("server", "late");
  const events: string[] = [];
  const late = new NetPort(net, "late");
  late.dial(address, { timeoutMs: 3000 }, recorder(events));
  await world.run(4000);
  assert.deepEqual(events.splice(0), ["closed connect server:1: i/o timeout"]);
  const again = late.dial(address, { timeoutMs: 9000 }, recorder(events));
  again.write(utf8ToBytes("early"));
  await world.run(2000);
  weather.heal();
  await world.run(2000);
  assert.deepEqual(events, ["open"]);
  assert.deepEqual(atServer, ["early"]);
});

test("a thin wire carries so much and no more", async () => {
  const { world, weather, connection, atServer } = await pair();
  weather.bandwidthBytesPerMs = 10;
  const startMs = world.nowMs;
  connection.write(new Uint8Array(500).fill(97));
  connection.write(utf8ToBytes("!"));
  await world.runUntil(() => atServer.length === 2, 1000);
  assert.ok(world.nowMs - startMs >= 50 && world.nowMs - startMs < 60, `${world.nowMs - startMs}`);
});

test("a frozen machine takes nothing until it goes on, and then everything in order", async () => {
  const world = new World(1);
  const net = new SimNet(world, { latencyMs: () => 1 });
  const gate = new Gate();
  const server = new NetPort(net, "server", gate);
  const atServer: string[] = [];
  await server.listen(address, { accept: () => recorder(atServer) });
  const connection = new NetPort(net, "client").dial(address, {}, recorder([]));
  await world.run(10);
  world.freeze(gate, 500);
  for (const word of ["a", "b", "c"]) {
    connection.write(utf8ToBytes(word));
    await world.run(20);
    world.freeze(gate, 500); // what came before this is still first
  }
  assert.deepEqual(atServer, []);
  await world.run(500);
  assert.deepEqual(atServer, ["a", "b", "c"]);
});

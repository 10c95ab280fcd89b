import assert from "node:assert/strict";
import { test } from "node:test";
import type { Connection, ConnectionHandler } from "@etcd-ts/base";
import { bytesToUtf8, utf8ToBytes } from "@etcd-ts/base";
import { Gate, NetPort, SimNet, World } from "../src/index.ts";

test("events run in the order of their times, and of asking at equal times, microtasks in between", async () => {
  const world = new World(1);
  const seen: string[] = [];
  world.after(5, () => seen.push("c"));
  world.after(1, () => {
    seen.push("a");
    void Promise.resolve().then(() => seen.push("a, later"));
    world.after(0, () => seen.push("a's child"));
  });
  world.after(1, () => seen.push("b"));
  world.after(2, () => seen.push("never")).cancel();
  await world.run(10);
  assert.deepEqual(seen, ["a", "a, later", "b", "a's child", "c"]);
  assert.equal(world.nowMs, 10);
});

test("what comes to a frozen gate waits for all freezes to end, and happens in its order", async () => {
  const world = new World(1);
  const gate = new Gate();
  const seen: string[] = [];
  const see = (what: string): void => {
    seen.push(`${what} at ${world.nowMs}`);
  };
  world.freeze(gate, 100);
  world.after(10, () => see("a"), gate);
  world.after(20, () => see("never"), gate).cancel();
  await world.run(50);
  world.freeze(gate, 150); // longer
  world.freeze(gate, 10); // which is no reason to go on earlier
  world.after(5, () => see("b"), gate);
  const late = world.after(10, () => see("never"), gate);
  world.after(120, () => see("c"), gate);
  world.after(160, () => see("d"), gate);
  world.after(7, () => see("another machine"));
  await world.run(100);
  late.cancel();
  assert.deepEqual(seen, ["another machine at 57"]);
  await world.run(100);
  assert.deepEqual(seen.slice(1), ["a at 200", "b at 200", "c at 200", "d at 210"]);
});

test("a thawed gate lets through what waited, at once, and can be frozen again", async () => {
  const world = new World(1);
  const gate = new Gate();
  const seen: string[] = [];
  world.freeze(gate, 1000);
  world.after(10, () => seen.push("a"), gate);
  world.after(20, () => seen.push("b"), gate);
  await world.run(50);
  world.after(0, () => seen.push("c"), gate);
  world.thaw(gate);
  await world.run(1);
  assert.deepEqual(seen.splice(0), ["a", "b", "c"]);
  world.freeze(gate, 2000);
  world.after(10, () => seen.push("d"), gate);
  await world.run(1500); // beyond the end of the first freeze
  assert.deepEqual(seen, []);
  await world.run(1000);
  assert.deepEqual(seen, ["d"]);
});

test("a promise is awaited in virtual time, however long that is", async () => {
  const world = new World(1);
  const startMs = performance.now();
  const hour = new Promise<string>((resolve) => {
    world.after(3_600_000, () => resolve("done"));
  });
  assert.equal(await world.complete(hour, 4_000_000), "done");
  assert.ok(performance.now() - startMs < 600_000);
  await assert.rejects(world.complete(new Promise(() => {}), 50), /not settled/);
});

function recorder(received: string[]): ConnectionHandler {
  return {
    onOpen: () => received.push("open"),
    onData: (bytes) => received.push(bytesToUtf8(bytes)),
    onDrain: () => received.push("drain"),
    onEnd: () => received.push("end"),
    onClose: (error) => received.push(error === undefined ? "closed" : `closed ${error.message}`),
  };
}

test("bytes arrive in order after their delay; an ended connection closes, a crashed side resets it", async () => {
  const world = new World(1);
  let latencyMs = 10;
  const net = new SimNet(world, { latencyMs: () => latencyMs });
  const server = new NetPort(net, "server");
  const client = new NetPort(net, "client");
  const atServer: string[] = [];
  const atClient: string[] = [];
  let accepted: Connection | undefined;
  const address = { kind: "tcp", host: "server", port: 1 } as const;
  await server.listen(address, {
    accept: (connection) => {
      accepted = connection;
      return recorder(atServer);
    },
  });
  const connection = client.dial(address, {}, recorder(atClient));
  connection.write(utf8ToBytes("one"));
  await world.run(15);
  assert.deepEqual(atClient, ["open"]);
  latencyMs = 1; // a later, faster write must not overtake
  connection.write(utf8ToBytes("two"));
  await world.run(30);
  assert.deepEqual(atServer, ["one", "two"]);
  connection.end();
  await world.run(5);
  accepted?.write(utf8ToBytes("bye"));
  accepted?.end();
  await world.run(5);
  assert.deepEqual(atServer, ["one", "two", "end", "closed"]);
  assert.deepEqual(atClient, ["open", "bye", "end", "closed"]);

  const refused: string[] = [];
  client.dial({ kind: "tcp", host: "nobody", port: 1 }, {}, recorder(refused));
  const broken: string[] = [];
  client.dial(address, {}, recorder(broken));
  await world.run(5);
  server.kill();
  await world.run(5);
  assert.deepEqual(refused, ["closed connect nobody:1: refused"]);
  assert.deepEqual(broken, ["open", "closed connection reset by peer"]);
});

test("a writer is told to wait while the reader is paused, and to go on afterwards", async () => {
  const world = new World(1);
  const net = new SimNet(world, { latencyMs: () => 1 });
  const port = new NetPort(net, "a");
  const address = { kind: "unix", path: "/socket" } as const;
  let accepted: Connection | undefined;
  const received: number[] = [];
  await port.listen(address, {
    accept: (connection) => {
      accepted = connection;
      connection.pause();
      return { ...recorder([]), onData: (bytes) => received.push(bytes.length) };
    },
  });
  const events: string[] = [];
  const connection = port.dial(address, {}, recorder(events));
  await world.run(5);
  assert.equal(connection.write(new Uint8Array(60_000)), true);
  assert.equal(connection.write(new Uint8Array(60_000)), false);
  await world.run(50);
  assert.deepEqual(received, []);
  accepted?.resume();
  await world.run(50);
  assert.deepEqual(received, [60_000, 60_000]);
  assert.deepEqual(events, ["open", "drain"]);
});

import { strict as assert } from "node:assert";
import { test } from "node:test";
import { bytesToUtf8, concatBytes, utf8ToBytes } from "@etcd-ts/base";
import { Entry, Message } from "@etcd-ts/raft";
import { PlainEncoder } from "../../src/peers/stream-codecs.ts";
import { connected, LinksWorld, MessageType, urlOf } from "./support/links-world.ts";

function typesOf(messages: readonly Message[]): number[] {
  return messages.map((message) => message.type);
}

function append(index: number) {
  return (message: Message): void => {
    const entry = new Entry();
    entry.index = index + 1;
    entry.term = 1;
    entry.data = new Uint8Array(100);
    message.index = index;
    message.logTerm = 1;
    message.entries = [entry];
  };
}

test("two members connect both ways and messages arrive whole and in order", async () => {
  const world = new LinksWorld();
  const [a, b] = [await world.node(1n), await world.node(2n)];
  await connected(world, a, b);
  const commits: number[] = [];
  for (let i = 0; i < 200; i++) {
    a.send(MessageType.MsgHeartbeat, b, (message) => {
      message.commit = i;
    });
    a.send(MessageType.MsgApp, b, append(i));
    commits.push(i);
  }
  await world.until(() => b.received.length === 400, 1000, "all messages arrive");
  const heartbeats = b.received.filter((message) => message.type === MessageType.MsgHeartbeat);
  assert.deepEqual(
    heartbeats.map((message) => message.commit),
    commits,
  );
  const appends = b.received.filter((message) => message.type === MessageType.MsgApp);
  assert.deepEqual(
    appends.map((message) => message.index),
    commits,
  );
  assert.ok(b.received.every((message) => message.from === 1n && message.to === 2n));
  assert.deepEqual(a.unreachable, []);
  assert.notEqual(a.links.activeSinceMs(2n), undefined);
  a.links.stop();
  b.links.stop();
});

test("messages travel as posts while no stream is up", async () => {
  const world = new LinksWorld();
  const [a, b] = [await world.node(1n), await world.node(2n)];
  a.meets(b); // b does not know a: it refuses the streams, and takes posts
  await world.run(500);
  for (let i = 0; i < 20; i++) a.send(MessageType.MsgApp, b, append(i));
  await world.until(() => b.received.length === 20, 2000, "all posts arrive");
  assert.deepEqual(
    b.received.map((message) => message.index).sort((x, y) => x - y),
    Array.from({ length: 20 }, (_, i) => i),
  );
  // b knows a by its URLs now and can answer.
  b.send(MessageType.MsgAppResp, a);
  await world.until(() => a.received.length === 1, 2000, "the answer arrives");
  assert.deepEqual(typesOf(a.received), [MessageType.MsgAppResp]);
  assert.equal(b.links.activeSinceMs(1n), undefined);
});

test("a peer that is added later connects within a moment", async () => {
  const world = new LinksWorld();
  const [a, b] = [await world.node(1n), await world.node(2n)];
  a.meets(b);
  await world.run(1000);
  assert.equal(a.links.isFullyConnected(2n), false);
  b.meets(a);
  await world.until(
    () => a.links.isFullyConnected(2n) && b.links.isFullyConnected(1n),
    300,
    "both connect",
  );
});

test("streams that break are dialled again, and raft hears of it", async () => {
  const world = new LinksWorld();
  const [a, b] = [await world.node(1n), await world.node(2n)];
  await connected(world, a, b);
  for (let round = 0; round < 5; round++) {
    const before = a.links.activeSinceMs(2n);
    a.net.cut();
    b.net.cut();
    await world.until(() => !a.links.isFullyConnected(2n), 100, "the streams are gone");
    await world.until(
      () => a.links.isFullyConnected(2n) && b.links.isFullyConnected(1n),
      500,
      "the streams are back",
    );
    assert.notEqual(a.links.activeSinceMs(2n), before);
  }
  assert.ok(a.unreachable.includes(2n));
  a.send(MessageType.MsgHeartbeat, b);
  await world.until(() => b.received.length === 1, 100, "and messages arrive");
});

test("silence ends a stream after five seconds, and heartbeats keep it for ever", async () => {
  const world = new LinksWorld();
  const [a, b] = [await world.node(1n), await world.node(2n)];
  await connected(world, a, b);
  const dials = a.net.dialCount;
  await world.run(60_000);
  assert.equal(a.links.isFullyConnected(2n), true);
  // Probes now and then, but no new stream.
  assert.ok(a.net.dialCount - dials <= 16, `${a.net.dialCount - dials} dials in a minute`);
  world.silenced.add("n2>n1");
  await world.run(4900);
  assert.notEqual(a.links.activeSinceMs(2n), undefined);
  await world.run(2000);
  assert.equal(a.links.activeSinceMs(2n), undefined);
  world.silenced.delete("n2>n1");
  await world.until(() => a.links.isFullyConnected(2n), 8000, "they find each other again");
});

test("members of another cluster refuse each other, and nobody thinks it was removed", async () => {
  const world = new LinksWorld();
  const [a, b] = [await world.node(1n), await world.node(2n, { clusterId: 0xdeadn })];
  a.meets(b);
  b.meets(a);
  await world.run(3000);
  a.send(MessageType.MsgVote, b);
  await world.run(1000);
  assert.equal(a.links.activeSinceMs(2n), undefined);
  assert.equal(b.received.length, 0);
  assert.deepEqual(a.unreachable, [2n]);
  assert.equal(a.removedCount + b.removedCount, 0);
  assert.ok(world.trace.some((line) => line.includes("cluster ID mismatch")));
});

test("versions of one major number understand each other; a member that is too old is refused", async () => {
  const world = new LinksWorld();
  const old = await world.node(1n, { serverVersion: "3.4.23" });
  const young = await world.node(2n, { serverVersion: "3.7.1" });
  await connected(world, old, young);
  const ancient = await world.node(3n, { serverVersion: "2.3.8" });
  young.meets(ancient);
  ancient.meets(young);
  await world.run(2000);
  assert.equal(young.links.activeSinceMs(3n), undefined);
  assert.equal(ancient.links.activeSinceMs(2n), undefined);
  assert.ok(world.trace.some((line) => line.includes("incompatible version")));
  assert.ok(world.trace.some((line) => line.includes("unsupported stream type")));
});

test("a removed member is told so, once, and loses its streams", async () => {
  const world = new LinksWorld();
  const [a, b] = [await world.node(1n), await world.node(2n)];
  await connected(world, a, b);
  a.removedIds.add(2n);
  a.links.removePeer(2n);
  await world.run(2000);
  assert.equal(b.removedCount, 1);
  assert.equal(a.removedCount, 0);
  a.received.length = 0;
  b.send(MessageType.MsgProp, a);
  await world.run(1000);
  assert.deepEqual(a.received, []);
  a.send(MessageType.MsgHeartbeat, b);
  await world.run(1000);
  assert.deepEqual(b.received, []);
});

test("a post alone tells a removed member as well", async () => {
  const world = new LinksWorld();
  const [a, b] = [await world.node(1n), await world.node(2n)];
  a.removedIds.add(2n);
  b.links.addRemote(1n, [urlOf(1n)]);
  b.send(MessageType.MsgAppResp, a);
  await world.until(() => b.removedCount === 1, 1000, "it is told");
});

test("messages for somebody else are refused without telling anybody to stop", async () => {
  const world = new LinksWorld();
  const [a, b] = [await world.node(1n), await world.node(2n)];
  // a believes that member 9 lives where 2 does.
  a.links.addPeer(9n, [urlOf(2n)]);
  b.meets(a);
  await world.run(1000);
  const message = a.send(MessageType.MsgVote, b, (vote) => {
    vote.to = 9n;
  });
  assert.equal(message.to, 9n);
  await world.run(1000);
  assert.equal(a.removedCount, 0);
  assert.deepEqual(a.unreachable, [9n]);
  assert.deepEqual(b.received, []);
});

test("what only a node's own storage may say does not come in", async () => {
  const world = new LinksWorld();
  const [a, b] = [await world.node(1n), await world.node(2n)];
  await connected(world, a, b);
  for (const type of [0, 1, 10, 11, 12, 19, 20, 21, 22, 23, 99]) {
    a.send(type as MessageType, b);
  }
  a.send(MessageType.MsgAppResp, b, (message) => {
    message.from = 0xffff_ffff_ffff_ffffn;
  });
  a.send(MessageType.MsgHeartbeat, b);
  await world.until(() => b.received.length > 0, 1000, "the honest message arrives");
  assert.deepEqual(typesOf(b.received), [MessageType.MsgHeartbeat]);
});

test("a full queue drops messages and reports the peer, within its bounds", async () => {
  const world = new LinksWorld();
  const [a, b] = [await world.node(1n), await world.node(2n)];
  await connected(world, a, b);
  world.silenced.add("n2>n1");
  world.silenced.add("n1>n2");
  for (let i = 0; i < 10_000; i++) a.send(MessageType.MsgHeartbeat, b);
  await world.run(1);
  assert.deepEqual(a.unreachable, [2n]);
  // Large ones are bounded by their bytes.
  const large = new Uint8Array(8 * 1024 * 1024);
  let sentBytes = 0;
  a.unreachable.length = 0;
  for (let i = 0; i < 100; i++) {
    a.send(MessageType.MsgApp, b, (message) => {
      append(i)(message);
      message.entries[0]!.data = large;
    });
    sentBytes += large.length;
  }
  await world.run(1);
  assert.ok(sentBytes > 64 * 1024 * 1024);
  assert.deepEqual(a.unreachable, [2n]);
});

test("of acknowledgements that leave together only the last one is sent", async () => {
  const world = new LinksWorld();
  const [a, b] = [await world.node(1n), await world.node(2n)];
  await connected(world, a, b);
  for (let i = 1; i <= 10; i++) {
    a.send(MessageType.MsgAppResp, b, (message) => {
      message.index = i;
    });
  }
  a.send(MessageType.MsgAppResp, b, (message) => {
    message.index = 5;
    message.reject = true;
  });
  await world.until(() => b.received.length === 2, 1000, "two arrive");
  await world.run(100);
  assert.deepEqual(
    b.received.map((message) => [message.index, message.reject]),
    [
      [10, false],
      [5, true],
    ],
  );
});

test("a peer with several URLs is found at the one that works, and follows an update", async () => {
  const world = new LinksWorld();
  const [a, b] = [await world.node(1n), await world.node(2n, { name: "elsewhere" })];
  a.links.addPeer(2n, ["http://dead:1", "http://also-dead:1", "http://elsewhere:2380"]);
  b.links.addPeer(1n, ["http://dead:1"]);
  await world.run(1000);
  assert.equal(a.links.isFullyConnected(2n), false);
  b.links.updatePeer(1n, [urlOf(1n)]);
  await world.until(
    () => a.links.isFullyConnected(2n) && b.links.isFullyConnected(1n),
    1000,
    "both connect",
  );
});

test("attempts to reach a dead member are paced", async () => {
  const world = new LinksWorld();
  const a = await world.node(1n);
  a.links.addPeer(2n, [urlOf(2n)]);
  await world.run(10_000);
  // Two streams, ten times a second each, and a few probes.
  assert.ok(a.net.dialCount <= 210, `${a.net.dialCount} dials in ten seconds`);
  assert.ok(a.net.dialCount >= 150, `${a.net.dialCount} dials in ten seconds`);
  // And not every attempt is a line in the log.
  assert.ok(world.trace.filter((line) => line.includes("failed to open")).length <= 2);
});

test("a member that cannot be reached is said so every half minute, one that answers is not", async () => {
  const world = new LinksWorld();
  const a = await world.node(1n);
  const b = await world.node(2n);
  a.links.addPeer(2n, [urlOf(2n)]);
  a.links.addPeer(3n, [urlOf(3n)]);
  await world.run(70_000);
  const said = world.trace.filter((line) => line.includes("prober detected unhealthy status"));
  assert.equal(said.length, 3);
  assert.ok(
    said.every((line) => /remote-peer-id\W+3\W.*refused/.test(line)),
    said.join("\n"),
  );
  a.links.stop();
  b.links.stop();
  await world.run(70_000);
  const now = world.trace.filter((line) => line.includes("prober detected unhealthy status"));
  assert.equal(now.length, 3);
});

test("clocks that differ by over a second are said by both members, once", async () => {
  const world = new LinksWorld();
  const a = await world.node(1n);
  const b = await world.node(2n, { wallOffsetMs: 1_500 });
  const c = await world.node(3n, { wallOffsetMs: 800 });
  a.meets(b, c);
  b.meets(a, c);
  c.meets(a, b);
  await world.run(20_000);
  const said = world.trace.filter((line) => line.includes("prober found high clock drift"));
  assert.equal(said.length, 2, said.join("\n"));
  const signs = said.map((line) => /clock-drift\W+?(-?)1\.(?:499|500|501)s/.exec(line)?.[1]);
  assert.deepEqual(signs.sort(), ["", "-"], said.join("\n"));
});

test("a stopped member lets go of everything", async () => {
  const world = new LinksWorld();
  const [a, b] = [await world.node(1n), await world.node(2n)];
  await connected(world, a, b);
  a.links.stop();
  a.links.stop();
  a.send(MessageType.MsgHeartbeat, b);
  await world.run(100);
  const dials = a.net.dialCount;
  await world.run(5000);
  assert.equal(a.net.dialCount, dials);
  assert.equal(a.net.dialled.size, 0);
  assert.equal(b.links.activeSinceMs(1n), undefined);
  assert.deepEqual(b.received, []);
  b.links.stop();
});

test("a listener that is open before its member answers, and is tried again", async () => {
  const world = new LinksWorld();
  const b = await world.node(2n);
  const host = (await world.node(7n)).host;
  const { PeerLinks } = await import("../../src/peers/peer-links.ts");
  const links = new PeerLinks({ host, peerUrls: [urlOf(1n)], electionMs: 1000 });
  const listening = host.net.listen(
    { kind: "tcp", host: "n1", port: 2380 },
    { accept: (connection) => links.accept(connection) },
  );
  await world.world.complete(listening, 10);
  b.links.addPeer(1n, [urlOf(1n)]);
  await world.run(1000);
  assert.equal(b.links.activeSinceMs(1n), undefined);
  assert.equal(b.removedCount, 0);
  assert.ok(world.trace.some((line) => line.includes("http status 503")));
});

test("what a stock member without the old store sends on a stream comes after the news of it", async () => {
  const world = new LinksWorld();
  const node = await world.node(2n);
  const { host } = await world.node(7n);
  const heartbeat = new Message();
  heartbeat.type = MessageType.MsgHeartbeat;
  heartbeat.from = 5n;
  heartbeat.to = 2n;
  const head = "HTTP/1.1 200 OK\r\nX-Server-Version: 3.7.1\r\nTransfer-Encoding: chunked\r\n\r\n";
  const frame = new PlainEncoder().encode(heartbeat);
  const chunk = [utf8ToBytes(`${frame.length.toString(16)}\r\n`), frame, utf8ToBytes("\r\n")];
  const listening = host.net.listen(
    { kind: "tcp", host: "n5", port: 2380 },
    {
      accept: (connection) => ({
        onData: (bytes) => {
          if (bytesToUtf8(bytes).includes("/raft/stream/message/")) {
            connection.write(concatBytes([utf8ToBytes(head), ...chunk]));
          }
        },
        onDrain: () => {},
        onEnd: () => {},
        onClose: () => {},
      }),
    },
  );
  await world.world.complete(listening, 10);
  node.onReceive = () => assert.equal(node.metStrictCount, 1);
  node.links.addPeer(5n, ["http://n5:2380"]);
  await world.until(() => node.received.length === 1, 2000, "it arrives");
  node.links.stop();
});

import { strict as assert } from "node:assert";
import { test } from "node:test";
import {
  type Bytes,
  concatBytes,
  DiskError,
  equalBytes,
  SeededRandom,
  utf8ToBytes,
} from "@etcd-ts/base";
import { ConfState, Message, Snapshot, SnapshotMetadata } from "@etcd-ts/raft";
import { ClientConnection } from "@etcd-ts/rpc/http1";
import { databasePath, purgeDatabases } from "../../src/peers/database-file.ts";
import { envelope } from "../../src/peers/snapshot-sender.ts";
import { connected, LinksWorld, MessageType, type TestNode } from "./support/links-world.ts";

const path = "/snap/0000000000001234.snap.db";

function parts(seed: number, count: number): Bytes[] {
  const random = new SeededRandom(seed);
  return Array.from({ length: count }, () => random.bytes(1 + random.below(200_000)));
}

async function two(world: LinksWorld): Promise<[TestNode, TestNode]> {
  const nodes: [TestNode, TestNode] = [await world.node(1n), await world.node(2n)];
  await connected(world, ...nodes);
  return nodes;
}

async function names(world: LinksWorld, node: TestNode): Promise<string[]> {
  return await world.world.complete(node.host.disk.list("/snap"), 1000);
}

test("a snapshot arrives whole, is inspected, and only then raft hears of it", async () => {
  const world = new LinksWorld();
  const [a, b] = await two(world);
  a.database = parts(1, 40);
  b.onReceive = (message) => {
    if (message.type === MessageType.MsgSnap) assert.equal(b.inspected.length, 1);
  };
  a.send(MessageType.MsgSnap, b, (message) => {
    message.term = 9;
    message.snapshot = new Snapshot();
  });
  assert.equal(a.openSnapshotCount, 0); // never from inside `send`
  await world.until(() => a.snapshots.length > 0, 5000, "the end is reported");
  assert.deepEqual(a.snapshots, [[2n, true]]);
  const got = b.received.filter((message) => message.type === MessageType.MsgSnap);
  assert.equal(got.length, 1);
  assert.equal(got[0]!.term, 9);
  assert.equal(got[0]!.snapshot?.metadata?.index, 0x1234);
  assert.equal(got[0]!.snapshot?.metadata?.term, 5);
  assert.deepEqual(got[0]!.snapshot?.metadata?.confState?.voters, [1n, 2n]);
  assert.deepEqual([...got[0]!.snapshot!.data], [7]);
  // Under another name: only what was found good gets the one that counts.
  assert.equal(b.inspected.length, 1);
  assert.match(b.inspected[0]!, /^\/snap\/0000000000001234\.snap\.db\.\S+\.part 4660$/);
  const file = await world.world.complete(b.readFile(path), 1000);
  assert.ok(equalBytes(file, concatBytes(a.database)));
  assert.deepEqual(await names(world, b), ["0000000000001234.snap.db"]);
  assert.equal(a.closedSnapshotCount, 1);
  assert.equal(a.links.holdsLog, true);
  await world.run(31_000);
  assert.equal(a.links.holdsLog, false);
});

test("the sender waits for the receiver, and the receiver for its disk", async () => {
  const world = new LinksWorld();
  const [a, b] = await two(world);
  // Endless but for the test: what is asked for is what has left.
  let written = 0;
  let stop = false;
  const piece = new Uint8Array(64 * 1024);
  a.openSnapshot = async () => ({
    index: 0x1234,
    term: 1,
    confState: new ConfState(),
    data: new Uint8Array(0),
    write: async (sink) => {
      while (!stop) {
        await sink.write(piece);
        written += piece.length;
      }
    },
    close: () => {},
  });
  let waiting = 0;
  let waitingMax = 0;
  const open = b.host.disk.open.bind(b.host.disk);
  b.host.disk.open = async (name, mode) => {
    const file = await open(name, mode);
    const write = file.write.bind(file);
    file.write = (position, bytes, done) => {
      const size = bytes.reduce((sum, part) => sum + part.length, 0);
      waiting += size;
      waitingMax = Math.max(waitingMax, waiting);
      // A slow disk: 20 ms for each write.
      b.host.timers.after(20, () => {
        write(position, bytes, (error) => {
          waiting -= size;
          done(error);
        });
      });
    };
    return file;
  };
  a.send(MessageType.MsgSnap, b);
  await world.run(4000);
  assert.ok(written > 4 * 1024 * 1024, `${written} bytes left the sender`);
  assert.ok(waitingMax < 1.5 * 1024 * 1024, `${waitingMax} bytes waited for the disk`);
  // Everything else goes on meanwhile.
  a.send(MessageType.MsgHeartbeat, b);
  await world.until(() => b.received.length === 1, 50, "a heartbeat passes");
  stop = true;
  await world.until(() => a.snapshots.length > 0, 20_000, "it ends");
  assert.deepEqual(a.snapshots, [[2n, true]]);
});

test("a snapshot that breaks off leaves nothing, and is reported", async () => {
  const world = new LinksWorld();
  const [a, b] = await two(world);
  a.database = parts(2, 100);
  a.send(MessageType.MsgSnap, b);
  await world.until(() => a.openSnapshotCount === 1, 100, "it begins");
  await world.run(3);
  assert.equal((await names(world, b)).length, 1);
  a.net.cut();
  await world.until(() => a.snapshots.length > 0, 5000, "the end is reported");
  assert.deepEqual(a.snapshots, [[2n, false]]);
  assert.equal(a.closedSnapshotCount, 1);
  await world.run(1000);
  assert.deepEqual(await names(world, b), []);
  assert.ok(b.received.every((message) => message.type !== MessageType.MsgSnap));
  assert.ok(a.unreachable.includes(2n));
  // And it works again.
  await world.until(() => a.links.isFullyConnected(2n), 1000, "the streams are back");
  a.send(MessageType.MsgSnap, b);
  await world.until(() => a.snapshots.length > 1, 5000, "the second one ends");
  assert.deepEqual(a.snapshots[1], [2n, true]);
});

test("a failing view, a failing writer and a full disk are reported, not swallowed", async () => {
  const world = new LinksWorld();
  const [a, b] = await two(world);
  const open = a.openSnapshot.bind(a);
  a.openSnapshot = () => Promise.reject(new Error("no view"));
  a.send(MessageType.MsgSnap, b);
  await world.until(() => a.snapshots.length === 1, 1000, "the first ends");
  a.openSnapshot = async () => ({
    ...(await open()),
    write: () => Promise.reject(new Error("a torn page")),
  });
  a.send(MessageType.MsgSnap, b);
  await world.until(() => a.snapshots.length === 2, 1000, "the second ends");
  a.openSnapshot = open;
  a.database = parts(3, 20);
  b.disk.capacityBytes = 500_000;
  a.send(MessageType.MsgSnap, b);
  await world.until(() => a.snapshots.length === 3, 5000, "the third ends");
  b.disk.capacityBytes = Number.POSITIVE_INFINITY;
  b.refuseDatabase = "checksum";
  a.send(MessageType.MsgSnap, b);
  await world.until(() => a.snapshots.length === 4, 5000, "the fourth ends");
  b.refuseDatabase = undefined;
  b.takes = false;
  a.send(MessageType.MsgSnap, b);
  await world.until(() => a.snapshots.length === 5, 5000, "the fifth ends");
  assert.deepEqual(
    a.snapshots.map(([, succeeded]) => succeeded),
    [false, false, false, false, false],
  );
  assert.ok(world.trace.some((line) => line.includes("no view")));
  assert.ok(world.trace.some((line) => line.includes("a torn page")));
  assert.ok(world.trace.some((line) => line.includes("failed to save KV snapshot (checksum)")));
  assert.ok(
    world.trace.some((line) => line.includes("http status 500 (failed to process raft message")),
  );
  await world.run(100);
  // Raft did not want the last one; it is whole, and goes with the next purge.
  assert.deepEqual(await names(world, b), ["0000000000001234.snap.db"]);
  await world.world.complete(purgeDatabases(b.host.disk, "/snap", []), 1000);
  assert.deepEqual(await names(world, b), []);
  assert.equal(a.links.isFullyConnected(2n), true);
});

test("a disk that fails at the end leaves nothing either", async () => {
  const world = new LinksWorld();
  const [a, b] = await two(world);
  a.database = parts(5, 5);
  const open = b.host.disk.open.bind(b.host.disk);
  b.host.disk.open = async (name, mode) => {
    const file = await open(name, mode);
    file.sync = (done) => {
      b.host.timers.after(1, () => done(new DiskError("io", name, "a bad sector")));
    };
    return file;
  };
  a.send(MessageType.MsgSnap, b);
  await world.until(() => a.snapshots.length > 0, 5000, "the end is reported");
  assert.deepEqual(a.snapshots, [[2n, false]]);
  assert.deepEqual(b.inspected, []);
  assert.deepEqual(await names(world, b), []);
});

test("one snapshot at a time goes to a peer, and all of them end with the member", async () => {
  const world = new LinksWorld();
  const [a, b] = await two(world);
  a.database = parts(4, 100);
  a.send(MessageType.MsgSnap, b);
  a.send(MessageType.MsgSnap, b);
  await world.run(5);
  assert.equal(a.openSnapshotCount, 1);
  a.links.stop();
  await world.run(1000);
  assert.equal(a.closedSnapshotCount, 1);
  assert.deepEqual(await names(world, b), []);
  assert.deepEqual(a.snapshots, []);
});

/** Posts bytes as a snapshot; the status of the answer. */
async function post(world: LinksWorld, to: TestNode, body: Bytes, from = 1n): Promise<string> {
  let status = 0;
  let text = "";
  let done = false;
  const connection = new ClientConnection({
    host: to.host,
    address: { kind: "tcp", host: `n${to.memberId}`, port: 2380 },
    authority: "x",
    dialTimeoutMs: 1000,
    readIdleMs: 0,
    writeIdleMs: 5000,
  });
  const fields = [
    ["X-Server-From", from.toString(16)],
    ["X-Server-Version", "3.7.1"],
    ["X-Min-Cluster-Version", "3.0.0"],
    ["X-Etcd-Cluster-ID", "c1"],
  ] as const;
  connection.send(
    { method: "POST", target: "/raft/snapshot", fields, body },
    {
      onHead: (head) => {
        status = head.status;
      },
      onBody: (part) => {
        text += String.fromCharCode(...part);
      },
      onDrain() {},
      onDone: () => {
        done = true;
      },
    },
  );
  await world.until(() => done, 5000, "an answer");
  return `${status} ${text}`;
}

function snapshotMessage(fill: (message: Message) => void = () => {}): Message {
  const message = new Message();
  message.type = MessageType.MsgSnap;
  message.from = 1n;
  message.to = 2n;
  message.term = 3;
  message.snapshot = new Snapshot();
  message.snapshot.metadata = new SnapshotMetadata();
  message.snapshot.metadata.index = 77;
  fill(message);
  return message;
}

test("an envelope that is none is refused", async () => {
  const world = new LinksWorld();
  const b = await world.node(2n);
  const good = envelope(snapshotMessage());
  assert.match(await post(world, b, concatBytes([good, utf8ToBytes("db")])), /^204 /);
  for (const [body, answer] of [
    [new Uint8Array(0), /^400 failed to decode raft message \(/],
    [good.subarray(0, good.length - 1), /^400 failed to decode raft message \(/],
    [Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 1, 255), /^400 failed to decode raft message \(/],
    [Uint8Array.of(0, 0, 0, 1, 0, 0, 0, 1, 255), /^400 failed to decode raft message \(/],
    [
      envelope(
        snapshotMessage((message) => {
          message.type = MessageType.MsgApp;
        }),
      ),
      /^400 wrong raft message type\n$/,
    ],
    [
      envelope(
        snapshotMessage((message) => {
          message.to = 5n;
        }),
      ),
      /^412 /,
    ],
    [
      envelope(
        snapshotMessage((message) => {
          message.snapshot = undefined;
        }),
      ),
      /^412 /,
    ],
  ] as const) {
    assert.match(await post(world, b, body), answer);
  }
  b.removedIds.add(9n);
  assert.match(
    await post(world, b, good, 9n),
    /^403 \{"message":"cannot process message from removed member"\}/,
  );
  assert.equal(b.received.length, 1);
});

test("purging keeps what is named and touches nothing else", async () => {
  const world = new LinksWorld();
  const b = await world.node(2n);
  const { disk } = b.host;
  await world.world.complete(
    (async () => {
      for (const name of [
        databasePath("/snap", 1),
        databasePath("/snap", 2),
        `${databasePath("/snap", 3)}.4.part`,
        "/snap/0000000000000001-0000000000000002.snap",
        "/snap/db",
      ]) {
        await (await disk.open(name, "create")).close();
      }
      await purgeDatabases(disk, "/snap", [2]);
    })(),
    1000,
  );
  assert.deepEqual(await names(world, b), [
    "0000000000000001-0000000000000002.snap",
    "0000000000000002.snap.db",
    "db",
  ]);
  await assert.rejects(world.world.complete(purgeDatabases(disk, "/none", []), 1000), DiskError);
});

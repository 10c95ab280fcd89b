// Raft on top of the links: three members elect, commit and stay equal while their wires are cut and silenced.

import { strict as assert } from "node:assert";
import { test } from "node:test";
import { bytesToHex, emptyBytes, utf8ToBytes } from "@etcd-ts/base";
import { MessageType } from "@etcd-ts/raft";
import { SimDisk, SimHost } from "@etcd-ts/sim";
import { PeerLinks } from "../../src/peers/peer-links.ts";
import { LinksWorld, TestNet, urlOf } from "./support/links-world.ts";
import { RaftDriver } from "./support/raft-driver.ts";

interface Driven {
  readonly driver: RaftDriver;
  readonly net: TestNet;
}

async function cluster(world: LinksWorld, ids: readonly bigint[]): Promise<Driven[]> {
  const nodes: Driven[] = [];
  for (const id of ids) {
    const sim = new SimHost({
      name: `n${id}`,
      world: world.world,
      disk: new SimDisk(),
      diskFaults: { latencyMs: () => 0.1 },
      net: world.net,
    });
    const net = new TestNet(sim);
    const { clock, timers, random, disk, digests, log } = sim;
    const host = { clock, timers, random, disk, digests, log, net };
    const links = new PeerLinks({ host, peerUrls: [urlOf(id)], electionMs: 1000 });
    await world.world.complete(
      net.listen(
        { kind: "tcp", host: `n${id}`, port: 2380 },
        { accept: (connection) => links.accept(connection) },
      ),
      10,
    );
    const driver = new RaftDriver({
      host,
      links,
      memberId: id,
      clusterId: 0xc1n,
      founders: ids.map((founder) => ({ id: founder, context: emptyBytes })),
      electionTicks: 10,
      preVote: true,
      members: () => [],
    });
    for (const other of ids) if (other !== id) links.addPeer(other, [urlOf(other)]);
    nodes.push({ driver, net });
  }
  return nodes;
}

function leaderOf(nodes: readonly Driven[]): RaftDriver | undefined {
  return nodes.find(({ driver }) => driver.leader === driver.memberId)?.driver;
}

/** What was applied, as text. */
function history(driver: RaftDriver): string[] {
  return driver.applied.map((entry) => `${entry.index}/${entry.term} ${bytesToHex(entry.data)}`);
}

test("three members elect a leader and commit over their streams", async () => {
  const world = new LinksWorld(11);
  const nodes = await cluster(world, [1n, 2n, 3n]);
  await world.until(() => leaderOf(nodes) !== undefined, 10_000, "a leader");
  for (let i = 0; i < 100; i++) {
    assert.ok(leaderOf(nodes)!.propose(utf8ToBytes(`value ${i}`)));
    if (i % 10 === 0) await world.run(1);
  }
  const done = (): boolean => nodes.every(({ driver }) => driver.applied.length >= 104);
  await world.until(done, 2000, "everything is applied everywhere");
  const [first, ...others] = nodes.map(({ driver }) => history(driver));
  for (const other of others) assert.deepEqual(other, first);
  for (const { driver } of nodes) assert.deepEqual([...driver.voters].sort(), [1n, 2n, 3n]);
  // A proposal of a follower travels to the leader.
  const follower = nodes.find(({ driver }) => driver.leader !== driver.memberId)!.driver;
  const before = follower.applied.length;
  assert.ok(follower.propose(utf8ToBytes("forwarded")));
  await world.until(() => follower.applied.length > before, 1000, "it comes back");
  assert.ok(leaderOf(nodes)!.receivedTypes.has(MessageType.MsgProp));
  for (const { driver } of nodes) driver.stop();
});

for (const seed of [1, 2, 3, 4, 5, 6]) {
  test(`members stay equal under cut and silent wires (seed ${seed})`, async () => {
    const world = new LinksWorld(seed);
    const nodes = await cluster(world, [1n, 2n, 3n]);
    const { random } = world.world;
    let count = 0;
    for (let round = 0; round < 40; round++) {
      const action = random.below(6);
      const a = 1 + random.below(3);
      const b = 1 + random.below(3);
      if (action === 0) nodes[a - 1]!.net.cut();
      else if (action === 1 && a !== b) world.silenced.add(`n${a}>n${b}`);
      else if (action === 2) world.silenced.clear();
      else if (action === 3) world.latencyMs = random.below(30);
      for (let i = random.below(5); i > 0; i--) {
        nodes[random.below(3)]!.driver.propose(utf8ToBytes(`v${count++}`));
      }
      await world.run(random.below(1500));
    }
    world.silenced.clear();
    world.latencyMs = 0.1;
    await world.run(15_000);
    const last = "the end";
    await world.until(() => leaderOf(nodes) !== undefined, 10_000, "a leader after healing");
    assert.ok(leaderOf(nodes)!.propose(utf8ToBytes(last)));
    const hex = bytesToHex(utf8ToBytes(last));
    const hasLast = ({ driver }: Driven): boolean =>
      bytesToHex(driver.applied.at(-1)!.data) === hex;
    await world.until(() => nodes.every(hasLast), 5000, "the last value is everywhere");
    const [first, ...others] = nodes.map(({ driver }) => history(driver));
    for (const other of others) assert.deepEqual(other, first);
    assert.ok(first!.length > 10, `only ${first!.length} entries`);
    assert.ok(nodes.every(({ driver }) => driver.removedCount === 0));
    for (const { driver } of nodes) driver.stop();
  });
}

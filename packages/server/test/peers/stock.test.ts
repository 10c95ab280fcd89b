// The links against stock members: a cluster of a stock member and of our raft over our links. The stock one
// leads and is followed; it is killed and comes back; then ours leads, and the stock one follows.

import { strict as assert } from "node:assert";
import { describe, type TestContext, test } from "node:test";
import { bytesToHex, type Host, type Listener, utf8ToBytes } from "@etcd-ts/base";
import { encodeMemberContext, type Member } from "@etcd-ts/machine";
import { nodeHost, silentLog } from "@etcd-ts/node";
import { takePort } from "@etcd-ts/node/testing";
import { MessageType } from "@etcd-ts/raft";
import { clusterIdOf, hexId, memberIdOf } from "../../src/ids.ts";
import { PeerLinks } from "../../src/peers/peer-links.ts";
import { PeerRequests } from "../../src/peers/peer-requests.ts";
import { RaftDriver } from "./support/raft-driver.ts";
import { noStockReason, StockMember, type StockRelease, stockReleases } from "./support/stock.ts";

const releases = stockReleases();
/** Nothing takes a fraction of it, but where the machine has no time for us. */
const untilMs = 60_000;

if (releases.length === 0) test("our links and stock members", { skip: noStockReason }, () => {});

// They mostly wait: side by side.
describe("members of ours beside stock ones", { concurrency: true }, () => {
  for (const release of releases) {
    test(`a member of ours follows stock ${release.version}, and leads it`, (t) =>
      together(t, release));
  }
});

interface Mixed {
  readonly driver: RaftDriver;
  readonly stock: StockMember;
  readonly stockId: bigint;
  readonly stockUrl: string;
  readonly host: Host;
}

async function together(t: TestContext, release: StockRelease): Promise<void> {
  const mixed = await found(t, release);
  const { driver, stock, stockId, stockUrl, host } = mixed;
  await until(mixed, () => driver.leader === stockId, "the stock member leads");
  await until(mixed, () => driver.links.isFullyConnected(stockId), "four streams are up");
  assert.notEqual(driver.links.activeSinceMs(stockId), undefined);

  // Its writes need our acknowledgement.
  await until(mixed, () => stock.put("ready", "yes"), "it serves clients");
  const before = driver.commitIndex;
  await putAll(mixed, "");
  await until(mixed, () => driver.commitIndex >= before + 30, "our commit index follows");
  await until(mixed, () => hasApplied(driver, "value-29"), "the value is applied here");
  assert.ok(driver.receivedTypes.has(MessageType.MsgApp));
  assert.ok(driver.receivedTypes.has(MessageType.MsgHeartbeat));

  // It answers what members ask each other.
  const requests = new PeerRequests({ host, electionMs: 1000 });
  const { clusterId, members } = await requests.cluster([stockUrl], untilMs);
  assert.equal(clusterId, driver.clusterId);
  assert.deepEqual(
    members.map((member) => member.id),
    driver.answers.members()!.map((member) => member.id),
  );
  assert.equal((await requests.versions([stockUrl], untilMs)).server, release.version);
  const hash = await requests.hashKv([stockUrl], clusterId, 0n, untilMs);
  assert.ok(hash.revision >= 31n && hash.hash !== 0);
  requests.stop();

  // It dies and comes back; its streams replace the dead ones.
  await stock.kill();
  await until(mixed, () => driver.links.activeSinceMs(stockId) === undefined, "it is gone");
  stock.start();
  await until(mixed, () => driver.links.isFullyConnected(stockId), "the streams are back");
  await until(mixed, () => stock.put("back", "again"), "it serves clients again");
  await until(mixed, () => hasApplied(driver, "again"), "and we follow");

  // Ours leads: the stock member forwards its clients' writes to us, and takes our appends.
  // Where the machine pauses for longer than the other one's election takes, the lead is lost: then once more.
  let attempt = 0;
  for (let term = -1; term !== termOfOurs(driver); ) {
    attempt += 1;
    assert.ok(attempt < 10, `the lead was lost again and again\n${stock.log}`);
    await until(mixed, () => takesTheLead(driver), "ours leads");
    term = termOfOurs(driver);
    await putAll(mixed, `led-${attempt}-`);
  }
  assert.ok(driver.receivedTypes.has(MessageType.MsgProp));
  assert.ok(hasApplied(driver, `led-${attempt}-value-29`));
  assert.ok(stock.isRunning, stock.log);
  assert.equal(driver.removedCount, 0);
}

/** Thirty writes through the stock member; each is acknowledged, if need be at another attempt. */
async function putAll(mixed: Mixed, prefix: string): Promise<void> {
  for (let i = 0; i < 30; i++) {
    const put = () => mixed.stock.put(`${prefix}key-${i}`, `${prefix}value-${i}`);
    await until(mixed, put, `write ${i} is acknowledged`);
  }
}

/** Whether it leads; asks for it otherwise. */
function takesTheLead(driver: RaftDriver): boolean {
  const leads = driver.leader === driver.memberId;
  if (!leads) driver.node.transferLeader(driver.memberId);
  return leads;
}

/** The term that it leads in, 0 when it does not. */
function termOfOurs(driver: RaftDriver): number {
  return driver.leader === driver.memberId ? driver.node.status().term : 0;
}

async function found(t: TestContext, release: StockRelease): Promise<Mixed> {
  const host = nodeHost({ log: silentLog });
  let links: PeerLinks | undefined;
  const listener: Listener = await host.net.listen(
    { kind: "tcp", host: "127.0.0.1", port: 0 },
    { accept: (connection) => links!.accept(connection) },
  );
  t.after(() => listener.close());
  assert.ok(listener.address.kind === "tcp");
  const ownUrl = `http://127.0.0.1:${listener.address.port}`;
  const stockUrl = `http://127.0.0.1:${await takePort()}`;
  const token = `test-${ownUrl}`;
  const members = [
    ["ours", ownUrl],
    ["stock", stockUrl],
  ].map(([name, url]): Member => {
    const id = memberIdOf(host.digests, [url!], token);
    return { id, name: name!, peerUrls: [url!], isLearner: false, clientUrls: [] };
  });
  const [own, other] = members as [Member, Member];
  members.sort((a, b) => (a.id < b.id ? -1 : 1));
  links = new PeerLinks({ host, peerUrls: [ownUrl], electionMs: 1000 });
  const driver = new RaftDriver({
    host,
    links,
    memberId: own.id,
    clusterId: clusterIdOf(
      host.digests,
      members.map((member) => member.id),
    ),
    founders: members.map((member) => ({ id: member.id, context: encodeMemberContext(member) })),
    // So patient that the stock member wins.
    electionTicks: 50,
    preVote: true,
    members: () => members,
  });
  t.after(() => driver.stop());
  links.addPeer(other.id, [stockUrl]);
  const stock = new StockMember(release, await takePort(), [
    "--name=stock",
    `--listen-peer-urls=${stockUrl}`,
    `--initial-advertise-peer-urls=${stockUrl}`,
    `--initial-cluster=ours=${ownUrl},stock=${stockUrl}`,
    `--initial-cluster-token=${token}`,
    "--heartbeat-interval=50",
    "--election-timeout=500",
  ]);
  t.after(() => stock.remove());
  stock.start();
  return { driver, stock, stockId: other.id, stockUrl, host };
}

/** Looks again and again; fails with what the stock member said. */
async function until(
  mixed: Mixed,
  condition: () => boolean | Promise<boolean>,
  what: string,
): Promise<void> {
  const end = performance.now() + untilMs;
  while (!(await condition())) {
    if (performance.now() > end) {
      const { leader, commitIndex } = mixed.driver;
      const state = `leader ${hexId(leader)}, commit ${commitIndex}`;
      throw new Error(`not within ${untilMs} ms: ${what} (${state})\n${mixed.stock.log}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function hasApplied(driver: RaftDriver, value: string): boolean {
  const hex = bytesToHex(utf8ToBytes(value));
  return driver.applied.some((entry) => bytesToHex(entry.data).includes(hex));
}

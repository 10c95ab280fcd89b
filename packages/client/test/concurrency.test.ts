// Locks and elections, on a stock member: they stand on its transactions and watches.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { bytesToUtf8 } from "@etcd-ts/base";
import {
  Client,
  Election,
  Mutex,
  observeElection,
  Session,
  SessionLostError,
} from "../src/index.ts";
import { eagerHost, leaseTtl } from "./eager-host.ts";
import { type StockMember, stockMember } from "./stock-member.ts";

const { skip } = stockMember;
let endpoint = "";
let member: StockMember | undefined;

describe("on a stock member", () => {
  before(async () => {
    if (skip !== false) return;
    member = await stockMember.start();
    endpoint = member.endpoint;
  });

  after(async () => {
    await member?.stop();
  });

  test("a lock has one holder at a time, in the order of asking", { skip }, async () => {
    await using client = new Client({ endpoints: [endpoint] });
    const order: number[] = [];
    let holders = 0;
    let lastFence = 0;
    const contend = async (index: number): Promise<void> => {
      await using session = await Session.open(client, { ttlSeconds: 10 });
      const mutex = new Mutex(session, "a-lock");
      await mutex.lock();
      holders += 1;
      assert.equal(holders, 1);
      assert.ok(mutex.fencingRevision > lastFence);
      lastFence = mutex.fencingRevision;
      order.push(index);
      await client.put("work", String(index));
      holders -= 1;
      await mutex.unlock();
    };
    await Promise.all([0, 1, 2, 3, 4].map(contend));
    assert.equal(order.length, 5);
    assert.equal((await client.getRange({ prefix: "a-lock/" })).count, 0);
  });

  test("who stops waiting for a lock leaves the queue", { skip }, async () => {
    await using client = new Client({ endpoints: [endpoint] });
    await using holder = await Session.open(client);
    await using waiter = await Session.open(client);
    const held = new Mutex(holder, "b-lock");
    await held.lock();
    const controller = new AbortController();
    const reason = new Error("enough");
    const waiting = new Mutex(waiter, "b-lock").lock({ signal: controller.signal });
    while ((await client.getRange({ prefix: "b-lock/" })).count < 2);
    controller.abort(reason);
    await assert.rejects(waiting, (error) => error === reason);
    assert.equal((await client.getRange({ prefix: "b-lock/" })).count, 1);
  });

  test("a session that is lost ends the waiting", { skip }, async () => {
    await using client = new Client({ endpoints: [endpoint], host: eagerHost() });
    await using holder = await Session.open(client);
    await new Mutex(holder, "c-lock").lock();
    const doomed = await Session.open(client, { ttlSeconds: leaseTtl });
    const waiting = new Mutex(doomed, "c-lock").lock();
    while ((await client.getRange({ prefix: "c-lock/" })).count < 2);
    await client.lease.revoke({ id: doomed.leaseId });
    await assert.rejects(waiting, SessionLostError);
  });

  test("an election has one leader, and observers see each in turn", { skip }, async () => {
    await using client = new Client({ endpoints: [endpoint] });
    const seen: string[] = [];
    const controller = new AbortController();
    const observing = (async () => {
      const leaders = observeElection(client, "e", { signal: controller.signal });
      for await (const { kvs } of leaders) {
        seen.push(bytesToUtf8(kvs[0]!.value));
        if (seen.length === 3) break;
      }
    })();
    await using first = await Session.open(client);
    await using second = await Session.open(client);
    const one = new Election(first, "e");
    const two = new Election(second, "e");
    await one.campaign("one");
    while (seen.length < 1) await client.get("tick");
    const following = two.campaign("two");
    await one.proclaim("one again");
    while (seen.length < 2) await client.get("tick");
    assert.ok(one.fencingRevision > 0);
    await one.resign();
    await following;
    await observing;
    assert.deepEqual(seen, ["one", "one again", "two"]);
    await assert.rejects(one.proclaim("late"), /not leader/);
  });

  test("a watch, a lease and the history of a stock member", { skip }, async () => {
    await using client = new Client({ endpoints: [endpoint] });
    const { id, ttl } = await client.lease.grant({ ttl: 30n });
    assert.equal(ttl, 30);
    await using watch = client.watch({ prefix: "w/", prevKv: true });
    const start = await watch.created;
    await client.put("w/a", "1", { lease: id });
    await client.put("w/a", "2");
    await client.delete({ prefix: "w/" });
    const seen: string[] = [];
    for await (const { type, kv, prevKv } of watch) {
      seen.push(
        `${type} ${bytesToUtf8(kv!.value)} ${prevKv === undefined ? "-" : bytesToUtf8(prevKv.value)}`,
      );
      if (seen.length === 3) break;
    }
    assert.deepEqual(seen, ["0 1 -", "0 2 1", "1  2"]);
    const old = await client.get("w/a", { revision: BigInt(start + 1) });
    assert.equal(old?.lease, id);
    assert.equal((await client.keepAliveOnce(id)).ttl, 30);
    assert.ok((await client.lease.leases()).leases.some((it) => it.id === id));
    await client.lease.revoke({ id });
    let bytes = 0;
    for await (const { blob } of client.maintenance.snapshot()) bytes += blob.length;
    assert.equal(bytes % 512, 32);
    const status = await client.maintenance.status();
    assert.equal(status.leader, status.header?.memberId);
    assert.equal((await client.cluster.memberList()).members.length, 1);
  });
});

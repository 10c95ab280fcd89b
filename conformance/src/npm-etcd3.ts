// What a program written with npm's `etcd3` expects of a server: keys, transactions, watches, leases, locks.

import assert from "node:assert/strict";
import { Etcd3, type IOptions } from "etcd3";

const eventMs = 60_000;

/** Throws at the first check that fails. */
export async function npmEtcd3Suite(options: IOptions): Promise<void> {
  const client = new Etcd3(options);
  try {
    await keys(client);
    await transactions(client);
    await watches(client);
    await leases(client);
    await locks(client);
  } finally {
    client.close();
  }
}

async function keys(client: Etcd3): Promise<void> {
  await client.put("npm/a").value("1");
  assert.equal(await client.get("npm/a").string(), "1");
  assert.equal(await client.get("npm/none").string(), null);
  const bytes = Buffer.from([0, 1, 255]);
  await client.put("npm/bytes").value(bytes);
  assert.deepEqual(await client.get("npm/bytes").buffer(), bytes);
  for (let i = 0; i < 20; i++) await client.put(`npm/list/${String(i).padStart(2, "0")}`).value(i);
  const all = await client.getAll().prefix("npm/list/").numbers();
  assert.equal(Object.keys(all).length, 20);
  assert.equal(all["npm/list/07"], 7);
  const some = await client.getAll().prefix("npm/list/").sort("Key", "Descend").limit(3).keys();
  assert.deepEqual(some, ["npm/list/19", "npm/list/18", "npm/list/17"]);
  assert.equal(await client.getAll().prefix("npm/list/").count(), 20);
  assert.equal((await client.delete().prefix("npm/list/")).deleted, "20");
}

async function transactions(client: Etcd3): Promise<void> {
  await client.put("npm/t").value("old");
  const won = await client
    .if("npm/t", "Value", "==", "old")
    .then(client.put("npm/t").value("new"), client.get("npm/t"))
    .else(client.put("npm/t").value("wrong"))
    .commit();
  assert.equal(won.succeeded, true);
  assert.equal(await client.get("npm/t").string(), "new");
  const lost = await client
    .if("npm/t", "Version", ">", 100)
    .then(client.delete().key("npm/t"))
    .commit();
  assert.equal(lost.succeeded, false);
  await client.stm().transact(async (tx) => {
    const before = await tx.get("npm/t").string();
    await tx.put("npm/t").value(`${before}er`);
  });
  assert.equal(await client.get("npm/t").string(), "newer");
}

async function watches(client: Etcd3): Promise<void> {
  const watcher = await client.watch().prefix("npm/w/").withPreviousKV().create();
  const seen: string[] = [];
  const three = new Promise<void>((resolve) => {
    watcher.on("put", (kv, before) => {
      seen.push(`put ${kv.key} ${kv.value} ${before?.value ?? "-"}`);
      if (seen.length === 3) resolve();
    });
    watcher.on("delete", (kv) => {
      seen.push(`delete ${kv.key}`);
      if (seen.length === 3) resolve();
    });
  });
  await client.put("npm/w/1").value("x");
  await client.put("npm/w/1").value("y");
  await client.delete().key("npm/w/1");
  await within(three, "three events");
  assert.deepEqual(seen, ["put npm/w/1 x -", "put npm/w/1 y x", "delete npm/w/1"]);
  await watcher.cancel();
}

async function leases(client: Etcd3): Promise<void> {
  const lease = client.lease(100, { autoKeepAlive: false });
  await lease.put("npm/leased").value("x");
  const id = await lease.grant();
  assert.match(id, /^\d+$/);
  await lease.keepaliveOnce();
  assert.equal(await client.get("npm/leased").string(), "x");
  await lease.revoke();
  assert.equal(await client.get("npm/leased").string(), null);
}

async function locks(client: Etcd3): Promise<void> {
  const first = await client.lock("npm/lock").acquire();
  await assert.rejects(client.lock("npm/lock").acquire());
  await first.release();
  const second = await client.lock("npm/lock").acquire();
  await second.release();
}

async function within(promise: Promise<void>, what: string): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} did not come`)), eventMs);
  });
  await Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

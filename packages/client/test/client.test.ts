import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { ApiError } from "@etcd-ts/api";
import { bytesToUtf8, type Log, type LogFields } from "@etcd-ts/base";
import { RpcError, Status } from "@etcd-ts/rpc";
import { Client, type ClientOptions, mergeRange } from "../src/index.ts";
import { eagerHost, leaseTtl } from "./eager-host.ts";
import { FakeMember, FakeStore } from "./fake-member.ts";

const range = "/etcdserverpb.KV/Range";
const put = "/etcdserverpb.KV/Put";

/** A client and members of one store, started; all stopped in the end. */
async function withCluster(
  memberCount: number,
  body: (client: Client, members: FakeMember[], store: FakeStore) => Promise<void>,
  options: ClientOptions = {},
): Promise<void> {
  const store = new FakeStore();
  const members = Array.from({ length: memberCount }, () => new FakeMember(store));
  for (const member of members) await member.start();
  const client = new Client({
    callTimeoutMs: 60_000,
    ...options,
    endpoints: members.map((it) => it.endpoint),
  });
  try {
    await body(client, members, store);
  } finally {
    client.close();
    for (const member of members) await member.stop();
  }
}

test("put and get carry any bytes", async () => {
  await withCluster(1, async (client) => {
    const value = Uint8Array.of(0, 255, 128, 10);
    await client.put("k\u00e9y", value);
    const kv = await client.get("k\u00e9y");
    assert.deepEqual(Buffer.from(kv!.value), Buffer.from(value));
    assert.equal(await client.get("other"), undefined);
  });
});

test("a read is tried again on another endpoint", async () => {
  await withCluster(3, async (client, members) => {
    await client.put("a", "1");
    for (const it of members.slice(1)) {
      it.fault(range, { kind: "fail", code: Status.unavailable, message: "etcdserver: no leader" });
    }
    for (let i = 0; i < 6; i++) assert.equal(bytesToUtf8((await client.get("a"))!.value), "1");
    assert.ok(members.slice(1).every((it) => it.faults.get(range)!.length === 0));
  });
});

test("a write that a member may have seen is never repeated", async () => {
  await withCluster(2, async (client, members, store) => {
    await client.put("warm", "up");
    for (const it of members) {
      it.fault(put, {
        kind: "fail",
        code: Status.unavailable,
        message: "etcdserver: request timed out",
      });
    }
    const refused = await client.put("a", "1").catch((error: unknown) => error);
    assert.ok(refused instanceof ApiError && refused.code === "timeout");
    assert.equal(members[0]!.count(put) + members[1]!.count(put), 2);

    for (const it of members) it.faults.set(put, [{ kind: "act-and-cut" }]);
    const lost = await client.put("a", "2").catch((error: unknown) => error);
    assert.ok(lost instanceof RpcError && lost.code === Status.unavailable);
    assert.equal(store.events.filter((it) => bytesToUtf8(it.kv!.key) === "a").length, 1);
  });
});

test("a dead endpoint among live ones costs nothing", async () => {
  await withCluster(3, async (client, members) => {
    await members[1]!.stop();
    for (let i = 0; i < 9; i++) await client.put(`k${i}`, "v");
    await members[0]!.stop();
    // Those calls that the fall of a member hits are told so; the next ones go elsewhere.
    for (let i = 0; i < 9; i++) assert.ok(await client.get(`k${i}`));
  });
});

test("calls wait for an endpoint that comes back", async () => {
  await withCluster(1, async (client, members) => {
    await client.put("a", "1");
    await members[0]!.stop();
    const reading = client.get("a");
    const writing = client.put("b", "2").catch((error: unknown) => {
      // It may have been sent into the connection that was cut.
      assert.ok(error instanceof RpcError && error.code === Status.unavailable);
    });
    await members[0]!.start();
    assert.equal(bytesToUtf8((await reading)!.value), "1");
    await writing;
  });
});

test("without an endpoint a call ends at its deadline and names the reason", async () => {
  const store = new FakeStore();
  const member = new FakeMember(store);
  await member.start();
  const { endpoint } = member;
  await member.stop();
  let isRefused = false;
  const log: Log = {
    debug: (_message, fields) => {
      isRefused ||= fields?.["state"] === "failed";
    },
    info: () => {},
    warn: () => {},
    error: () => {},
    named: () => log,
  };
  await using client = new Client({ endpoints: [endpoint], log });
  // The reason is known only when the first attempt has ended.
  const early = client.get("a").catch(() => undefined);
  while (!isRefused) await turn();
  await assert.rejects(
    client.get("a", { timeoutMs: 150 }),
    (error) =>
      error instanceof RpcError &&
      error.code === Status.deadlineExceeded &&
      error.message ===
        'latest balancer error: connection error: desc = "transport: Error while dialing: ' +
          `dial tcp ${endpoint}: connect: connection refused"`,
  );
  client.close();
  await early;
});

test("with a log at the level debug it is told what a call waits for", async () => {
  const store = new FakeStore();
  const member = new FakeMember(store);
  await member.start();
  const { endpoint } = member;
  const lines: LogFields[] = [];
  const log: Log = {
    debug: (message, fields) => void lines.push({ message, ...fields }),
    info: () => {},
    warn: () => {},
    error: () => {},
    named: () => log,
  };
  const dead = "127.0.0.1:1";
  await using client = new Client({ endpoints: [dead, endpoint], log });
  await client.put("a", "1");
  const reason = "dial tcp 127.0.0.1:1: connect: connection refused";
  const message = "connection changed";
  const failed = {
    message,
    endpoint: dead,
    state: "failed",
    error: `connection error: desc = "transport: Error while dialing: ${reason}"`,
  };
  while (!lines.some((it) => it["state"] === "failed")) await turn();
  assert.deepEqual(
    lines.find((it) => it["state"] === "failed"),
    failed,
  );
  assert.deepEqual(
    lines.find((it) => it["state"] === "ready"),
    { message, endpoint, state: "ready" },
  );
  await member.stop();
});

test("a signal rejects a call with its reason, waiting or running", async () => {
  await using client = new Client({ endpoints: ["127.0.0.1:1"] });
  const reason = new Error("enough");
  const controller = new AbortController();
  const waiting = client.get("a", { signal: controller.signal });
  controller.abort(reason);
  await assert.rejects(waiting, (error) => error === reason);
  await assert.rejects(
    client.get("a", { signal: AbortSignal.abort(reason) }),
    (it) => it === reason,
  );
});

test("errors are known by their text, whatever code came with it", async () => {
  await withCluster(1, async (client, members) => {
    members[0]!.fault(put, {
      kind: "fail",
      code: Status.unknown,
      message: "etcdserver: too many requests",
    });
    await assert.rejects(
      client.put("a", "1"),
      (error) => error instanceof ApiError && error.code === "tooManyRequests",
    );
    members[0]!.fault(put, { kind: "fail", code: Status.unknown, message: "no such text" });
    await assert.rejects(
      client.put("a", "1"),
      (error) => error instanceof RpcError && error.message === "no such text",
    );
  });
});

test("a closed client rejects what waits and what comes", async () => {
  const client = new Client({ endpoints: ["127.0.0.1:1"] });
  const waiting = client.get("a");
  client.close();
  await assert.rejects(
    waiting,
    (error) => error instanceof RpcError && error.code === Status.cancelled,
  );
  await assert.rejects(client.get("a"));
});

test("tokens are fetched once, sent along, and renewed when they no longer work", async () => {
  const credentials = { name: "ann", password: "pw" };
  await withCluster(
    1,
    async (client, members, store) => {
      store.tokens = new Set();
      await Promise.all([client.put("a", "1"), client.put("b", "2"), client.get("a")]);
      assert.equal(store.authenticateCount, 1);
      assert.equal(members[0]!.lastMetadata.get("token"), "ann.1");
      assert.equal(members[0]!.lastMetadata.get("client-api-version"), "3.7");
      store.tokens.clear();
      await client.put("c", "3");
      assert.equal(store.authenticateCount, 2);
    },
    { credentials },
  );
});

test("credentials do no harm where nobody asks for them", async () => {
  const lines: unknown[] = [];
  const log: Log = {
    debug: () => {},
    info: () => {},
    warn: (_message, fields) => void lines.push(fields?.["error"]),
    error: () => {},
    named: () => log,
  };
  await withCluster(
    1,
    async (client, members) => {
      await client.put("a", "1");
      await client.put("b", "2");
      assert.equal(members[0]!.count("/etcdserverpb.Auth/Authenticate"), 1);
      const text = "etcdserver: authentication is not enabled";
      assert.deepEqual(lines, [`rpc error: code = FailedPrecondition desc = ${text}`]);
    },
    { credentials: { name: "ann", password: "pw" }, log },
  );
});

test("a streamed range is the same as one in a piece", async () => {
  await withCluster(1, async (client) => {
    for (let i = 0; i < 50; i++) await client.put(`k${i}`, `v${i}`);
    const whole = await mergeRange(client.kv.rangeStream({ key: Buffer.from("k") }));
    assert.equal(whole.kvs.length, 50);
    assert.equal(whole.count, 50);
    assert.equal(whole.header?.revision, 51);
    let seen = 0;
    for await (const _piece of client.kv.rangeStream({ key: Buffer.from("k") })) {
      if (++seen === 3) break;
    }
    assert.equal(seen, 3);
  });
});

/** So that no pause of the machine counts as an answer that does not come. */
const patient = { firstAnswerMs: 60_000 };

test("a lease is renewed until it is lost", async () => {
  await withCluster(
    1,
    async (client, _members, store) => {
      store.leaseTtl = leaseTtl;
      const renewals = client.keepAlive(42n, patient);
      let count = 0;
      for await (const response of renewals) {
        assert.equal(response.id, 42n);
        if (++count === 3) store.leaseTtl = 0;
      }
      assert.ok(count >= 3, `${count} renewals`);
      assert.equal(renewals.lost, true);
      assert.equal(await renewals.ended, true);
      await assert.rejects(
        client.keepAliveOnce(42n),
        (error) => error instanceof ApiError && error.code === "leaseNotFound",
      );
    },
    { host: eagerHost() },
  );
});

test("a renewal goes on over a member that restarts, and ends without answers", async () => {
  await withCluster(
    2,
    async (client, members, store) => {
      store.leaseTtl = leaseTtl;
      const renewals = client.keepAlive(42n, patient);
      const iterator = renewals[Symbol.asyncIterator]();
      await iterator.next();
      await members[0]!.stop();
      await members[0]!.start();
      await members[1]!.stop();
      await members[1]!.start();
      const before = store.keepAliveCount;
      while (store.keepAliveCount === before) assert.equal((await iterator.next()).done, false);
      // From the next answer on it is a short one.
      store.leaseTtl = 1;
      let last = await iterator.next();
      while (last.value?.ttl !== 1) last = await iterator.next();
      for (const member of members) await member.stop();
      assert.equal(await renewals.ended, true);
    },
    { host: eagerHost() },
  );
});

test("closing a renewal stops it without losing the lease", async () => {
  await withCluster(1, async (client) => {
    const renewals = client.keepAlive(1n, patient);
    for await (const _response of renewals) break;
    assert.equal(await renewals.ended, false);
    assert.equal(renewals.lost, false);
  });
});

test("a thousand calls share a signal quietly", async () => {
  const warnings: Error[] = [];
  const onWarning = (warning: Error): void => void warnings.push(warning);
  process.on("warning", onWarning);
  try {
    await withCluster(1, async (client) => {
      const controller = new AbortController();
      const { signal } = controller;
      await Promise.all(
        Array.from({ length: 1_000 }, (_, i) => client.put(`k${i}`, "v", { signal })),
      );
      const stopped = Array.from({ length: 50 }, (_, i) => client.get(`k${i}`, { signal }));
      controller.abort(new Error("enough"));
      for (const it of await Promise.allSettled(stopped)) assert.equal(it.status, "rejected");
    });
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(warnings, []);
  } finally {
    process.off("warning", onWarning);
  }
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { ApiError } from "@etcd-ts/api";
import { bytesToUtf8, SeededRandom } from "@etcd-ts/base";
import { Client, CompactedError, type Watch } from "../src/index.ts";
import { FakeMember, FakeStore } from "./fake-member.ts";

async function withCluster(
  memberCount: number,
  body: (client: Client, members: FakeMember[], store: FakeStore) => Promise<void>,
): Promise<void> {
  const store = new FakeStore();
  const members = Array.from({ length: memberCount }, () => new FakeMember(store));
  for (const member of members) await member.start();
  const client = new Client({ endpoints: members.map((it) => it.endpoint), callTimeoutMs: 60_000 });
  try {
    await body(client, members, store);
  } finally {
    client.close();
    for (const member of members) await member.stop();
  }
}

const bytes = (text: string): Uint8Array => Buffer.from(text);

/** Revisions of the next `count` events. */
async function revisions(watch: Watch, count: number): Promise<number[]> {
  const seen: number[] = [];
  if (count === 0) return seen;
  for await (const event of watch) {
    seen.push(event.kv!.modRevision);
    if (seen.length === count) break;
  }
  return seen;
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("watches share a stream and get their own events", async () => {
  await withCluster(1, async (client, members, store) => {
    const a = client.watch({ key: "a" });
    const all = client.watch({ prefix: "" });
    const rest = client.watch({ from: "b" });
    assert.equal(await a.created, 1);
    await Promise.all([all.created, rest.created]);
    store.put(bytes("a"), bytes("1"));
    store.put(bytes("b"), bytes("2"));
    store.put(bytes("a"), bytes("3"));
    assert.deepEqual(await revisions(a, 2), [2, 4]);
    assert.deepEqual(await revisions(all, 3), [2, 3, 4]);
    assert.deepEqual(await revisions(rest, 1), [3]);
    assert.equal(members[0]!.watchStreams, 1);
  });
});

test("a watch starts at a past revision", async () => {
  await withCluster(1, async (client, _members, store) => {
    for (let i = 0; i < 5; i++) store.put(bytes("a"), bytes(String(i)));
    assert.deepEqual(await revisions(client.watch({ key: "a", startRevision: 4 }), 3), [4, 5, 6]);
  });
});

test("nothing is lost between the creation of a watch and a reconnect before its first event", async () => {
  await withCluster(1, async (client, members, store) => {
    store.put(bytes("a"), bytes("old"));
    const watch = client.watch({ key: "a" });
    await watch.created;
    await members[0]!.stop();
    store.put(bytes("a"), bytes("unseen"));
    await members[0]!.start();
    assert.deepEqual(await revisions(watch, 1), [3]);
  });
});

test("no event is lost, repeated or out of order whatever breaks", async () => {
  const seed = Number(process.env["SEED"] ?? 20_261_122);
  const random = new SeededRandom(seed);
  const total = 400;
  await withCluster(3, async (client, members, store) => {
    const plain = client.watch({ prefix: "k" });
    const pieces = client.watch({ prefix: "k", fragment: true });
    await Promise.all([plain.created, pieces.created]);
    const reading = Promise.all([revisions(plain, total), revisions(pieces, total)]);
    for (let i = 0; i < total; i++) {
      store.put(bytes(`k${random.below(10)}`), bytes(String(i)));
      const serving = members.find((it) => it.watchCalls.size > 0);
      if (random.chance(1, 12)) serving?.cutWatchStreams();
      if (random.chance(1, 12)) random.pick(members).cutBetweenPieces = true;
      if (random.chance(1, 60)) {
        const member = random.pick(members);
        await member.stop();
        await member.start();
      }
      if (random.chance(1, 4)) await turn();
      // Now and then the watches are back before it goes on.
      if (random.chance(1, 30)) while (!members.some((it) => it.watchCalls.size > 0)) await turn();
    }
    const wanted = Array.from({ length: total }, (_, i) => i + 2);
    const [first, second] = await reading;
    assert.deepEqual(first, wanted, `seed ${seed}`);
    assert.deepEqual(second, wanted, `seed ${seed}`);
    const streams = members.reduce((sum, it) => sum + it.watchStreams, 0);
    assert.ok(streams > 5, `the streams were cut (${streams})`);
  });
});

test("a watch from before the compaction ends with its revision", async () => {
  await withCluster(1, async (client, members, store) => {
    for (let i = 0; i < 9; i++) store.put(bytes("a"), bytes(String(i)));
    store.compactRevision = 7;
    await assert.rejects(
      revisions(client.watch({ key: "a", startRevision: 3 }), 1),
      (error) => error instanceof CompactedError && error.compactRevision === 7,
    );
    // Also when the compaction overtakes a watch that is away.
    const watch = client.watch({ key: "a" });
    await watch.created;
    await members[0]!.stop();
    store.put(bytes("a"), bytes("x"));
    store.put(bytes("a"), bytes("y"));
    store.compactRevision = store.revision;
    await members[0]!.start();
    await assert.rejects(
      revisions(watch, 1),
      (error) => error instanceof CompactedError && error.code === "compacted",
    );
  });
});

test("refusals reach the watch that was refused, among others created at once", async () => {
  await withCluster(1, async (client, members, store) => {
    members[0]!.refuseWatch = (create) =>
      bytesToUtf8(create.key) === "no"
        ? "rpc error: code = PermissionDenied desc = etcdserver: permission denied"
        : undefined;
    const watches = ["yes", "no", "also"].map((key) => client.watch({ key }));
    await assert.rejects(
      revisions(watches[1]!, 1),
      (error) => error instanceof ApiError && error.code === "permissionDenied",
    );
    await assert.rejects(watches[1]!.created);
    await Promise.all([watches[0]!.created, watches[2]!.created]);
    store.put(bytes("also"), bytes("1"));
    store.put(bytes("yes"), bytes("1"));
    assert.deepEqual(await revisions(watches[0]!, 1), [3]);
    assert.deepEqual(await revisions(watches[2]!, 1), [2]);
  });
});

test("a watch that needs a leader ends without one, others wait on", async () => {
  await withCluster(1, async (client, members, store) => {
    const patient = client.watch({ key: "a" });
    const strict = client.watch({ key: "a", requireLeader: true });
    await Promise.all([patient.created, strict.created]);
    assert.equal(members[0]!.lastMetadata.get("hasleader"), "true");
    members[0]!.cutWatchStreams(14, "etcdserver: no leader");
    await assert.rejects(
      revisions(strict, 1),
      (error) => error instanceof ApiError && error.code === "noLeader",
    );
    store.put(bytes("a"), bytes("1"));
    assert.deepEqual(await revisions(patient, 1), [2]);
  });
});

test("a watch that is refused for its token starts again with a fresh one", async () => {
  const store = new FakeStore();
  store.tokens = new Set();
  const member = new FakeMember(store);
  await member.start();
  const stale = "rpc error: code = Unauthenticated desc = etcdserver: invalid auth token";
  let refusals = 1;
  member.refuseWatch = () => (refusals-- > 0 ? stale : undefined);
  await using client = new Client({
    endpoints: [member.endpoint],
    credentials: { name: "ann", password: "pw" },
  });
  try {
    const watch = client.watch({ key: "a" });
    await watch.created;
    store.put(bytes("a"), bytes("1"));
    assert.deepEqual(await revisions(watch, 1), [2]);
    assert.equal(store.authenticateCount, 2);
    // A fresh token that is refused as well ends it.
    refusals = 99;
    await assert.rejects(
      revisions(client.watch({ key: "a" }), 1),
      (error) => error instanceof ApiError && error.code === "invalidAuthToken",
    );
  } finally {
    await member.stop();
  }
});

test("progress tells how far an idle watch is", async () => {
  await withCluster(1, async (client, _members, store) => {
    const watch = client.watch({ key: "a" });
    await watch.created;
    store.put(bytes("b"), bytes("1"));
    watch.requestProgress();
    for await (const response of watch.responses()) {
      assert.equal(response.events.length, 0);
      assert.equal(response.header?.revision, 2);
      break;
    }
  });
});

test("a slow consumer is parked instead of filling the memory, and misses nothing", async () => {
  await withCluster(1, async (client, members, store) => {
    const slow = client.watch({ key: "a" });
    const quick = client.watch({ key: "a" });
    await Promise.all([slow.created, quick.created]);
    const total = 12_000;
    const quickly = revisions(quick, total);
    for (let i = 0; i < total; i++) {
      store.put(bytes("a"), bytes(String(i)));
      if (i % 200 === 0) await turn();
    }
    const wanted = Array.from({ length: total }, (_, i) => i + 2);
    assert.deepEqual(await quickly, wanted);
    assert.ok(members[0]!.watchCancels >= 1, "the member was asked to stop");
    const creates = members[0]!.watchCreates.length;
    assert.deepEqual(await revisions(slow, total), wanted);
    assert.ok(members[0]!.watchCreates.length > creates, "and to go on");
  });
});

test("closing and aborting end the iteration", async () => {
  await withCluster(1, async (client, members) => {
    const closed = client.watch({ key: "a" });
    await closed.created;
    const iterating = revisions(closed, 1);
    closed.close();
    assert.deepEqual(await iterating, []);

    const controller = new AbortController();
    const reason = new Error("enough");
    const aborted = client.watch({ key: "a", signal: controller.signal });
    await aborted.created;
    const failing = revisions(aborted, 1);
    controller.abort(reason);
    await assert.rejects(failing, (error) => error === reason);
    // The last watch takes its stream along.
    while (members[0]!.watchCalls.size > 0) await turn();
  });
});

test("a closed client ends its watches", async () => {
  await withCluster(1, async (client) => {
    const watch = client.watch({ key: "a" });
    await watch.created;
    const iterating = revisions(watch, 1);
    client.close();
    await assert.rejects(iterating);
    await assert.rejects(revisions(client.watch({ key: "a" }), 1));
  });
});

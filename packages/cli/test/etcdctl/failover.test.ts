// Commands that go on for a while, and members that do not: locks, elections, watches, renewals and mirrors against a
// cluster that loses its leader. The cluster is a stock one where there is one, and then the stock client takes part.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { MemberProcesses, oursEtcd, stock35 } from "./member-processes.ts";
import { etcdctlProgram, ours } from "./ours.ts";
import { Running } from "./running.ts";

let cluster: MemberProcesses;
let all = "";

/** Of a test; nothing here takes a fraction of it. */
const limits = { timeout: 240_000 };

const start = (...args: string[]): Running => new Running(etcdctlProgram, [all, ...args]);

/** The other client of the pair: stock's where there is one. */
const other = (...args: string[]): Running =>
  new Running(stock35?.etcdctl ?? etcdctlProgram, [all, ...args]);

async function must(...args: string[]): Promise<string> {
  const { status, stdout, stderr } = await ours([all, ...args]);
  assert.equal(status, 0, `${args.join(" ")}: ${stderr}`);
  return stdout;
}

describe("etcdctl and a cluster that changes under it", () => {
  before(async () => {
    cluster = await MemberProcesses.start(stock35?.etcd ?? oursEtcd, 3);
    all = `--endpoints=${cluster.endpoints.join(",")}`;
  });
  after(() => cluster.stop());

  /** The number of the member that leads, of those that answer. */
  async function leader(): Promise<number> {
    const { stdout } = await ours([all, "endpoint", "status", "--command-timeout=1s"]);
    const row = stdout.split("\n").find((it) => it.split(", ")[8] === "true");
    const index = cluster.endpoints.indexOf(row?.split(",")[0] as string);
    if (index >= 0) return index;
    return leader();
  }

  test("a lock goes from one client to the other, in the order of asking", limits, async () => {
    for (const [first, second] of [
      [start, other],
      [other, start],
    ] as const) {
      await using holder = first("lock", "door");
      const key = (await holder.until(/^door\/[0-9a-f]+\n/)).split("\n")[0] as string;
      assert.equal(await must("get", key, "--keys-only"), `${key}\n\n`);
      await using waiting = second("lock", "door", "--", "sh", "-c", "echo $ETCD_LOCK_KEY; exit 0");
      while ((await must("get", "door/", "--prefix", "--keys-only")).split("\n\n").length < 3);
      assert.equal(waiting.stdout, "");
      assert.equal((await holder.stop()).status, 0);
      const ended = await waiting.ended;
      assert.equal(ended.status, 0, ended.stderr);
      assert.match(ended.stdout, /^door\/[0-9a-f]+\n$/);
      assert.equal(await must("get", "door/", "--prefix"), "");
    }
  });

  test("who waits for a lock and is interrupted leaves nothing behind", limits, async () => {
    await using holder = start("lock", "gate");
    await holder.until(/^gate\/[0-9a-f]+\n/);
    await using waiting = start("lock", "gate");
    while ((await must("get", "gate/", "--prefix", "--keys-only")).split("\n\n").length < 3);
    const ended = await waiting.stop("SIGTERM");
    assert.equal(ended.status, 1);
    assert.match(ended.stderr, /Error: context canceled\n$/);
    const left = await must("get", "gate/", "--prefix", "--keys-only");
    assert.equal(left.split("\n\n").length, 2);
    assert.equal((await holder.stop("SIGTERM")).status, 0);
  });

  test("an election is followed by both clients", limits, async () => {
    await using mine = start("elect", "king", "-l");
    await using theirs = other("elect", "king", "-l");
    await using first = start("elect", "king", "anna");
    await first.until(/^king\/[0-9a-f]+\nanna\n/);
    await using second = other("elect", "king", "bert");
    while ((await must("get", "king/", "--prefix", "--keys-only")).split("\n\n").length < 3);
    assert.equal((await first.stop()).status, 0);
    await second.until(/^king\/[0-9a-f]+\nbert\n/);
    const seen = /^(king\/[0-9a-f]+\nanna\n)?king\/[0-9a-f]+\nbert\n$/;
    await mine.until(seen);
    await theirs.until(seen);
    assert.equal((await mine.stop()).status, 0);
    assert.equal((await second.stop()).status, 0);
  });

  test(
    "the death of the leader ends neither watch nor lock nor renewal nor mirror",
    limits,
    async () => {
      const target = await MemberProcesses.start(oursEtcd, 1);
      try {
        const grant = await must("lease", "grant", "30");
        const lease = grant.split(" ")[1] as string;
        await must("put", "seen/0", "zero");
        await using watch = start("watch", "seen/", "--prefix", "--rev=1");
        await using renewal = start("lease", "keep-alive", lease);
        await using lock = start("lock", "tower", "--ttl=30");
        await using mirror = start("make-mirror", "--prefix=seen/", target.endpoints[0] as string);
        await watch.until(/zero\n/);
        await renewal.until(/keepalived/);
        await lock.until(/^tower/);
        const lost = cluster.members[await leader()]!;
        await lost.kill();
        // A write that was on its way to the old leader may get no answer.
        let isWritten = false;
        while (!isWritten) {
          const put = ["put", "seen/1", "one", "--command-timeout=2s"];
          isWritten = (await ours([all, ...put])).status === 0;
        }
        await watch.until(/PUT\nseen\/1\none\n/);
        const mirrored = [`--endpoints=${target.endpoints[0]}`, "get", "seen/", "--prefix"];
        while ((await ours(mirrored)).stdout !== "seen/0\nzero\nseen/1\none\n");
        assert.equal((await lock.stop()).status, 0);
        assert.equal(await must("get", "tower/", "--prefix"), "");
        assert.doesNotMatch(renewal.stdout, /expired/);
        for (const it of [watch, renewal, mirror]) assert.equal(it.child.exitCode, null);
        await lost.start();
      } finally {
        await target.stop();
      }
    },
  );

  test("dead endpoints in any position cost nothing", limits, async () => {
    const dead = cluster.members[2]!;
    await dead.kill();
    try {
      await leader();
      const [a, b, c] = cluster.endpoints as [string, string, string];
      for (const list of [
        [c, a, b],
        [a, c, b],
        [a, b, c],
        [c, a],
        ["127.0.0.1:1", c, b],
      ]) {
        const beganMs = performance.now();
        // Whoever waited for a dead one would do so for a long time.
        const patient = ["--dial-timeout=200s", "--command-timeout=200s"];
        const words = [`--endpoints=${list.join(",")}`, "get", "a", "--consistency=s", ...patient];
        const { status, stderr } = await ours(words);
        assert.equal(status, 0, stderr);
        assert.ok(performance.now() - beganMs < 60_000, list.join());
      }
    } finally {
      await dead.start();
    }
  });
});

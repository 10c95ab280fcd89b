// Servers are started as they should be, and none is left behind, whatever happens.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { chooseContenders, ours } from "../src/contenders.ts";
import { run } from "../src/run.ts";
import { atLeast, type Context, type Plan, type Sample, type Scenario } from "../src/scenario.ts";
import { childCount } from "../src/servers/children.ts";
import { Cluster } from "../src/servers/cluster.ts";
import { FakeEtcd } from "./support/fake-etcd.ts";

const plan: Plan = {
  quick: true,
  rounds: 2,
  warmupMs: 1,
  warmupAnswers: 0,
  measureMs: 1,
  largeKeyCount: 1,
  roundTimeoutMs: 60_000,
};

function scenario(name: string, body: (context: Context) => Promise<Sample>): Scenario {
  const figures = [{ key: "a", label: "a", unit: "" }];
  return { name, title: name, figures, goals: [atLeast("a", 1)], run: body };
}

async function withFakes(
  fakes: readonly FakeEtcd[],
  body: (baseFolder: string) => Promise<void>,
): Promise<void> {
  const baseFolder = mkdtempSync(join(tmpdir(), "etcd-bench-test-"));
  try {
    await body(baseFolder);
  } finally {
    rmSync(baseFolder, { recursive: true, force: true });
    for (const fake of fakes) fake.remove();
  }
}

test("servers take turns, each round on a fresh folder, and none survives its round", async () => {
  const own = new FakeEtcd("serves", "ours");
  const stock = new FakeEtcd("serves", "stock");
  await withFakes([own, stock], async (baseFolder) => {
    const turns: string[] = [];
    const folders = new Set<string>();
    const results = await run({
      plan,
      contenders: [own.contender, stock.contender],
      baseFolder,
      progress: () => undefined,
      scenarios: [
        scenario("turns", async (context) => {
          turns.push(`${context.contender.side}${context.round}`);
          folders.add(context.folder);
          await context.start({ members: 1 });
          return { a: turns.length };
        }),
      ],
    });
    assert.deepEqual(turns, ["ours1", "stock1", "ours2", "stock2"]);
    assert.equal(folders.size, 4);
    assert.deepEqual(results[0]?.ours, [{ a: 1 }, { a: 3 }]);
    assert.deepEqual(results[0]?.stock, [{ a: 2 }, { a: 4 }]);
    assert.equal(results[0]?.failure, undefined);
    assert.equal(own.started().length, 2);
    assert.deepEqual([...own.running(), ...stock.running()], []);
    assert.deepEqual(readdirSync(baseFolder), [], "no folder is left");
  });
});

test("a scenario that throws leaves no server, is reported, and the next one is measured", async () => {
  const fake = new FakeEtcd("serves");
  await withFakes([fake], async (baseFolder) => {
    const results = await run({
      plan,
      contenders: [fake.contender],
      baseFolder,
      progress: () => undefined,
      scenarios: [
        scenario("breaks", async (context) => {
          await context.start({ members: 3 });
          throw new Error("it broke");
        }),
        scenario("works", async () => ({ a: 1 })),
      ],
    });
    assert.equal(results[0]?.failure, "fake stock: it broke");
    assert.equal(fake.started().length, 3, "the second round is spared");
    assert.deepEqual(fake.running(), []);
    assert.equal(childCount(), 0);
    assert.deepEqual(results[1]?.stock, [{ a: 1 }, { a: 1 }]);
    assert.deepEqual(readdirSync(baseFolder), []);
  });
});

test("a round that hangs is ended in time, and starts nothing afterwards", async () => {
  const fake = new FakeEtcd("serves");
  await withFakes([fake], async (baseFolder) => {
    let later: (() => Promise<unknown>)[] = [];
    const [result] = await run({
      plan: { ...plan, roundTimeoutMs: 1500 },
      contenders: [fake.contender],
      baseFolder,
      progress: () => undefined,
      scenarios: [
        scenario("hangs", async (context) => {
          const cluster = await context.start({ members: 1 });
          later = [() => context.start(), () => cluster.restartMember(0)];
          return await new Promise<never>(() => undefined);
        }),
      ],
    });
    assert.equal(result?.failure, "fake stock: not done after 1.5 s");
    assert.deepEqual(fake.running(), []);
    for (const attempt of later) await assert.rejects(attempt());
    assert.ok(fake.started().length <= 1);
    assert.deepEqual(readdirSync(baseFolder), []);
  });
});

test("when one member of a cluster does not start, the others are ended, and its log is shown", async () => {
  const fake = new FakeEtcd("m2 fails");
  await withFakes([fake], async (folder) => {
    await assert.rejects(
      Cluster.start(fake.contender, { folder, members: 3 }),
      /fake stock is not ready \(status 3\).*\n.*a disk as if it were full/,
    );
    assert.deepEqual(fake.running(), []);
  });
});

test("members get names, ports and one list of all; a restart keeps them", async () => {
  const fake = new FakeEtcd("serves");
  await withFakes([fake], async (folder) => {
    const cluster = await Cluster.start(fake.contender, { folder, members: 3, args: ["--extra"] });
    try {
      const [first, , third] = cluster.ports.map((it) => it.peer);
      const all = fake.started().map((it) => it.args);
      assert.ok(all.every((args) => args.endsWith("--extra")));
      for (const args of all) {
        assert.match(
          args,
          new RegExp(
            `--initial-cluster m1=http://127.0.0.1:${first},m2=.*,m3=http://127.0.0.1:${third} `,
          ),
        );
      }
      assert.equal(new Set(cluster.ports.flatMap((it) => [it.client, it.peer])).size, 6);
      await cluster.killMember(1);
      assert.equal(fake.running().length, 2);
      await cluster.restartMember(1);
      assert.equal(fake.running().length, 3);
      const again = fake.started().filter((it) => it.args.includes("--name m2 "));
      assert.equal(again.length, 2);
      assert.equal(again[0]?.args, again[1]?.args);
    } finally {
      await cluster.kill();
    }
    assert.deepEqual(fake.running(), []);
  });
});

test("what has not begun when the time is over is reported as left out", async () => {
  const [result] = await run({
    plan,
    contenders: [ours],
    baseFolder: tmpdir(),
    progress: () => undefined,
    scenarios: [scenario("late", () => Promise.reject(new Error("must not run")))],
    deadlineMs: performance.now() - 1,
  });
  assert.equal(result?.leftOut, true);
  assert.equal(result?.failure, undefined);
});

test("Ctrl-C, SIGTERM: the bench ends its servers and removes its folders", async () => {
  await Promise.all([endedBy("SIGINT", 130), endedBy("SIGTERM", 143)]);
});

async function endedBy(signal: NodeJS.Signals, status: number): Promise<void> {
  const fake = new FakeEtcd("serves");
  await withFakes([fake], async (baseFolder) => {
    const program = fileURLToPath(new URL("../src/main.js", import.meta.url));
    const args = [
      "put-1",
      "--only",
      "stock",
      "--dir",
      baseFolder,
      "--out",
      join(baseFolder, "out"),
    ];
    const bench = spawn(process.execPath, [program, ...args], {
      stdio: ["ignore", "ignore", "ignore"],
      env: { ...process.env, ETCD_BIN: fake.contender.etcd },
    });
    const ended = new Promise((resolve) => bench.once("exit", resolve));
    while (fake.running().length === 0) {
      assert.equal(bench.exitCode, null, "the bench ended before it started a server");
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    bench.kill(signal);
    assert.equal(await ended, status);
    while (fake.running().length > 0) await new Promise((resolve) => setTimeout(resolve, 10));
    assert.deepEqual(readdirSync(baseFolder), []);
  });
}

test("$ETCD_BIN is taken as it is; one that does not exist is named", () => {
  const fake = new FakeEtcd("serves");
  try {
    const { contenders } = chooseContenders(undefined, { ETCD_BIN: fake.contender.etcd });
    assert.deepEqual(
      contenders.map((it) => it.name),
      ["etcd-ts", "stock 3.5.99"],
    );
    assert.ok(existsSync(contenders[0]?.etcd ?? ""));
    assert.throws(
      () => chooseContenders("stock", { ETCD_BIN: "/nowhere/etcd" }),
      /\/nowhere\/etcd, which does not exist/,
    );
  } finally {
    fake.remove();
  }
});

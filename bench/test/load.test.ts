// The load generator against a server of our own transport in this process.

import assert from "node:assert/strict";
import { test } from "node:test";
import { nodeHost, silentLog } from "@etcd-ts/node";
import { RpcServer, type ServerCall, Status } from "@etcd-ts/rpc";
import { ClosedLoop, runClosedLoad } from "../src/load/closed-loop.ts";
import { pause, type Target } from "../src/load/connections.ts";
import { OpenLoop } from "../src/load/open-loop.ts";
import { until } from "./support/until.ts";

const next = () => ({ path: "/test/Call", message: new Uint8Array(3) });

async function withServer(
  handle: (call: ServerCall) => void,
  body: (target: Target) => Promise<void>,
): Promise<void> {
  const server = new RpcServer({
    host: nodeHost({ log: silentLog }),
    methods: { "/test/Call": { kind: "unary", handle } },
  });
  const { address } = await server.serve({ kind: "tcp", host: "127.0.0.1", port: 0 });
  assert.ok(address.kind === "tcp");
  try {
    await body({ endpoints: [`127.0.0.1:${address.port}`] });
  } finally {
    await server.close({ graceMs: 0 });
  }
}

test("closed-loop clients have one request each under way", async () => {
  // Answers only when all seven wait: with fewer under way nothing would come, and an eighth would be seen.
  const waiting: ServerCall[] = [];
  let most = 0;
  let calls = 0;
  const handle = (call: ServerCall): void => {
    calls += 1;
    waiting.push(call);
    most = Math.max(most, waiting.length);
    if (waiting.length < 7) return;
    setTimeout(() => {
      for (const each of waiting.splice(0)) each.respond(new Uint8Array(0));
    }, 2);
  };
  await withServer(handle, async (target) => {
    const { operations, latency, cost } = await runClosedLoad({
      target,
      pids: [process.pid],
      clientCount: 7,
      connectionCount: 3,
      warmupMs: 50,
      measureMs: 100,
      next,
    });
    assert.equal(most, 7);
    assert.equal(waiting.length, 0, "the last answers were waited for");
    assert.ok(operations > 0 && operations < calls, "the warm-up is not counted");
    assert.equal(latency.count, operations);
    assert.ok(cost.elapsedMs >= 99);
  });
});

test("a warm-up goes on until enough answers have come, up to three times its time", async () => {
  let calls = 0;
  const handle = (call: ServerCall): void => {
    calls += 1;
    setTimeout(() => call.respond(new Uint8Array(0)), 5);
  };
  const load = { pids: [process.pid], clientCount: 1, connectionCount: 1, measureMs: 1, next };
  await withServer(handle, async (target) => {
    let startMs = performance.now();
    let tookMs = 0;
    const onMeasure = (): void => {
      tookMs = performance.now() - startMs;
    };
    await runClosedLoad({ ...load, target, warmupMs: 100, warmupAnswers: 1, onMeasure });
    assert.ok(tookMs >= 99, "enough answers do not cut it short");
    calls = 0;
    startMs = performance.now();
    // Twenty answers take at least 100 ms; a machine that is too busy for them in 150 ms sees the limit.
    await runClosedLoad({ ...load, target, warmupMs: 50, warmupAnswers: 20, onMeasure });
    assert.ok(calls >= 20 || tookMs >= 149, `${calls} answers in ${tookMs} ms`);
    startMs = performance.now();
    await runClosedLoad({ ...load, target, warmupMs: 40, warmupAnswers: 1e6, onMeasure });
    assert.ok(tookMs >= 119, `${tookMs} ms`);
  });
});

test("a refused request ends a closed load with its error", async () => {
  let calls = 0;
  const handle = (call: ServerCall): void => {
    if (++calls > 20) call.fail(Status.resourceExhausted, "too many requests");
    else call.respond(new Uint8Array(0));
  };
  await withServer(handle, async (target) => {
    const load = { target, pids: [process.pid], clientCount: 2, connectionCount: 1, next };
    await assert.rejects(
      runClosedLoad({ ...load, warmupMs: 20_000, measureMs: 1 }),
      /too many requests/,
    );
  });
});

test("an open load keeps its rate, and counts a server's pause for every request that it kept waiting", async () => {
  const held: ServerCall[] = [];
  let holding = false;
  const handle = (call: ServerCall): void => {
    if (holding) held.push(call);
    else call.respond(new Uint8Array(0));
  };
  await withServer(handle, async (target) => {
    const loop = new OpenLoop({ target, perSecond: 500, connectionCount: 2, next });
    /** Nothing is on its way to the server, and nothing from it. */
    const isStill = (): boolean => held.length > 0 && held.length === loop.inFlight;
    try {
      const startMs = performance.now();
      loop.start();
      await until("answers come", () => loop.answered >= 20);
      holding = true;
      await until("no more answers come", isStill);
      const latency = loop.record();
      const heldBefore = held.length;
      await pause(200);
      // Some 100 requests fall into the pause: if the load waited with it, none would.
      await until("requests go on", () => held.length >= heldBefore + 90);
      // It keeps its rate, as one sees when the machine lets one count undisturbed for a moment.
      await until("the rate is 500 a second", async () => {
        const [fromMs, before] = [performance.now(), loop.sent];
        await pause(50);
        return Math.abs(loop.sent - before - (performance.now() - fromMs) / 2) <= 5;
      });
      const sentMax = (performance.now() - startMs) / 2;
      assert.ok(loop.sent <= sentMax, `${loop.sent} where ${sentMax} were due`);
      await until("all requests are held", isStill);
      holding = false;
      for (const call of held) call.respond(new Uint8Array(0));
      await loop.finish();
      assert.ok(latency.maxMs >= 190, `${latency.maxMs} ms`);
      assert.ok(latency.quantileMs(0.5) >= 50, `p50 ${latency.quantileMs(0.5)} ms`);
      assert.ok(loop.longestGapMs >= 190);
      assert.equal(loop.inFlight, 0);
      assert.equal(loop.skipped, 0);
    } finally {
      loop.close();
    }
  });
});

test("the longest time without an answer is noticed", async () => {
  let holdNext = false;
  let hasHeld = false;
  const handle = (call: ServerCall): void => {
    const answer = (): void => call.respond(new Uint8Array(0));
    if (!holdNext) answer();
    else {
      holdNext = false;
      setTimeout(() => {
        hasHeld = true;
        answer();
      }, 80);
    }
  };
  await withServer(handle, async (target) => {
    const loop = new ClosedLoop(target, 1, 1, next);
    try {
      loop.start();
      await pause(20);
      loop.record();
      holdNext = true;
      await until("an answer was held", () => hasHeld);
      const { answered } = loop;
      await until("it came", () => loop.answered > answered);
      await loop.finish();
      assert.ok(loop.longestGapMs >= 78, `${loop.longestGapMs} ms`);
    } finally {
      loop.close();
    }
  });
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { Histogram } from "../src/metric-types.ts";
import { type Job, Slicer } from "../src/slicer.ts";
import { World } from "./support/world.ts";

class CountingJob implements Job {
  left: number;
  slices: number[] = [];
  readonly #world: World;

  constructor(world: World, left: number) {
    this.#world = world;
    this.left = left;
  }

  step(itemCount: number): boolean {
    const items = Math.min(itemCount, this.left);
    this.left -= items;
    this.slices.push(items);
    this.#world.nowMs += items * 0.01;
    return this.left === 0;
  }
}

test("a long job never holds the loop longer than a slice", async () => {
  const world = new World();
  const slicer = new Slicer(world.host());
  const job = new CountingJob(world, 10_000);
  await world.settled(slicer.finish(job));
  assert.equal(job.left, 0);
  assert.ok(Math.max(...job.slices) <= 200, `slices of ${Math.max(...job.slices)} items`);
  assert.ok(slicer.longestStepMs <= 2.1);
});

test("jobs take turns", async () => {
  const world = new World();
  const slicer = new Slicer(world.host());
  const long = new CountingJob(world, 100_000);
  const short = new CountingJob(world, 100);
  const order: string[] = [];
  const longDone = slicer.finish(long).then(() => order.push("long"));
  const shortDone = slicer.finish(short).then(() => order.push("short"));
  await world.settled(Promise.all([longDone, shortDone]));
  assert.deepEqual(order, ["short", "long"]);
});

test("a job that comes in batches pauses after each, and is sliced within", async () => {
  const world = new World();
  const slicer = new Slicer(world.host());
  const job = new CountingJob(world, 3000);
  const start = world.nowMs;
  const tookMs = new Histogram([1, 10, 100]);
  const batch = { itemCount: 1000, pauseMs: 10, tookMs };
  await world.settled(slicer.finish(job, { batch: () => batch }));
  let sum = 0;
  const ends = job.slices.map((items) => (sum += items));
  assert.ok(ends.includes(1000) && ends.includes(2000), `slices that end at ${ends}`);
  assert.ok(Math.max(...job.slices) <= 200, `slices of ${Math.max(...job.slices)} items`);
  assert.ok(world.nowMs - start >= 50, "two pauses and the work");
  assert.equal(tookMs.count, 3);
});

test("a slice is never larger than its batch", async () => {
  const world = new World();
  const slicer = new Slicer(world.host());
  const job = new CountingJob(world, 10);
  const batch = { itemCount: 2, pauseMs: 1 };
  await world.settled(slicer.finish(job, { batch: () => batch }));
  assert.deepEqual(job.slices, [2, 2, 2, 2, 2]);
});

test("a failing job tells its owner and does not disturb the others", async () => {
  const world = new World();
  const slicer = new Slicer(world.host());
  const failing = slicer.finish({
    step: () => {
      throw new Error("broken");
    },
  });
  const job = new CountingJob(world, 500);
  const good = slicer.finish(job);
  await assert.rejects(world.settled(failing), /broken/);
  await world.settled(good);
});

test("a cancelled job is not stepped again and nobody is told", async () => {
  const world = new World();
  const slicer = new Slicer(world.host());
  const job = new CountingJob(world, 1_000_000);
  let told = false;
  const running = slicer.run(job, {
    done: () => {
      told = true;
    },
    failed: () => {
      told = true;
    },
  });
  running.cancel();
  await world.run(10);
  assert.equal(job.slices.length, 0);
  assert.equal(told, false);
});

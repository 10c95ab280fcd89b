import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { availableParallelism } from "node:os";
import { test } from "node:test";
import {
  parseMachineBusyMs,
  parseProcessStats,
  processStats,
  sumOfStats,
} from "../src/measure/process-stats.ts";
import { notesOn, type Snapshot, Window, windowCost } from "../src/measure/window.ts";

test("the fields of /proc are found behind a name with spaces and parentheses", () => {
  // Fields from the third on; the 14th and 15th are user and system time.
  const stat = `77 (a (b) c) S 1 77 77 0 -1 4194560 500 0 3 0 250 150 0 0 20 0 11 0 900 1 2`;
  const status = "Name:\ta (b) c\nVmHWM:\t  2048 kB\nVmRSS:\t 1024 kB\nRssAnon:\t  512 kB\n";
  assert.deepEqual(parseProcessStats(stat, status), {
    cpuMs: 4000,
    residentBytes: 1024 * 1024,
    anonymousBytes: 512 * 1024,
    peakResidentBytes: 2048 * 1024,
  });
});

test("the machine's busy time leaves out idle time, waiting for a disk, and guests, who are counted already", () => {
  assert.equal(parseMachineBusyMs("cpu  1 2 4 1000 2000 8 16 32 64 128\ncpu0 9 9 9"), 630);
});

test("CPU time of a child is what the child itself says it used", async () => {
  const program = `
    const cpuMs = () => {
      const { user, system } = process.cpuUsage();
      return (user + system) / 1000;
    };
    while (cpuMs() < 250);
    const say = () => process.stdout.write(String(cpuMs()));
    process.stdin.on("data", say);
    say();
  `;
  const child = spawn(process.execPath, ["-e", program], { stdio: ["pipe", "pipe", "inherit"] });
  const next = async (): Promise<number> => Number((await once(child.stdout, "data"))[0]);
  try {
    const before = await next();
    const pid = child.pid as number;
    const found = processStats(pid).cpuMs;
    child.stdin.write("again");
    const after = await next();
    // The system counts in ticks of 10 ms.
    assert.ok(found >= before - 20 && found <= after + 20, `${found} ms, ${before} to ${after}`);
    assert.equal(sumOfStats([pid, pid]).residentBytes, 2 * sumOfStats([pid]).residentBytes);
    assert.ok(processStats(pid).peakResidentBytes >= processStats(pid).anonymousBytes);
  } finally {
    child.kill("SIGKILL");
  }
});

const snapshot = (at: number, server: number, generator: number, busy: number): Snapshot => ({
  atMs: at,
  serverCpuMs: server,
  generatorCpuMs: generator,
  machineBusyMs: busy,
  peakResidentBytes: 5,
});

test("what neither the servers nor the generator used is other people's work", () => {
  const cost = windowCost(snapshot(100, 10, 20, 1000), snapshot(1100, 610, 520, 2400));
  assert.deepEqual(cost, {
    elapsedMs: 1000,
    serverCpuMs: 600,
    generatorCpuMs: 500,
    otherCpuMs: 300,
    peakResidentBytes: 5,
  });
  assert.deepEqual(notesOn(cost), ["other work used the machine at the same time"]);
});

test("a generator that uses a whole core is said to be the limit", () => {
  const cost = windowCost(snapshot(0, 0, 0, 0), snapshot(1000, 500, 950, 1440));
  assert.equal(cost.otherCpuMs, 0, "clock ticks of different clocks never make it negative");
  assert.deepEqual(notesOn(cost), ["the load generator used a whole core: it may be the limit"]);
});

test("a window sees this process as the generator", () => {
  const window = new Window([process.pid]);
  const before = process.cpuUsage();
  const cpuMs = (): number => {
    const { user, system } = process.cpuUsage(before);
    return (user + system) / 1000;
  };
  const end = performance.now() + 60;
  while (performance.now() < end || cpuMs() < 60);
  const cost = window.read();
  assert.ok(cost.elapsedMs >= 60);
  assert.ok(cost.generatorCpuMs >= 60, `${cost.generatorCpuMs} ms`);
  assert.ok(cost.generatorCpuMs < cost.elapsedMs * availableParallelism() + 60);
});

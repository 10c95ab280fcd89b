import assert from "node:assert/strict";
import { test } from "node:test";
import {
  bytesToUtf8,
  type DiskError,
  type DiskFile,
  SeededRandom,
  utf8ToBytes,
} from "@etcd-ts/base";
import { type CrashMode, DiskPort, SimDisk, World } from "../src/index.ts";

const instant = { latencyMs: () => 0.01 };

class Bench {
  readonly world: World;
  readonly disk: SimDisk = new SimDisk();
  port: DiskPort;

  constructor(seed = 1) {
    this.world = new World(seed);
    this.port = new DiskPort(this.world, this.disk, instant);
  }

  run<T>(promise: Promise<T>): Promise<T> {
    return this.world.complete(promise, 1000);
  }

  crash(mode: CrashMode): void {
    this.port.kill();
    this.disk.crash(mode, new SeededRandom(this.world.seed));
    this.port = new DiskPort(this.world, this.disk, instant);
  }

  write(file: DiskFile, position: number, text: string): Promise<void> {
    return this.run(
      new Promise((resolve, reject) =>
        file.write(position, [utf8ToBytes(text)], (error) => (error ? reject(error) : resolve())),
      ),
    );
  }

  sync(file: DiskFile): Promise<void> {
    return this.run(
      new Promise((resolve, reject) => file.sync((error) => (error ? reject(error) : resolve()))),
    );
  }

  async read(path: string): Promise<string> {
    const file = await this.run(this.port.open(path, "read"));
    return bytesToUtf8(await this.run(file.read(0, 1000)));
  }
}

test("what was written is visible at once and survives a crash when file and folder are synced", async () => {
  const bench = new Bench();
  const file = await bench.run(bench.port.open("/a", "create"));
  await bench.write(file, 0, "hello");
  await bench.sync(file);
  await bench.run(bench.port.syncDirectory("/"));
  await bench.write(file, 5, " world");
  assert.equal(await bench.read("/a"), "hello world");
  bench.crash("drop");
  assert.equal(await bench.read("/a"), "hello");
});

test("a synced file whose folder is not synced may be gone", async () => {
  const bench = new Bench();
  const file = await bench.run(bench.port.open("/a", "create"));
  await bench.write(file, 0, "hello");
  await bench.sync(file);
  bench.crash("drop");
  assert.deepEqual(await bench.run(bench.port.list("/")), []);
});

test("a rename may be lost, or kept, but is never half done", async () => {
  for (let seed = 1; seed < 20; seed++) {
    const bench = new Bench(seed);
    for (const [name, text] of [
      ["/old", "old"],
      ["/new", "new"],
    ] as const) {
      const file = await bench.run(bench.port.open(name, "create"));
      await bench.write(file, 0, text);
      await bench.sync(file);
    }
    await bench.run(bench.port.syncDirectory("/"));
    await bench.run(bench.port.rename("/new", "/old"));
    bench.crash("random");
    const names = await bench.run(bench.port.list("/"));
    const text = await bench.read("/old");
    assert.ok(
      (names.length === 2 && text === "old") || (names.length === 1 && text === "new"),
      `${names} with ${text}`,
    );
  }
});

test("a rename that survives moves what it moved, also when a removal before it does not", async () => {
  for (let seed = 1; seed <= 60; seed++) {
    const bench = new Bench(seed);
    const stale = await bench.run(bench.port.open("/tmp", "create"));
    await bench.write(stale, 0, "stale");
    await bench.sync(stale);
    await bench.run(bench.port.syncDirectory("/"));
    await bench.run(bench.port.remove("/tmp"));
    const fresh = await bench.run(bench.port.open("/tmp", "create"));
    await bench.write(fresh, 0, "fresh");
    await bench.sync(fresh);
    await bench.run(bench.port.rename("/tmp", "/a"));
    bench.crash("random");
    const names = await bench.run(bench.port.list("/"));
    if (names.includes("a")) assert.equal(await bench.read("/a"), "fresh", `seed ${seed}`);
  }
});

test("a torn write keeps whole sectors, any of them", async () => {
  const outcomes = new Set<string>();
  for (let seed = 1; seed <= 60; seed++) {
    const bench = new Bench(seed);
    const file = await bench.run(bench.port.open("/a", "create"));
    await bench.write(file, 0, "a".repeat(1536));
    await bench.sync(file);
    await bench.run(bench.port.syncDirectory("/"));
    await bench.write(file, 0, "b".repeat(1536));
    bench.crash("random");
    const after = await bench.run(bench.port.open("/a", "read"));
    const text = bytesToUtf8(await bench.run(after.read(0, 1536)));
    assert.match(text, /^(a{512}|b{512}){3}$/);
    outcomes.add(text);
  }
  assert.equal(outcomes.size, 8);
});

test("a preallocated file reads as zeros, and a cut file has lost its end", async () => {
  const bench = new Bench();
  const file = await bench.run(bench.port.open("/a", "create"));
  await bench.run(file.preallocate(64_000_000));
  assert.equal(await bench.run(file.size()), 64_000_000);
  assert.deepEqual([...(await bench.run(file.read(63_999_998, 10)))], [0, 0]);
  await bench.write(file, 4090, "0123456789");
  await bench.run(file.truncate(4092));
  await bench.run(file.preallocate(5000));
  assert.equal(bytesToUtf8(await bench.run(file.read(4090, 4))), "01\0\0");
});

test("a lock excludes others until its holder releases it or dies", async () => {
  const bench = new Bench();
  await bench.run(bench.port.lock("/lock"));
  const second = new DiskPort(bench.world, bench.disk, instant);
  await assert.rejects(
    bench.run(second.lock("/lock")),
    (error: DiskError) => error.code === "locked",
  );
  bench.port.kill();
  const lock = await bench.run(second.lock("/lock"));
  await bench.run(lock.release());
  const third = new DiskPort(bench.world, bench.disk, instant);
  await bench.run(third.lock("/lock"));
});

test("a full disk refuses what does not fit, and says so", async () => {
  const bench = new Bench();
  bench.disk.capacityBytes = 100;
  const file = await bench.run(bench.port.open("/a", "create"));
  await bench.write(file, 0, "x".repeat(100));
  await assert.rejects(
    bench.write(file, 100, "y"),
    (error: DiskError) => error.code === "no-space",
  );
});

test("what is made under a removed name does not go with what was removed", async () => {
  const bench = new Bench();
  await bench.run(bench.port.makeDirectory("/f"));
  await bench.run(bench.port.open("/f/old", "create"));
  await bench.run(bench.port.syncDirectory("/f"));
  await bench.run(bench.port.syncDirectory("/"));
  await bench.run(bench.port.remove("/f"));
  await bench.run(bench.port.makeDirectory("/f"));
  await bench.run(bench.port.open("/f/new", "create"));
  await bench.run(bench.port.syncDirectory("/f"));
  await bench.run(bench.port.syncDirectory("/"));
  bench.crash("drop");
  assert.deepEqual(await bench.run(bench.port.list("/f")), ["new"]);
});
